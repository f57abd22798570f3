"""What a session page says, as plain records: made once, kept as JSON, shown as Markdown and in the report."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Box:
    """A line with a box. `ticked` follows the evidence alone; `note` says what is known besides."""

    ticked: bool
    text: str
    note: str = ""


@dataclass(frozen=True)
class Listing:
    """A piece of the person's code or config: where it begins, and its text with the declared shapes beside it."""

    path: str
    language: str
    text: str


@dataclass(frozen=True)
class Asked:
    """A checkpoint question: `state` is right, wrong or open; `answer` the model answer, `yours` what was answered."""

    id: str
    kind: str
    question: str
    answer: str
    source: str
    state: str
    yours: str = ""


@dataclass(frozen=True)
class Bug:
    """What a check of this step looks for, from its own docstring."""

    check: str
    broken: str
    likely: tuple[str, ...]
    options: tuple[str, ...] = ()


@dataclass(frozen=True)
class Page:
    """One step. `shapes` and `stages` are tables: their first row is the head."""

    paper: str
    title: str
    step: str
    number: int
    of: int
    goal: tuple[str, ...]
    prerequisites: tuple[Box, ...]
    shapes: tuple[tuple[str, ...], ...]
    stages: tuple[tuple[str, ...], ...]
    code: tuple[Listing, ...]
    questions: tuple[Asked, ...]
    verification: tuple[Box, ...]
    bugs: tuple[Bug, ...]
    next: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> Page:
        parts: dict[str, Any] = dict(record)
        for name, kind in (
            ("prerequisites", Box),
            ("code", Listing),
            ("questions", Asked),
            ("verification", Box),
            ("bugs", Bug),
        ):
            parts[name] = tuple(kind(**entry) for entry in record[name])
        for name in ("shapes", "stages"):
            parts[name] = tuple(tuple(row) for row in record[name])
        return cls(**{**parts, "goal": tuple(record["goal"]), "next": tuple(record["next"])})
