"""What the controller and its workers say to each other: a task, and the events of its life."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Task:
    """One call in a worker: `function(control, **arguments)`, a `dict` back.

    `id` names the process of training (its folder's name); `function` is "package.module:name", imported in the worker;
    `arguments` must be picklable. A task whose worker was killed is run again with the same arguments: a function that
    keeps a checkpoint therefore resumes, and one whose work is finished must return its stored result.
    """

    id: str
    function: str
    arguments: Mapping[str, Any] = field(default_factory=dict)


class Stopped(Exception):  # noqa: N818  (not an error: it was asked for)
    """Raised by a task that ends before its work is done: "pruned" for good, "interrupted" with its checkpoint."""

    def __init__(self, reason: str = "interrupted") -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True)
class Event:
    """Something that happened to the task `task`."""

    task: str


@dataclass(frozen=True)
class Started(Event):
    """A worker took the task; `attempt` counts from 1."""

    attempt: int = 1


@dataclass(frozen=True)
class Progress(Event):
    """`update` of `updates` done; `values` are the newest logged scalars; `eta` is the task's time left in seconds."""

    update: int = 0
    updates: int = 0
    values: Mapping[str, float] = field(default_factory=dict)
    eta: float | None = None


@dataclass(frozen=True)
class Died(Event):
    """The worker ended without a word. The task waits for another worker if `again`, else `Failed` follows."""

    reason: str = ""
    again: bool = True


@dataclass(frozen=True)
class Ended(Event):
    """The last event of a task; exactly one for each task submitted."""


@dataclass(frozen=True)
class Finished(Ended):
    """The task returned `result`."""

    result: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Failed(Ended):
    """The task raised, or its workers kept dying; `error` is the message for the user."""

    error: str = ""


@dataclass(frozen=True)
class Diverged(Ended):
    """Training met a value that is not finite; `error` names update and term."""

    error: str = ""


@dataclass(frozen=True)
class Pruned(Ended):
    """The task stopped because the controller pruned it."""


@dataclass(frozen=True)
class Interrupted(Ended):
    """The task stopped, or never started, because the pool stops; it can be resumed."""
