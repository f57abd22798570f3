"""`new`: the files of a paper of your own, in the current folder, each saying what to write in it.

In a terminal it asks about the paper; what is left empty the first step, analysis, will name. Nothing is overwritten.
"""

from __future__ import annotations

import difflib
import importlib.util
import keyword
import re
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from repro.commands.help import READER, Parser
from repro.commands.words import printable
from repro.configuration.folders import options
from repro.configuration.locate import shown
from repro.errors import ConfigError, ExitCode
from repro.scaffold.answers import COMPONENTS, TRICKY, Answers, arxiv_id, ask, fields_of, number_of

EXAMPLES = (
    "new my_paper --type vision",
    "new my_paper --type other --yes --title 'A Small Paper' --arxiv 2001.00001",
    'new my_paper --type other --tricky \'part="shifted by one" hidden_in="section 3" guard=shifted\'',
    'new my_paper --type other --number \'metric=error value=0.12 where="Table 1" direction=lower tolerance=0.01 '
    'reason="one printed run"\'',
)


def main(words: list[str]) -> ExitCode:
    parser = Parser("new", __doc__ or "", EXAMPLES, {**READER, ExitCode.OK: "the files are written"})
    types = [name for name in options("type") if name != "generic"]
    parser.add_argument("name", help="of the paper: also of its folder and Python package")
    parser.add_argument(
        "--type", metavar="|".join(types), help="decides tensors, checks, questions; other if not asked"
    )
    parser.add_argument("--title", default="", help="of the paper")
    parser.add_argument("--arxiv", default="", help="its id, such as 1706.03762")
    parser.add_argument("--core-algorithm", default="", help="the minimal algorithm, in a sentence or two")
    parser.add_argument("--stripped-away", action="append", default=[], help="what is left out on purpose; repeatable")
    for name in COMPONENTS:
        parser.add_argument(f"--{name}", default="", help=f"what the {name} is in this paper")
    parser.add_argument("--tricky", action="append", default=[], help=f"{' '.join(TRICKY)}, as below; repeatable")
    parser.add_argument("--number", action="append", default=[], help="a reported number, as below; repeatable")
    parser.add_argument("--compute", default="", help="what the paper spent")
    parser.add_argument("--yes", action="store_true", help="ask nothing; what is not given stays empty")
    given = parser.parse_args(words)
    check_name(given.name)
    asks, typed = not given.yes and sys.stdin.isatty(), Typed()
    if given.type is None:
        given.type = ask_type(types, typed) if asks else "other"
    if given.type not in types:
        near = difflib.get_close_matches(given.type, types, n=1, cutoff=0.5)
        raise ConfigError(
            f"--type: there is no type of paper {given.type!r}.",
            (f"Near: {near[0]}. " if near else "") + f"Known: {', '.join(types)}.",
        )
    answers = Answers(
        name=given.name,
        type=given.type,
        title=given.title,
        arxiv=arxiv_id(given.arxiv),
        core_algorithm=given.core_algorithm,
        stripped_away=given.stripped_away,
        components={name: getattr(given, name) for name in COMPONENTS},
        tricky=[fields_of(text, TRICKY, "--tricky") for text in given.tricky],
        numbers=[number_of(text) for text in given.number],
        compute=given.compute,
    )
    from repro.scaffold.fill import checks_of, files

    refuse_existing(files(answers))
    if asks:
        checks = [name for names in checks_of(given.type).values() for name in names]
        ask(answers, checks, lambda: decided_by(checks), typed, say)
    written = files(answers)
    write(written)
    print(printable(told(answers, written)))
    return ExitCode.OK


class Typed:
    """The lines that a person types, one a call; once the input has ended (Ctrl-D) all that follow are empty."""

    def __init__(self) -> None:
        self.ended = False

    def __call__(self, prompt: str) -> str:
        if self.ended:
            return ""
        try:
            return input(prompt).strip()
        except EOFError:
            print()  # the prompt stands there without an end of line
            self.ended = True
            return ""


def say(text: str) -> None:
    print(printable(text))


def ask_type(types: Sequence[str], read: Callable[[str], str]) -> str:
    """The type of paper that the person names; asked first, for tensors, checks and questions depend on it."""
    while (answer := read(f"Type, one of {', '.join(types)} (Enter: other): ") or "other") not in types:
        near = difflib.get_close_matches(answer, types, n=1, cutoff=0.5)
        print(f"  There is no type of paper {answer!r}." + (f" Near: {near[0]}." if near else ""))
    return answer


def decided_by(checks: Iterable[str]) -> dict[str, str]:
    """What each of these checks decides, by its name."""
    from repro.checks.registry import load_all

    known = load_all()
    return {name: known[name].decides for name in checks if name in known}


def check_name(name: str) -> None:
    """Raise `ConfigError` for a name that cannot be a package, that another paper has, or that would hide a module."""
    if not re.fullmatch(r"[a-z][a-z0-9_]*", name) or keyword.iskeyword(name):
        raise ConfigError(
            f"name: got {name!r}, need one that a Python package can have.",
            "Small letters, digits and underscores, a letter first: my_paper.",
        )
    taken = options("paper").get(name)
    if taken is not None and taken != Path.cwd() / "conf" / "paper" / f"{name}.yaml":
        raise ConfigError(
            f"There is a paper {name!r} already: {shown(taken)}.", f"Give yours another name, such as my_{name}."
        )
    spec = None if (Path.cwd() / name).is_dir() else importlib.util.find_spec(name)
    if spec is not None or name in ("conf", "runs", "reference_numbers", "tests"):
        where = spec.origin if spec is not None and spec.origin else "a folder that repro reads or writes"
        raise ConfigError(
            f"name: {name!r} is taken by {where}; the paper's package would hide it.",
            f"Give yours another name, such as my_{name}.",
        )


def refuse_existing(paths: Iterable[Path]) -> None:
    """Raise `ConfigError` listing every file that is already there."""
    there = [path for path in paths if path.exists()]
    if there:
        raise ConfigError(
            f"{len(there)} file{'s are' if len(there) > 1 else ' is'} already there, and nothing is overwritten:\n"
            + "\n".join(f"  {path}" for path in there),
            "Give the paper another name, or move these away.",
        )


def write(texts: dict[Path, str]) -> None:
    """Write every file, or none of them where one cannot be written."""
    done: list[Path] = []
    try:
        for path, text in texts.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("x", encoding="utf-8") as file:
                done.append(path)
                file.write(text)
    except OSError as fault:
        for path in done:
            path.unlink(missing_ok=True)
        raise ConfigError(
            f"Cannot write {fault.filename}: {fault.strerror}; nothing was left behind.",
            "Choose a folder that can be written.",
        ) from fault


def told(answers: Answers, written: dict[Path, str]) -> str:
    lines = [f"{len(written)} files:", *(f"  {path}" for path in written), ""]
    lines += [
        f"Next: python -m repro run paper={answers.name}       # the first step that is not done, and what to do there",
        f"      python -m repro session paper={answers.name}   # the page of that step",
    ]
    return "\n".join(lines)
