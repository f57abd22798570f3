"""What `new` asks about a paper: every answer may be empty, the analysis gate names what still is."""

from __future__ import annotations

import difflib
import re
import shlex
from collections.abc import Callable, Mapping, Sequence
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


def wrong_number(key: str, value: str) -> str:
    """What is wrong with one part of a reported number; "" for nothing."""
    if key in ("value", "tolerance") and not is_number(value):
        return f"{key} is {value!r}, need a number"
    if key == "direction" and value not in DIRECTIONS:
        return f"direction is {value!r}, need {' or '.join(DIRECTIONS)}"
    return ""


def number_of(text: str) -> dict[str, str]:
    """A reported number from its flag; `ConfigError` for a value, tolerance or direction that cannot be one."""
    found = fields_of(text, NUMBER, "--number")
    for key, value in found.items():
        if fault := wrong_number(key, value):
            raise ConfigError(f"--number: {fault}")
    return found


def arxiv_id(text: str) -> str:
    """An arXiv id without its prefix. Raises `ConfigError` for anything else, such as the name of a journal."""
    found = re.sub(r"^(https?://)?(www\.)?arxiv(\.org/(abs|pdf)/|:)", "", text.strip(), flags=re.I).removesuffix(".pdf")
    if found and not re.fullmatch(r"(\d{4}\.\d{4,5}|[a-z-]+(\.[A-Z]{2})?/\d{7})(v\d+)?", found):
        raise ConfigError(
            f"--arxiv: {text!r} is no arXiv id.", "Need one such as 1706.03762 or cs/9905014; none for another paper."
        )
    return found


def ask(
    answers: Answers,
    checks: Sequence[str],
    decides: Callable[[], Mapping[str, str]],
    read: Callable[[str], str],
    say: Callable[[str], None],
) -> None:
    """Fill what is empty by asking; an empty line leaves it for later.

    `decides` gives what each of the `checks` decides; it is asked only when the person wants to know, for it is slow.
    """
    say("Each answer goes into a file that you can edit; Enter leaves it for later, Ctrl-D all that follow.")
    answers.title = answers.title or read("Title: ")
    while not answers.arxiv:
        try:
            answers.arxiv = arxiv_id(read("arXiv id (such as 1706.03762; Enter for a paper that is not there): "))
            break
        except ConfigError as fault:
            say(f"  {fault.message} {fault.hint}")
    answers.core_algorithm = answers.core_algorithm or read("The minimal algorithm, in a sentence: ")
    answers.stripped_away = answers.stripped_away or several("Left out on purpose", read, say)
    for name in COMPONENTS:
        if not answers.components.get(name):
            answers.components[name] = read(f"What is the {name} in this paper, and in which section? ")
    if not answers.tricky:
        say("What is easy to get wrong, one part at a time; Enter ends the list.")
        answers.tricky = tricky_parts(checks, decides, read, say)
    if not answers.numbers:
        say("Numbers that the paper prints, one at a time; Enter ends the list.")
        answers.numbers = numbers(read, say)
    answers.compute = answers.compute or read("What the paper spent (hardware and hours): ")


def several(what: str, read: Callable[[str], str], say: Callable[[str], None]) -> list[str]:
    say(f"{what}, one a line; Enter ends the list.")
    found = []
    while line := read("  "):
        found.append(line)
    return found


def tricky_parts(
    checks: Sequence[str],
    decides: Callable[[], Mapping[str, str]],
    read: Callable[[str], str],
    say: Callable[[str], None],
) -> list[dict[str, str]]:
    """Tricky parts until an empty line; what is not known of one yet stays empty, and the analysis gate asks for it."""
    found = []
    while part := read("  easy to get wrong: "):
        hidden_in = read("  where the paper hides it: ")
        guard = guard_of(checks, decides, read, say)
        found.append({"part": part, "hidden_in": hidden_in, "guard": guard})
    return found


def guard_of(
    checks: Sequence[str],
    decides: Callable[[], Mapping[str, str]],
    read: Callable[[str], str],
    say: Callable[[str], None],
) -> str:
    """The check or the question that would notice; a name without blanks, or none."""
    while True:
        guard = read("  what would notice, a check (? lists them, ?word explains some) or the id of a question: ")
        if guard == "?":
            say(f"    {', '.join(checks)}")
        elif guard.startswith("?"):
            word = guard[1:].strip().lower()
            found = {name: what for name, what in decides().items() if word in f"{name} {what}".lower()}
            for name, what in found.items():
                say(f"    {name}: {what}")
            if not found:
                say(f"    No check speaks of {word!r}.")
        elif len(guard.split()) > 1:
            say(f"    {guard!r} has blanks: give the question an id, such as masks-by-hand; you write it later.")
        else:
            break
    if guard and guard not in checks:
        close = difflib.get_close_matches(guard, checks, n=1)
        near = f"; the nearest check is {close[0]}" if close else ""
        say(f"    {guard} is none of the checks{near}: a question of that id will be asked for.")
    return guard


def wanted(key: str, prompt: str, read: Callable[[str], str], say: Callable[[str], None]) -> str:
    """One part of a reported number, asked for until it can be one; "" where it is left empty."""
    while (value := read(prompt)) and (fault := wrong_number(key, value)):
        say(f"    {fault}.")
    return value


def numbers(read: Callable[[str], str], say: Callable[[str], None]) -> list[dict[str, str]]:
    """Reported numbers until an empty line; one that is left half empty is not kept."""
    prompts = {
        "metric": "  what is measured (a name, such as accuracy): ",
        "value": "  as printed: ",
        "where": "  table or section, and row: ",
        "direction": "  which is better, higher, lower or none: ",
        "tolerance": "  how far off still counts as the same: ",
        "reason": "  why so far: ",
    }
    found: list[dict[str, str]] = []
    while True:
        record: dict[str, str] = {}
        for key, prompt in prompts.items():
            value = wanted(key, prompt, read, say)
            if not value and record:
                say("    A number is kept with all of these; Enter again leaves it out.")
                value = wanted(key, prompt, read, say)
            if not value:
                break
            record[key] = value
        if len(record) == len(prompts):
            found.append(record)
            continue
        if record:
            say(f"  {record['metric']} is not kept: write the whole record into reference_numbers/ once you know it.")
            continue
        return found
