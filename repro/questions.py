"""Checkpoint questions of a paper: the paper's own, its type's, predictions about its code, and what was answered."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from repro.configuration.locate import shown, utf8
from repro.contract.paper import Paper
from repro.errors import ConfigError
from repro.phases import ORDER
from repro.tracking.files import read_json, write_json
from repro.tracking.store import now

KINDS = ("understanding", "implementation", "debugging")
JUDGEMENTS = ("right", "wrong")
PROGRESS_FILE = "questions.json"
NEEDED = ("id", "component", "kind", "question", "answer")


@dataclass(frozen=True)
class Question:
    """One question. `component` is the phase at whose gate it is asked; `source` says where the answer is.

    `predict` names what is measured in the person's own code (repro/predictions.py) instead of a written answer.
    """

    id: str
    component: str
    kind: str
    question: str
    answer: str
    source: str = ""
    predict: str = ""


def load_questions(paper: Paper) -> list[Question]:
    """The paper's own questions (questions.yaml beside its components), its type's, those of every paper, predictions.

    Raises `ConfigError` naming file and entry for a malformed one, and both places where two have one id.
    """
    entries: list[tuple[str, Any]] = []
    path = questions_file(paper)
    if path is not None:
        import yaml

        try:
            loaded = yaml.load(utf8(path), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)) or []
        except yaml.MarkedYAMLError as fault:
            line = fault.problem_mark.line + 1 if fault.problem_mark else 1
            raise ConfigError(f"{shown(path)} line {line}: this is not YAML: {fault.problem}.") from None
        if not isinstance(loaded, list):
            raise ConfigError(f"{path}: got a {type(loaded).__name__}, need a list of questions")
        entries += [(f"{path} entry {position + 1}", entry) for position, entry in enumerate(loaded)]
    kind = paper.settings.get("type") or {}
    entries += [(f"conf/type/{paper.type}.yaml questions[{i}]", e) for i, e in enumerate(kind.get("questions") or [])]
    every = (kind.get("generic") or {}).get("questions") or []
    entries += [(f"conf/type/generic.yaml generic.questions[{i}]", e) for i, e in enumerate(every)]
    found: dict[str, tuple[str, Question]] = {}
    for where, entry in entries:
        question = read_question(where, entry)
        if question.id in found:
            raise ConfigError(f"{where}: the id {question.id!r} is taken by {found[question.id][0]}")
        found[question.id] = (where, question)
    for question in predictions(paper):
        found.setdefault(question.id, ("", question))
    return [question for _, question in found.values()]


def read_question(where: str, entry: Any) -> Question:
    names = [field.name for field in fields(Question)]
    if not isinstance(entry, dict):
        raise ConfigError(f"{where}: got {entry!r}, need a mapping with {', '.join(NEEDED)}, source")
    missing = [name for name in NEEDED if not entry.get(name)]
    if missing:
        raise ConfigError(f"{where}: missing {', '.join(missing)}")
    unknown = [str(name) for name in entry if name not in names]
    if unknown:
        raise ConfigError(f"{where}: unknown {', '.join(unknown)}; known are {', '.join(names)}")
    if entry["kind"] not in KINDS:
        raise ConfigError(f"{where}.kind: got {entry['kind']!r}, need one of {', '.join(KINDS)}")
    if entry["component"] not in ORDER:
        raise ConfigError(f"{where}.component: got {entry['component']!r}, need one of {', '.join(ORDER)}")
    return Question(**{name: str(entry.get(name, "")) for name in names})


def predictions(paper: Paper) -> list[Question]:
    """What to say before looking, measured in the person's own code: size, a shape, the loss before training."""
    source = "your own code"
    found = [
        Question(
            "predict-parameters",
            "model",
            "understanding",
            "Before you look: how many trainable parameters has your model, as configured? (a number such as 0.95e6)",
            "",
            source,
            "parameters",
        )
    ]
    if paper.stages:
        stage = list(paper.stages)[len(paper.stages) // 2]
        found.append(
            Question(
                "predict-shape",
                "model",
                "understanding",
                f"Before you look: which shape has the output of {stage} for a synthetic batch of 3 examples? "
                f"Its axes are {', '.join(map(str, paper.stages[stage]))}; write a size for each, such as 3, 7, 64.",
                "",
                source,
                f"shape {stage}",
            )
        )
    found.append(
        Question(
            "predict-initial-loss",
            "loss",
            "understanding",
            "Before you look: what is the total loss of the untrained model? (a number, or an expression, log(203))",
            "",
            source,
            "initial_loss",
        )
    )
    return found


def questions_file(paper: Paper) -> Path | None:
    """questions.yaml in the folder of the paper's components; None when there is none."""
    from repro.phases.fingerprints import module_file

    for target in paper.targets().values():
        file = module_file(target.rpartition(".")[0])
        if file is not None and (file.parent / "questions.yaml").exists():
            return file.parent / "questions.yaml"
    return None


# --- what was answered ---


def answers(paper_folder: Path) -> dict[str, dict[str, Any]]:
    """What has been answered, by question id: {"answer", "judged": "right" | "wrong", "asked", "at"}.

    `paper_folder` is <runs_folder>/<paper>: answers outlive a change of the configuration.
    """
    loaded = read_json(paper_folder / PROGRESS_FILE)
    return loaded if isinstance(loaded, dict) else {}


def keep_answer(paper_folder: Path, question: Question, answer: str, judged: str) -> None:
    """Remember an answer; a reader sees the old file or the new. Raises `ConfigError` for another judgement."""
    if judged not in JUDGEMENTS:
        raise ConfigError(f"--judge: got {judged!r}, need {' or '.join(JUDGEMENTS)}")
    kept = answers(paper_folder)
    kept[question.id] = {"answer": answer, "judged": judged, "asked": wording(question), "at": now()}
    write_json(paper_folder / PROGRESS_FILE, kept)


def wording(question: Question) -> str:
    """What an answer answers: a question that is worded anew, or whose model answer changed, is open again."""
    return hashlib.sha256(json.dumps([question.question, question.answer]).encode()).hexdigest()[:12]


def is_right(question: Question, given: Mapping[str, Any]) -> bool:
    """Whether a question was answered and judged right, in the words that it has now."""
    kept = given.get(question.id) or {}
    return kept.get("judged") == "right" and kept.get("asked", wording(question)) == wording(question)


def progress_of(paper: Paper, phase: str, paper_folder: Path) -> dict[str, int]:
    """How many questions of a phase there are, and how many were answered and judged right."""
    asked = [question for question in load_questions(paper) if question.component == phase]
    given = answers(paper_folder)
    return {"answered": sum(is_right(question, given) for question in asked), "total": len(asked)}
