"""Checkpoint questions of a paper: the paper's own and its type's, and which of them have been answered."""

from __future__ import annotations

import json
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from repro.contract.paper import Paper
from repro.errors import ConfigError
from repro.phases import ORDER

KINDS = ("understanding", "implementation", "debugging")
PROGRESS_FILE = "questions.json"


@dataclass(frozen=True)
class Question:
    """One question. `component` is the phase at whose gate it is asked; `source` says where the answer is."""

    id: str
    component: str
    kind: str
    question: str
    answer: str
    source: str = ""


def load_questions(paper: Paper) -> list[Question]:
    """The paper's own questions (questions.yaml beside its components), then its type's.

    Raises `ConfigError` naming file and entry for a malformed one.
    """
    entries: list[tuple[str, Any]] = []
    path = questions_file(paper)
    if path is not None:
        import yaml

        try:
            loaded = yaml.safe_load(path.read_text(encoding="utf-8")) or []
        except yaml.YAMLError as fault:
            raise ConfigError(f"{path} is not valid YAML: {fault}") from None
        if not isinstance(loaded, list):
            raise ConfigError(f"{path}: got a {type(loaded).__name__}, need a list of questions")
        entries += [(f"{path} entry {position + 1}", entry) for position, entry in enumerate(loaded)]
    of_type = (paper.settings.get("type") or {}).get("questions") or []
    entries += [(f"conf/type/{paper.type}.yaml questions[{i}]", entry) for i, entry in enumerate(of_type)]
    return [read_question(where, entry) for where, entry in entries]


def read_question(where: str, entry: Any) -> Question:
    names = [field.name for field in fields(Question)]
    if not isinstance(entry, dict):
        raise ConfigError(f"{where}: got {entry!r}, need a mapping with {', '.join(names)}")
    missing = [name for name in names[:-1] if not entry.get(name)]
    if missing:
        raise ConfigError(f"{where}: missing {', '.join(missing)}")
    if entry["kind"] not in KINDS:
        raise ConfigError(f"{where}.kind: got {entry['kind']!r}, need one of {', '.join(KINDS)}")
    if entry["component"] not in ORDER:
        raise ConfigError(f"{where}.component: got {entry['component']!r}, need one of {', '.join(ORDER)}")
    return Question(**{name: str(entry.get(name, "")) for name in names})


def questions_file(paper: Paper) -> Path | None:
    """questions.yaml in the folder of the paper's components; None when there is none."""
    from repro.phases.fingerprints import module_file

    for target in paper.targets().values():
        file = module_file(target.rpartition(".")[0])
        if file is not None and (file.parent / "questions.yaml").exists():
            return file.parent / "questions.yaml"
    return None


def answers(paper_folder: Path) -> dict[str, dict[str, Any]]:
    """What has been answered, by question id: {"answer": …, "judged": "right" | "wrong", …}."""
    path = paper_folder / PROGRESS_FILE
    if not path.exists():
        return {}
    loaded = json.loads(path.read_text(encoding="utf-8"))
    return loaded if isinstance(loaded, dict) else {}


def progress_of(paper: Paper, phase: str, paper_folder: Path) -> dict[str, int]:
    """How many questions of a phase there are, and how many were answered and judged right."""
    asked = [question for question in load_questions(paper) if question.component == phase]
    given = answers(paper_folder)
    right = sum(given.get(question.id, {}).get("judged") == "right" for question in asked)
    return {"answered": right, "total": len(asked)}
