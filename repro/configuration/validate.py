"""Checks of a composed config: the harness's own settings have usable values, and the paper accepts the data set."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any

from repro.configuration.folders import options, package_conf
from repro.configuration.locate import locate, utf8
from repro.errors import ConfigError
from repro.phases import ORDER

if TYPE_CHECKING:
    from omegaconf import DictConfig

#: What a paper's file may say about the paper.
PAPER = (
    "name", "title", "arxiv", "version", "type", "reference", "core_algorithm", "stripped_away", "components",
    "tricky_parts", "deviations", "compute", "steps", "tasks", "from_scratch_overrides",
)  # fmt: skip
PRECISIONS = ("32-true", "64-true", "bf16-mixed", "16-mixed", "bf16-true", "16-true")


def _whole(least: int) -> Any:
    def fits(value: object) -> str:
        good = isinstance(value, int) and not isinstance(value, bool) and value >= least
        return "" if good else f"a whole number of at least {least}"

    return fits


def _whole_or_null(least: int) -> Any:
    return lambda value: (
        "" if value is None else (_whole(least)(value) and f"a whole number of at least {least}, or null")
    )


def _choice(*names: object) -> Any:
    return lambda value: "" if value in names else f"one of {', '.join(map(str, names))}"


def _flag(value: object) -> str:
    return "" if isinstance(value, bool) else "true or false"


def _between(low: float, high: float) -> Any:
    def fits(value: object) -> str:
        good = isinstance(value, int | float) and not isinstance(value, bool) and low < value < high
        return "" if good else f"a number between {low:g} and {high:g}, both excluded"

    return fits


def _text(value: object) -> str:
    return "" if isinstance(value, str) and value else "text"


def _device(value: object) -> str:
    good = isinstance(value, str) and re.fullmatch(r"auto|cpu|mps|cuda(:\d+)?", value)
    return "" if good else "auto, cpu, mps, cuda, or one GPU such as cuda:0"


#: Top-level keys that have a meaning.
SECTIONS = (
    *("paper", "data", "dataset", "model", "loss", "training", "evaluation", "tensors", "stages", "properties"),
    *("initialisation", "pieces", "splits", "schedule", "optimiser", "ablations", "systems", "when", "extensions"),
    *("type", "scale", "phase", "gauntlet", "reproduction", "sweep", "launcher", "tracking", "runs_folder"),
    *("keep_going", "phases", "questions", "device", "precision", "threads", "workers", "check", "metrics"),
    *("devices", "loss_mean_over"),
)

#: Dotted key → what is wrong with a value ("" if nothing is).
RULES: dict[str, Any] = {
    "runs_folder": _text,
    "keep_going": _flag,
    "questions": _choice("shown", "required"),
    "precision": _choice(*PRECISIONS),
    "device": _device,
    "devices": _whole(1),
    "threads": _whole_or_null(1),
    "workers": _whole_or_null(1),
    "tracking.wandb": _choice("offline", "online", "disabled"),
    "reproduction.seeds": _whole(1),
    "reproduction.first_seed": _whole(0),
    "reproduction.max_seeds": _whole(1),
    "reproduction.seed_batch": _whole_or_null(1),
    "reproduction.confidence": _between(0, 1),
    "reproduction.updates": _whole(1),
    "reproduction.evaluate_every": _whole(1),
    "reproduction.evaluation_split": _choice("validation", "test"),
    "reproduction.log_every": _whole(1),
    "reproduction.checkpoint_every": _whole(1),
    "reproduction.keep_checkpoints": _whole(1),
    "reproduction.keep_every": _whole_or_null(1),
    "gauntlet.memorise_updates": _whole(1),
    "gauntlet.learning_rate.from": _between(0, float("inf")),
    "gauntlet.learning_rate.to": _between(0, float("inf")),
    "gauntlet.learning_rate.trials": _whole(0),
    "gauntlet.learning_rate.updates": _whole(1),
    "gauntlet.ablations.seeds": _whole(1),
    "gauntlet.ablations.updates": _whole(1),
}


def validate(config: DictConfig, choices: Mapping[str, str], files: Iterable[Path]) -> None:
    """Raise one ConfigError that lists every fault, each with where the value was set."""
    from omegaconf import OmegaConf

    files = list(files)
    plain = OmegaConf.to_container(config, resolve=True)
    assert isinstance(plain, dict)
    _misspelt(plain, files)
    faults: list[str] = []

    def fault(key: str, got: object, need: str) -> None:
        place = locate(key, files)
        faults.append(f"{key}: got {got!r}, need {need}" + (f" (default in {place})" if place else ""))

    for key, rule in RULES.items():
        value = _select(plain, key)
        need = rule(value)
        if need:
            fault(key, value, need)
    phases = [plain["phases"]] if isinstance(plain["phases"], str) else plain["phases"]
    if not isinstance(phases, list) or not phases or any(phase not in ORDER for phase in phases):
        fault("phases", phases, f"a list of some of {', '.join(ORDER)}")
    least, most = _select(plain, "reproduction.seeds"), _select(plain, "reproduction.max_seeds")
    if isinstance(least, int) and isinstance(most, int) and least > most and "max_seeds" not in str(faults):
        fault("reproduction.max_seeds", most, f"at least reproduction.seeds, which is {least}")
    systems = plain.get("systems") or {}
    for system, own in (_select(plain, "reproduction.max_seeds_of") or {}).items():
        if system not in systems:
            fault(f"reproduction.max_seeds_of.{system}", own, f"one of the systems: {', '.join(systems) or 'none'}")
        elif _whole(1)(own):
            fault(f"reproduction.max_seeds_of.{system}", own, _whole(1)(own))
    low, high = _select(plain, "gauntlet.learning_rate.from"), _select(plain, "gauntlet.learning_rate.to")
    if isinstance(low, float) and isinstance(high, float) and low >= high:
        fault("gauntlet.learning_rate.to", high, f"more than gauntlet.learning_rate.from, which is {low:g}")
    by = _select(plain, "splits.by")
    if plain["splits"] and by not in ("loader", "mask", "none"):
        fault("splits.by", by, "loader (batches tells them apart), mask (with tensors: […]) or none (with reason: …)")
    if by == "none" and not _select(plain, "splits.reason"):
        fault(
            "splits.reason", None, "why nothing is held out, such as 'section 3: trained and tested on all 64 vectors'"
        )
    names = _select(plain, "gauntlet.ablations.names")
    unknown = [name for name in names if name not in (plain["ablations"] or {})] if isinstance(names, list) else []
    if unknown:
        known = ", ".join(plain["ablations"] or {}) or "none is declared"
        fault("gauntlet.ablations.names", unknown, f"names of declared ablations: {known}")
    if faults:
        count = f"{len(faults)} settings are wrong:\n  " if len(faults) > 1 else ""
        raise ConfigError(count + "\n  ".join(faults), "All settings: add --cfg job.")
    _paper_name(plain, choices, files)


def _misspelt(plain: Mapping[Any, Any], files: Iterable[Path]) -> None:
    """Raise ConfigError for a section whose name is nearly one of ours: it would be ignored silently.

    A paper may have sections of its own, to refer to, under any other name.
    """
    for name in plain:
        near = get_close_matches(str(name), SECTIONS, n=1, cutoff=0.8)
        if near and name not in SECTIONS:
            raise ConfigError(
                f"{locate(str(name), files)}: {name!r} is no section that repro reads.",
                f"Near: {near[0]}. A section of your own needs a name that is not so near to one of ours.",
            )
    _misspelt_below(plain, {"paper": dict.fromkeys(PAPER), **_defaults()}, "", files)


def _misspelt_below(plain: Mapping[Any, Any], known: Mapping[str, Any], path: str, files: Iterable[Path]) -> None:
    """The same for the keys below sections that are ours; where ours is an empty mapping, any key may stand."""
    for section, ours in known.items():
        given = plain.get(section)
        if not isinstance(given, Mapping) or not isinstance(ours, Mapping) or not ours:
            continue
        for name in given:
            near = get_close_matches(str(name), ours, n=1, cutoff=0.75)
            if near and name not in ours:
                key = f"{path}{section}.{name}"
                raise ConfigError(
                    f"{locate(key, files)}: {key} is no key that repro reads.",
                    f"Near: {near[0]}. All keys: add --cfg job.",
                )
        _misspelt_below(given, ours, f"{path}{section}.", files)


def _defaults() -> dict[str, Any]:
    """The sections whose keys are all ours, with their defaults as our own files write them."""
    import yaml

    found: dict[str, Any] = {}
    for section, file in (
        ("reproduction", "phase/reproduction"),
        ("gauntlet", "phase/gauntlet"),
        ("tracking", "config"),
    ):
        loaded = yaml.load(utf8(package_conf() / f"{file}.yaml"), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
        found[section] = loaded[section]
    return found


def _select(plain: Mapping[Any, Any], key: str) -> Any:
    value: Any = plain
    for part in key.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    return value


def _paper_name(plain: Mapping[Any, Any], choices: Mapping[str, str], files: Iterable[Path]) -> None:
    paper = choices.get("paper", "")
    if not isinstance(plain.get("paper"), Mapping) or "name" not in plain["paper"]:
        place = str(options("paper").get(paper, f"conf/paper/{paper}.yaml"))
        raise ConfigError(
            f"{place}: it sets no `paper.name`.",
            "Its first line must be `# @package _global_`, and it must set `paper: {name: …, title: …}`.",
        )
    name = plain["paper"]["name"]
    if name != paper and name in options("paper"):
        raise ConfigError(
            f"{locate('paper.name', files)}: paper.name is {name!r}, the name of another paper.",
            f"That one is {options('paper')[name]}, and results of both would lie in one folder. Name it {paper}.",
        )


def data_fits(plain: Mapping[Any, Any], choices: Mapping[str, str], files: Iterable[Path]) -> None:
    """Raise ConfigError where the chosen data set does not name the paper, before a key of the data is missed."""
    if "data" not in choices:
        return  # a paper under construction: the phases say what is still to do
    paper = choices.get("paper", "")
    accepted = _select(plain, "dataset.papers")
    if isinstance(accepted, list) and _select(plain, "paper.name") not in accepted and paper not in accepted:
        fitting = [name for name, path in options("data").items() if paper in _papers_of(path)]
        raise ConfigError(
            f"The data set {choices['data']!r} is not for the paper {paper!r}: {locate('dataset.papers', files)} "
            f"accepts {', '.join(map(str, accepted)) or 'none'}.",
            f"Choose data=… from: {', '.join(fitting) or 'none yet'}; or add {paper} to dataset.papers.",
        )


def _papers_of(path: Path) -> list[str]:
    import yaml

    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, OSError, UnicodeDecodeError):
        return []  # only a suggestion is lost
    papers = _select(content, "dataset.papers") if isinstance(content, dict) else None
    return papers if isinstance(papers, list) else []
