"""Overrides as typed on the command line: parsed by Hydra's grammar, with errors that say what to type instead."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

from repro.configuration.folders import options
from repro.errors import ConfigError

if TYPE_CHECKING:
    from hydra.core.override_parser.types import Override

#: Groups that an override chooses from; `phase` is not one: `phases=[…]` says which phases run.
GROUPS = ("paper", "data", "type", "scale", "sweep", "launcher")


class _Options:
    """What Hydra's parser asks for the choices of `glob(…)`."""

    def get_group_options(self, group_name: str, results_filter: Any = None) -> list[str]:
        return list(options(group_name))


def parse(overrides: Sequence[str]) -> list[Override]:
    """Parsed overrides, in order; ConfigError names the first that Hydra's grammar does not accept."""
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.errors import HydraException

    parser = OverridesParser.create(config_loader=_Options())  # type: ignore[arg-type]
    parsed: list[Override] = []
    for text in overrides:
        if "=" not in text and not text.startswith("~"):
            raise ConfigError(f"{text!r} is not an override: got no '='.", _without_equals(text))
        try:
            parsed += parser.parse_overrides([text])
        except HydraException as error:
            raise ConfigError(
                f"The override {text!r} cannot be read: {_first_line(error)}.",
                "Write key=value; quote values with special characters twice, for example 'paper.title=\"a, b\"'.",
            ) from error
    for override in parsed:
        if override.key_or_group == "phase":
            raise ConfigError(
                f"The override {override.input_line!r}: `phase` holds the checks of each phase.",
                "To run a part of the phases, write phases=[analysis,data]; for one check, check.only=<name>.",
            )
        if override.is_hydra_override():
            raise ConfigError(
                f"The override {override.input_line!r} is about Hydra itself, which repro does not hand on.",
                "Results go to runs_folder=…, parallel runs to workers=… and launcher=….",
            )
    return parsed


def _first_line(error: Exception) -> str:
    lines = [line for line in str(error).splitlines() if line and not line.startswith(("See http", "Error parsing"))]
    return lines[0].split(" expecting ")[0].rstrip(".") if lines else "the grammar does not accept it"


def _without_equals(text: str) -> str:
    for group in GROUPS:
        if text in options(group):
            return f"Did you mean {group}={text}?"
    return "Write key=value, for example paper=transformer or reproduction.seeds=5."


def unknown_option(group: str, name: str) -> ConfigError:
    """The error for a choice that a group does not have, with near names and all known ones."""
    known = list(options(group))
    near = get_close_matches(name, known, n=3, cutoff=0.5)
    noun = {"data": "data set", "type": "type of paper"}.get(group, group)
    hint = f"Near: {', '.join(near)}. " if near else ""
    hint += f"Known: {', '.join(known) or 'none'}"
    return ConfigError(
        f"There is no {noun} {name!r}.", hint + (" (python -m repro list)." if group == "paper" else ".")
    )


def check_choices(parsed: Iterable[Override]) -> None:
    """Raise ConfigError for a choice that does not exist, a list where one value is needed, or a missing paper."""
    paper = None
    for override in parsed:
        if override.is_sweep_override():
            raise ConfigError(
                f"The override {override.input_line!r} holds several values.",
                f"Add --multirun to run them one after the other, or write a list: {override.key_or_group}=[…].",
            )
        if override.key_or_group not in GROUPS or override.is_delete():
            continue
        value = override.value()
        if not isinstance(value, str | int | float):
            raise ConfigError(
                f"{override.key_or_group} chooses a file of conf/{override.key_or_group}/ by name, got {value!r}.",
                f"Known: {', '.join(options(override.key_or_group))}.",
            )
        if str(value) not in options(override.key_or_group):
            raise unknown_option(override.key_or_group, str(value))
        if override.key_or_group == "paper":
            paper = value
    if paper is None:
        known = ", ".join(options("paper")) or "none"
        raise ConfigError("No paper is named.", f"Add paper=<name>. Known: {known} (python -m repro list).")


def expand(overrides: Sequence[str]) -> list[list[str]]:
    """Every combination of overrides that hold several values (`a,b`, `choice(…)`, `range(…)`, `glob(…)`), in order.

    `["paper=a,b", "x=1"]` gives `[["paper=a", "x=1"], ["paper=b", "x=1"]]`. ConfigError for `interval(…)`, which has no
    end of values.
    """
    columns: list[list[str]] = []
    for override in parse(overrides):
        assert override.input_line is not None
        if not override.is_sweep_override():
            columns.append([override.input_line])
        elif override.is_discrete_sweep():
            columns.append([f"{override.get_key_element()}={value}" for value in override.sweep_string_iterator()])
        else:
            raise ConfigError(
                f"{override.input_line!r} is an interval and cannot be run value by value.",
                "Write the values, a,b,c, or search an interval with python -m repro sweep.",
            )
    for text, column in zip(overrides, columns, strict=True):
        if not column:
            raise ConfigError(f"The override {text!r} holds no value.", "Name at least one.")
    return [list(combination) for combination in itertools.product(*columns)]
