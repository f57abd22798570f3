"""From overrides to one resolved config: Hydra composes it, the paper's deltas apply, every fault becomes a message."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from repro.configuration import secrets
from repro.configuration.deltas import apply_when, leaves_of, near_keys, set_value
from repro.configuration.folders import options, package_conf
from repro.configuration.locate import locate, shown, utf8
from repro.configuration.overrides import GROUPS, check_choices, parse, unknown_option
from repro.configuration.validate import data_fits, validate
from repro.errors import ConfigError

if TYPE_CHECKING:
    from hydra.core.override_parser.types import Override
    from omegaconf import DictConfig


@dataclass(frozen=True)
class Composed:
    """A composed config.

    `config` is resolved: no interpolation is left, and `when` is applied and gone. `choices` says which option each
    group took (`{"paper": "transformer", "data": "numbers", "scale": "laptop", …}`); `overrides` is what was typed;
    `changed` the keys that `when` set; `unresolved` the same config with its interpolations.
    """

    config: DictConfig
    choices: dict[str, str]
    overrides: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    unresolved: DictConfig | None = None
    from_environment: frozenset[str] = field(default=frozenset())

    def with_changes(self, changes: Mapping[str, Any]) -> Composed:
        """The same with other values at some dotted keys, before interpolations resolve: `{"model.width": 4}` reaches
        all that refers to the width. ConfigError for a key that does not exist.
        """
        assert self.unresolved is not None
        unresolved = copy.deepcopy(self.unresolved)
        for key, value in leaves_of(changes).items():
            set_value(unresolved, key, value, "The change")
        files = _files(self.choices)
        return Composed(
            config=_resolve(unresolved, files),
            choices=self.choices,
            overrides=self.overrides,
            changed=self.changed,
            unresolved=unresolved,
            from_environment=_learn_secrets(unresolved),
        )

    def place(self, key: str) -> str:
        """ "conf/paper/mine.yaml line 12": where the chosen files set a dotted key, or the nearest key above it."""
        return locate(key, _files(self.choices))

    @property
    def typed(self) -> list[str]:
        """The overrides with their secrets masked: what may be printed or written."""
        return [secrets.mask_text(override) for override in self.overrides]

    def __setstate__(self, state: dict[str, Any]) -> None:
        # in another process, which must not print this config's secrets either
        self.__dict__.update(state)
        if self.unresolved is not None:
            _learn_secrets(self.unresolved)


def compose(overrides: Sequence[str], strict: bool = True) -> Composed:
    """Compose conf/ with overrides such as `["paper=transformer", "model.width=64"]`.

    `strict` also checks the values of the harness's own settings and that the paper accepts the data set. Every
    fault is a ConfigError that names the key or the file and line, what was got and what is needed.
    """
    secrets.remember_overrides(overrides)
    parsed = parse(overrides)
    check_choices(parsed)
    from omegaconf import OmegaConf, open_dict

    composed = _hydra(overrides, parsed)
    choices = _choices(composed)
    files = _files(choices)
    _without_hydra(composed)
    overridden = [override.key_or_group for override in parsed if override.key_or_group not in GROUPS]
    if strict:
        plain = OmegaConf.to_container(composed, resolve=False)
        assert isinstance(plain, dict)
        data_fits(plain, choices, files)
    try:
        changed = apply_when(composed, choices, overridden)
    except ConfigError as error:
        raise ConfigError(_at(locate("when", files), error.message), error.hint) from error
    with open_dict(composed):
        composed.pop("when", None)
    OmegaConf.set_struct(composed, True)
    from_environment = _learn_secrets(composed)
    result = Composed(
        config=_resolve(composed, files, overridden),
        choices=choices,
        overrides=tuple(overrides),
        changed=tuple(changed),
        unresolved=composed,
        from_environment=from_environment,
    )
    if strict:
        validate(result.config, choices, files)
        _text_for_numbers(result.config, overrides, parsed, files)
    return result


def _text_for_numbers(
    config: DictConfig, overrides: Sequence[str], parsed: Sequence[Override], files: Iterable[Path]
) -> None:
    """Raise ConfigError for text where the default is a number, true or false: it would fail deep in a component."""
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    texts = [
        override
        for override in parsed
        if override.key_or_group not in GROUPS and isinstance(OmegaConf.select(config, override.key_or_group), str)
    ]
    if not texts:
        return
    kept = [(line, override) for line, override in zip(overrides, parsed, strict=True) if override not in texts]
    defaults = _without_hydra(_hydra([line for line, _ in kept], [override for _, override in kept]))
    faults = []
    for override in texts:
        try:  # of this key alone: what `when` refers to need not exist under these choices
            default = OmegaConf.select(defaults, override.key_or_group)  # None for a key that this override adds
        except OmegaConfBaseException:
            continue
        if isinstance(default, bool | int | float):
            need = "true or false" if isinstance(default, bool) else "a number"
            place = locate(override.key_or_group, files)
            where = f", in {place}" if place else ""
            faults.append(
                f"{override.key_or_group}: got {override.value()!r}, need {need} (the default is {default}{where})"
            )
    if faults:
        raise ConfigError("\n".join(faults))


def _hydra(overrides: Sequence[str], parsed: Sequence[Override]) -> DictConfig:
    """Hydra's own composition, with its `hydra` node, or a ConfigError."""
    import yaml
    from hydra import compose as hydra_compose
    from hydra import initialize_config_dir
    from hydra.core.plugins import Plugins
    from hydra.errors import HydraException
    from omegaconf.errors import OmegaConfBaseException

    from repro.configuration.current_folder import CurrentFolderSource

    Plugins.instance().register(CurrentFolderSource)
    try:
        with initialize_config_dir(str(package_conf()), version_base="1.3", job_name="repro"):
            return hydra_compose("config", overrides=list(overrides), return_hydra_config=True)
    except yaml.MarkedYAMLError as error:
        raise _yaml_error(error) from error
    except (HydraException, OmegaConfBaseException, ValueError, OSError) as error:
        # a ValueError is how Hydra reports a malformed defaults list, an OSError a file that is no mapping
        if isinstance(error, UnicodeDecodeError):
            for path in {path for group in GROUPS for path in options(group).values()}:
                utf8(path)
        raise _explain(error, overrides, parsed) from error


def _without_hydra(composed: DictConfig) -> DictConfig:
    from omegaconf import open_dict

    with open_dict(composed):
        del composed["hydra"]
    return composed


def _explain(error: Exception, overrides: Sequence[str], parsed: Sequence[Override]) -> ConfigError:
    text = str(error)
    match = re.search(
        r"Could not (?:override|delete from config\.) '(?P<key>[^']+)'|The value of '(?P<other>[^']+)'", text
    )
    failed = re.search(r"Error merging override (?P<line>.*)", text)
    bad = None
    for override in parsed:
        named = match and override.key_or_group in (match["key"], match["other"])
        if named or (failed and override.input_line == failed["line"].strip()):
            bad = override
    if bad is not None:
        # what else could have been meant is known once everything but this override is composed
        rest = [
            line for line, other in zip(overrides, parsed, strict=True) if other is not bad and not _after(other, bad)
        ]
        config = _without_hydra(
            _hydra(rest, [other for other in parsed if other is not bad and not _after(other, bad)])
        )
        cause = error.__cause__
        if match:
            return ConfigError(
                f"The override {bad.input_line!r}: there is no key {bad.key_or_group}.",
                near_keys(config, bad.key_or_group),
            )
        return ConfigError(f"The override {bad.input_line!r} does not fit: {_first(cause or error)}.")
    absent = re.search(r"Could not find '(?P<group>\w+)/(?P<name>[^']+)'", text)
    if absent and absent["group"] in GROUPS:
        chosen = next((str(one.value()) for one in parsed if one.key_or_group == "paper"), "")
        unknown = unknown_option(absent["group"], absent["name"])
        place = shown(options("paper")[chosen]) if chosen in options("paper") else ""
        return ConfigError(_at(place, unknown.message), unknown.hint)
    for override in parsed:
        if override.key_or_group.split("@")[0] in text and override.package is not None:
            return ConfigError(f"The override {override.input_line!r} does not fit: {_first(error)}.")
    return ConfigError(f"The configuration cannot be composed: {_first(error)}.", _rest(text))


def _after(override: Override, bad: Override) -> bool:
    return override.key_or_group.startswith(f"{bad.key_or_group}.")


def _first(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0].rstrip(".:") if lines else type(error).__name__


def _rest(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()][1:]
    return " ".join(line for line in lines if "hydra://" not in line and "See http" not in line)[:400]


def _yaml_error(error: Any) -> ConfigError:
    mark = error.problem_mark or error.context_mark
    where = f"{shown(Path(mark.name))} line {mark.line + 1}, column {mark.column + 1}" if mark else "A config file"
    context = f" ({error.context})" if error.context else ""
    return ConfigError(
        f"{where}: this is not YAML: {error.problem}{context}.",
        "Often an indent, a missing blank after a colon, or a ':' in text that needs quotes.",
    )


def _choices(composed: DictConfig) -> dict[str, str]:
    chosen = composed.hydra.runtime.choices
    return {group: str(chosen[group]) for group in GROUPS if chosen.get(group) is not None}


def _files(choices: Mapping[str, str]) -> list[Path]:
    """The files that a choice of options reads, later ones winning."""
    files = [package_conf() / "config.yaml", *sorted((package_conf() / "phase").glob("*.yaml"))]
    order = ("type", "scale", "launcher", "sweep", "data", "paper")
    return files + [options(group)[choices[group]] for group in order if choices.get(group) in options(group)]


def _learn_secrets(unresolved: DictConfig) -> frozenset[str]:
    """Remember every secret of a config, so that no output of this process shows it; keys set by the environment."""
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    raw = OmegaConf.to_container(unresolved, resolve=False)
    assert isinstance(raw, dict)
    plain = {str(key): value for key, value in raw.items()}
    keys = secrets.from_environment(plain)
    values = secrets.secret_values(plain) | secrets.environment_values(plain)
    for key in keys:
        try:
            value = OmegaConf.select(unresolved, key)
        except OmegaConfBaseException:
            continue  # reported, masked, when the config is resolved
        if isinstance(value, str) and len(value) >= 4:
            values.add(value)
    secrets.remember((value for value in values if "${" not in value), keys)
    return keys


def _resolve(unresolved: DictConfig, files: Iterable[Path], overridden: Iterable[str] = ()) -> DictConfig:
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    def place(key: str) -> str:
        return "" if key in overridden else locate(key, files)

    resolved = copy.deepcopy(unresolved)
    try:
        OmegaConf.resolve(resolved)
    except OmegaConfBaseException as error:
        key = _unresolvable(unresolved)
        missing = re.search(r"Interpolation key '([^']+)' not found", str(error))
        hint = near_keys(unresolved, missing[1]) if missing else ""
        raise ConfigError(_at(place(key), f"{key}: {_first(error)}."), hint) from error
    absent = sorted(OmegaConf.missing_keys(resolved))
    if absent:
        faults = [_at(place(key), f"{key} has no value (???)") for key in absent]
        raise ConfigError("; ".join(faults) + ".", f"Give it one, for example {absent[0]}=… on the command line.")
    return resolved


def _unresolvable(unresolved: DictConfig) -> str:
    """The first key whose interpolation fails; OmegaConf's own error does not always say."""
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    for key, value in secrets.leaves(OmegaConf.to_container(unresolved, resolve=False)):
        if isinstance(value, str) and "${" in value:
            try:
                OmegaConf.select(unresolved, key)
            except OmegaConfBaseException:
                return key
    return "a value"


def _at(place: str, text: str) -> str:
    return f"{place}: {text}" if place else text
