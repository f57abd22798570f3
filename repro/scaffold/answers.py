"""What `new` asks about a paper: every answer may be empty, the analysis gate names what still is."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from repro.errors import ConfigError
from repro.reference.printed import is_number
from repro.reference.schema import DIRECTIONS

COMPONENTS = ("data", "model", "loss", "training", "evaluation")
TRICKY = ("part", "hidden_in", "guard")
NUMBER = ("metric", "value", "where", "direction", "tolerance", "reason")


@dataclass
class Answers:
    """A paper as far as it is known. `tricky` entries have the keys `TRICKY`, `numbers` the keys `NUMBER`."""

    name: str
    type: str
    title: str = ""
    arxiv: str = ""
    core_algorithm: str = ""
    stripped_away: list[str] = field(default_factory=list)
    components: dict[str, str] = field(default_factory=dict)
    tricky: list[dict[str, str]] = field(default_factory=list)
    numbers: list[dict[str, str]] = field(default_factory=list)
    compute: str = ""


def fields_of(text: str, keys: tuple[str, ...], flag: str) -> dict[str, str]:
    """`'part="shifted by one" hidden_in="section 3" guard=shifted'` as a dict with exactly these keys.

    Raises `ConfigError` naming what is missing or unknown.
    """
    example = " ".join(f'{key}="…"' for key in keys)
    try:
        pairs = dict(word.split("=", 1) for word in shlex.split(text))
    except ValueError:
        raise ConfigError(f"{flag}: got {text!r}, need {example}") from None
    if set(pairs) != set(keys) or not all(pairs.values()):
        missing = [key for key in keys if not pairs.get(key)]
        unknown = [key for key in pairs if key not in keys]
        parts = [f"missing {', '.join(missing)}" if missing else "", f"unknown {', '.join(unknown)}" if unknown else ""]
        raise ConfigError(f"{flag}: {'; '.join(part for part in parts if part)} in {text!r}.", f"Need {example}")
    return pairs


def number_of(text: str) -> dict[str, str]:
    """A reported number from its flag; `ConfigError` for a value, tolerance or direction that cannot be one."""
    found = fields_of(text, NUMBER, "--number")
    for key in ("value", "tolerance"):
        if not is_number(found[key]):
            raise ConfigError(f"--number: {key} is {found[key]!r}, need a number")
    if found["direction"] not in DIRECTIONS:
        raise ConfigError(f"--number: direction is {found['direction']!r}, need {' or '.join(DIRECTIONS)}")
    return found


def ask(answers: Answers, checks: Iterable[str], read: Callable[[str], str], say: Callable[[str], None]) -> None:
    """Fill what is empty by asking; an empty line leaves it for later."""
    say("Each answer goes into a file that you can edit; Enter leaves it for later.")
    answers.title = answers.title or read("Title: ")
    answers.arxiv = answers.arxiv or read("arXiv id (such as 1706.03762): ")
    answers.core_algorithm = answers.core_algorithm or read("The minimal algorithm, in a sentence: ")
    answers.stripped_away = answers.stripped_away or several("Left out on purpose", read, say)
    for name in COMPONENTS:
        if not answers.components.get(name):
            answers.components[name] = read(f"What is the {name} in this paper, and in which section? ")
    if not answers.tricky:
        say("Tricky parts, and the check or question that would notice. Checks: " + ", ".join(checks))
        answers.tricky = records(
            {"part": "  easy to get wrong: ", "hidden_in": "  where the paper hides it: ", "guard": "  guarded by: "},
            read,
        )
    if not answers.numbers:
        say("Numbers that the paper prints.")
        while True:
            given = records(
                {
                    "metric": "  what is measured (a name, such as accuracy): ",
                    "value": "  as printed: ",
                    "where": "  table or section, and row: ",
                    "direction": "  which is better, higher, lower or none: ",
                    "tolerance": "  how far off still counts as the same: ",
                    "reason": "  why so far: ",
                },
                read,
                most=1,
            )
            if not given:
                break
            try:
                answers.numbers.append(number_of(" ".join(f"{key}={shlex.quote(v)}" for key, v in given[0].items())))
            except ConfigError as fault:
                say(f"  {fault.message}. Left out; it can be written into the table.")
    answers.compute = answers.compute or read("What the paper spent (hardware and hours): ")


def several(what: str, read: Callable[[str], str], say: Callable[[str], None]) -> list[str]:
    say(f"{what}, one a line; Enter ends the list.")
    found = []
    while line := read("  "):
        found.append(line)
    return found


def records(prompts: dict[str, str], read: Callable[[str], str], most: int = 100) -> list[dict[str, str]]:
    """Records until the first prompt is left empty; one that is left half empty is asked no further."""
    found: list[dict[str, str]] = []
    while len(found) < most:
        record = {}
        for key, prompt in prompts.items():
            record[key] = read(prompt)
            if not record[key]:
                break
        if len(record) < len(prompts) or not all(record.values()):
            return found
        found.append(record)
    return found
