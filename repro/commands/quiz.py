"""`quiz`: the checkpoint questions of a paper, one step at a time; what you answered is kept.

Predictions are measured in your own code and judged by number; other answers you judge, beside the model answer.
A gate counts the questions judged right; with questions=required it stays shut until all are.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING

from repro.commands.help import READER, Parser
from repro.commands.stepping import opened
from repro.commands.words import printable
from repro.configuration.secrets import mask_text
from repro.errors import ConfigError, ExitCode, ReproError
from repro.questions import Question, answers, is_right, keep_answer, load_questions

if TYPE_CHECKING:
    from repro.contract.paper import Paper

EXAMPLES = (
    "quiz paper=transformer",
    "quiz paper=transformer step=model",
    "quiz paper=transformer --list",
    "quiz paper=transformer --answer scale-of-scores='sqrt(d_k) is 8' --judge right",
    "quiz paper=transformer --answer predict-parameters=0.2e6",
)
#: What a person says of an answer of their own.
JUDGED = {"y": "right", "yes": "right", "n": "wrong", "no": "wrong"}


def main(words: list[str]) -> ExitCode:
    parser = Parser("quiz", __doc__ or "", EXAMPLES, {**READER, ExitCode.OK: "asked, or listed, whatever was answered"})
    parser.overrides("paper=<name>, step=<one phase only>, and whatever the run was given, such as scale=smoke")
    parser.add_argument("--list", action="store_true", help="print the questions and which are open; ask nothing")
    parser.add_argument("--all", action="store_true", help="ask those judged right again")
    parser.add_argument("--answer", metavar="id=text", help="answer one question without being asked")
    parser.add_argument("--judge", choices=["right", "wrong"], help="how you judge that answer; predictions need none")
    parser.json("with --list: one JSON object")
    given = parser.parse_intermixed_args(words)
    step, paper, _, folder = opened(given.overrides, "quiz")
    questions = [q for q in load_questions(paper) if not step or q.component == step]
    folder = folder.parent
    if given.answer:
        return answer_one(given, questions, paper, folder)
    if given.list or given.json:
        show(questions, folder, given.json)
        return ExitCode.OK
    if not sys.stdin.isatty():
        raise ConfigError(
            "quiz: there is no terminal to ask in.", "List the questions with --list; answer one with --answer id=text."
        )
    open_ones = [q for q in questions if given.all or not is_right(q, answers(folder))]
    ask_all(open_ones, paper, folder, lambda prompt: input(prompt).strip(), lambda text: print(printable(text)))
    told(questions, folder)
    return ExitCode.OK


def show(questions: list[Question], folder: Path, as_json: bool) -> None:
    """Each question with its id and whether it is open; answers are not given away."""
    given = answers(folder)
    if as_json:
        listed = [
            {"id": q.id, "component": q.component, "kind": q.kind, "question": q.question, "right": is_right(q, given)}
            for q in questions
        ]
        print(mask_text(json.dumps({"questions": listed}, indent=2, ensure_ascii=False)))
        return
    for question in questions:
        mark = "✓" if is_right(question, given) else "✗" if question.id in given else "·"
        print(printable(f"{mark} {question.id}  ({question.component}, {question.kind})\n  {question.question}"))
    told(questions, folder)


def told(questions: list[Question], folder: Path) -> None:
    given = answers(folder)
    right = sum(is_right(q, given) for q in questions)
    print(printable(f"{right} of {len(questions)} answered and judged right" if questions else "No question is asked."))


def answer_one(given: argparse.Namespace, questions: list[Question], paper: Paper, folder: Path) -> ExitCode:
    id, equals, text = given.answer.partition("=")
    found = {q.id: q for q in questions}.get(id)
    if found is None or not equals or not text.strip():
        near = get_close_matches(id, [q.id for q in questions], n=3)
        raise ConfigError(
            f"--answer: got {given.answer!r}, need <id of a question>=<your answer>.",
            f"Near: {', '.join(near)}." if near else "The ids: python -m repro quiz paper=… --list",
        )
    if found.predict:
        from repro.predictions import readable

        try:
            readable(found.predict, text)
        except ConfigError as fault:
            raise ConfigError(f"--answer {id}: {fault.message}", fault.hint) from None
        right, truth = predicted(found, text, paper)
        print(printable(f"{'right' if right else 'wrong'}: {truth}"))
        keep_answer(folder, found, text, "right" if right else "wrong")
        return ExitCode.OK
    print(printable(f"Model answer: {found.answer}\n{source(found)}"))
    if given.judge is None:
        raise ConfigError(
            f"--judge: missing for {id}.", "Compare with the model answer, and add --judge right or wrong."
        )
    keep_answer(folder, found, text, given.judge)
    return ExitCode.OK


def ask_all(
    questions: list[Question], paper: Paper, folder: Path, read: Callable[[str], str], say: Callable[[str], None]
) -> None:
    """Ask one after the other; an empty answer goes on to the next, the end of input ends."""
    if questions:
        say("Enter goes on to the next question, Ctrl-D ends; each answer is kept at once.")
    for number, question in enumerate(questions, 1):
        say(f"\n[{number} of {len(questions)}] {question.component} · {question.kind} · {question.id}")
        say(question.question)
        try:
            ask_one(question, paper, folder, read, say)
        except EOFError:
            say("")  # the prompt stands there without an end of line
            return
        except KeyboardInterrupt:
            say("")
            raise


def ask_one(
    question: Question, paper: Paper, folder: Path, read: Callable[[str], str], say: Callable[[str], None]
) -> None:
    """Ask until the answer can be judged; what is left empty is not kept."""
    from repro.predictions import readable

    while text := read("> "):
        if question.predict:
            try:
                readable(question.predict, text)
            except ConfigError as fault:
                say(str(fault))
                continue
            try:
                right, truth = predicted(question, text, paper)
            except ReproError as fault:  # the person's code does not run: another answer would not help
                say(str(fault))
                return
            say(f"{'Right' if right else 'Not yet'}: {truth}")
            keep_answer(folder, question, text, "right" if right else "wrong")
            return
        say(f"\nYours:  {text}\nModel:  {question.answer}\n{source(question)}")
        while (judged := read("Is yours right? [y/n] ").lower()) and judged not in JUDGED:
            say(f"Got {judged!r}, need y or n; Enter leaves the question open.")
        if judged:
            keep_answer(folder, question, text, JUDGED[judged])
        return


def predicted(question: Question, text: str, paper: Paper) -> tuple[bool, str]:
    """Measure in the person's own code; whether the prediction holds, and what is true."""
    from repro.contract.bench import Bench
    from repro.predictions import judge, measure

    truth = measure(question.predict, Bench(paper))
    return judge(truth, text), truth.text


def source(question: Question) -> str:
    return f"Source: {question.source}" if question.source else ""
