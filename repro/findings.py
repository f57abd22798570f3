"""What a check found and what a phase concluded: plain records that travel between processes and into JSON."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from enum import StrEnum
from typing import Any, Protocol


class Outcome(StrEnum):
    """How a check ended. `not_run` and `error` are never the same as `passed`."""

    PASSED = "passed"
    FAILED = "failed"
    WARNED = "warned"  # a known equivalent or a deviation that breaks nothing declared
    NOT_RUN = "not_run"  # the reason says what to declare or install to get it
    ERROR = "error"  # the check itself raised or timed out; the gate does not open


#: The reason of a finding whose check raised. Beside the exception it tells nothing new, so a terminal leaves it out.
UNFINISHED = "the check did not finish, so nothing is known about what it decides"

#: Checks that see that training fails and not where: these alone leave the culprit to be found.
SYMPTOMS = ("overfit_one_batch", "loss_falls")


class Gate(StrEnum):
    """How a phase ended."""

    PASSED = "passed"
    FAILED = "failed"
    TO_DO = "to_do"  # the person has not written this step yet
    NOT_RUN = "not_run"


@dataclass(frozen=True)
class Finding:
    """One decision of one check.

    `component` is the declared piece, component or tensor that the decision is about; `location` reads
    "path/file.py:88 in Class.forward"; `likely` ranks the likeliest bugs; `alone` holds a few lines of Python that
    repeat the check by itself; `details` must be JSON-able.
    """

    check: str
    component: str
    outcome: Outcome
    summary: str
    expected: str = ""
    observed: str = ""
    threshold: str = ""
    location: str = ""
    likely: tuple[str, ...] = ()
    alone: str = ""
    reason: str = ""
    family: str = ""
    seconds: float = 0.0
    details: dict[str, Any] = field(default_factory=dict)

    @property
    def blocks(self) -> bool:
        """Whether this finding keeps the gate of its phase shut."""
        return self.outcome in (Outcome.FAILED, Outcome.ERROR)

    def with_changes(self, **changes: Any) -> Finding:
        return replace(self, **changes)

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> Finding:
        known = {f.name for f in fields(cls)}
        values = {key: value for key, value in record.items() if key in known}
        values["outcome"] = Outcome(values["outcome"])
        values["likely"] = tuple(values.get("likely", ()))
        return cls(**values)


class Decision(Protocol):
    """What a finding and its record in the report have in common."""

    @property
    def check(self) -> str: ...

    @property
    def alone(self) -> str: ...

    @property
    def outcome(self) -> str: ...


#: Of several findings of one check, the first of these is how it ended. A part that did not run stands in the list.
_WORST_FIRST = (Outcome.ERROR, Outcome.FAILED, Outcome.WARNED, Outcome.PASSED, Outcome.NOT_RUN)


def outcomes_of_checks(findings: Iterable[Decision]) -> list[Outcome]:
    """How each check ended, one outcome a check however many things it decided (three splits, four tensors, …).

    A check with other options or of another system is another one; the lines that repeat it alone tell them apart.
    """
    found: dict[tuple[str, str], list[str]] = {}
    for finding in findings:
        found.setdefault((finding.check, finding.alone), []).append(finding.outcome)
    return [next(worst for worst in _WORST_FIRST if worst in outcomes) for outcomes in found.values()]


@dataclass(frozen=True)
class Evidence:
    """What a phase concluded, with the fingerprint of all it depends on.

    `summary` is the phase's part of the one-line display; `data` holds JSON-able tables for the report (stages,
    learning rates, …); `questions` counts answered and total.
    """

    phase: str
    outcome: Gate
    summary: str
    findings: tuple[Finding, ...] = ()
    seconds: float = 0.0
    fingerprint: str = ""
    created: str = ""
    data: dict[str, Any] = field(default_factory=dict)
    questions: dict[str, int] = field(default_factory=dict)

    def count(self, outcome: Outcome) -> int:
        return sum(finding.outcome == outcome for finding in self.findings)

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> Evidence:
        known = {f.name for f in fields(cls)}
        values = {key: value for key, value in record.items() if key in known}
        values["outcome"] = Gate(values["outcome"])
        values["findings"] = tuple(Finding.from_json(finding) for finding in values.get("findings", ()))
        return cls(**values)
