"""What a person adds without touching the package: a check, a metric, a paper type, a launcher.

A module registers them when it is imported. It is found as a Python entry point of the group `repro`, or because the
paper's config names it: `extensions: [my_paper.extensions]`. docs/extending.md has a complete example of each.
"""

from __future__ import annotations

import difflib
import importlib
import importlib.metadata
import inspect
import sys
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

from repro.errors import ComponentError, ConfigError

GROUP = "repro"

#: (model, data, split) → a number; the unwrapped model and the paper's data object, as `evaluate` gets them.
MetricFunction = Callable[[Any, Any, str], float]
#: (workers, threads, **keys of conf/launcher/<name>.yaml) → a context manager that runs tasks as Pool does.
LauncherFunction = Callable[..., AbstractContextManager[Any]]


@dataclass(frozen=True)
class Metric:
    """A registered metric: evaluated beside the paper's own where the config lists it under `metrics:`."""

    name: str
    function: MetricFunction
    meaning: str


@dataclass(frozen=True)
class Launcher:
    """A registered launcher, chosen by `launcher=<name>`."""

    name: str
    function: LauncherFunction


METRICS: dict[str, Metric] = {}
LAUNCHERS: dict[str, Launcher] = {}
#: Modules that were loaded, with what each registered.
LOADED: dict[str, tuple[str, ...]] = {}


def metric(function: MetricFunction) -> Metric:
    """Register a metric under the function's name; its docstring's first line says what it means.

    Raises `ConfigError` for another signature than (model, data, split), no docstring, or a name that is taken.
    """
    name, where = described(function, "metric")
    parameters = list(inspect.signature(function).parameters)
    if parameters != ["model", "data", "split"]:
        raise ConfigError(
            f"{where}: takes ({', '.join(parameters)}), need (model, data, split)",
            f"Write it as def {name}(model, data, split): … and return one number.",
        )
    meaning = (inspect.getdoc(function) or "").strip().splitlines()
    if not meaning:
        raise ConfigError(f"{where}: has no docstring; its first line must say what the number means, with its unit")
    free(name, METRICS, function, where, "metric")
    METRICS[name] = Metric(name, function, meaning[0])
    return METRICS[name]


def launcher(function: LauncherFunction) -> Launcher:
    """Register a launcher under the function's name; conf/launcher/<name>.yaml holds its settings.

    Raises `ConfigError` where it does not take `workers` and `threads`, or the name is taken.
    """
    name, where = described(function, "launcher")
    parameters = inspect.signature(function).parameters
    lacking = [wanted for wanted in ("workers", "threads") if wanted not in parameters]
    if lacking:
        raise ConfigError(
            f"{where}: does not take {' and '.join(lacking)}",
            f"Write it as def {name}(workers, threads, **settings): … and return what repro.sweeps.pool.Pool is like.",
        )
    if name == "local":
        raise ConfigError(f"{where}: the launcher local is repro's own; choose another name")
    free(name, LAUNCHERS, function, where, "launcher")
    LAUNCHERS[name] = Launcher(name, function)
    return LAUNCHERS[name]


def described(function: Any, kind: str) -> tuple[str, str]:
    """The function's name and how messages call it: "metric 'x' (file.py:3)"."""
    if not inspect.isfunction(function):
        raise ConfigError(f"{kind}: got {function!r}, need a function")
    line = inspect.getsourcelines(function)[1]
    return function.__name__, f"{kind} {function.__name__!r} ({inspect.getsourcefile(function)}:{line})"


def free(name: str, known: Mapping[str, Any], function: Any, where: str, kind: str) -> None:
    """Raise `ConfigError` where another module has registered this name."""
    other = known.get(name)
    if other is not None and other.function.__module__ != function.__module__:
        raise ConfigError(f"{where}: a {kind} of this name is already defined in {other.function.__module__}")


# --- loading ------------------------------------------------------------------------------------------------------


def load(settings: Mapping[str, Any]) -> None:
    """Import what is installed under the entry point group and what the config names, once; then check the type.

    Raises `ConfigError` or `ComponentError` that says which module and what is wrong with it.
    """
    names = settings.get("extensions") or []
    if isinstance(names, str) or not all(isinstance(name, str) for name in names):
        raise ConfigError(f"extensions: got {names!r}, need a list of modules such as [my_paper.extensions]")
    for point in importlib.metadata.entry_points(group=GROUP):
        owner = point.dist.name if point.dist is not None else "an installed package"
        load_module(point.value.partition(":")[0], f"entry point {point.name!r} of {owner}")
    for place, name in enumerate(names):
        load_module(name, f"extensions[{place}]")
    check_type(settings)


def load_module(name: str, asked_by: str) -> None:
    """Import one module and see that it registered something."""
    if name in LOADED and name in sys.modules:
        return
    from repro.checks import registry
    from repro.contract.components import persons_errors

    registry.load_all()  # before it, so that a name of ours which it takes is seen
    known = (registry.CHECKS, METRICS, LAUNCHERS)
    try:
        with persons_errors(f"{asked_by}: importing {name} failed"):
            module = importlib.import_module(name)
    except ComponentError as failure:
        cause = failure.__cause__
        if isinstance(cause, ModuleNotFoundError) and cause.name and f"{name}.".startswith(f"{cause.name}."):
            raise ConfigError(
                f"{asked_by}: there is no module {cause.name!r}.",
                "Looked in the current folder and the installed packages. Write it, or correct the name.",
            ) from None
        raise
    prefix = f"{name}."
    own = [
        key
        for registered in known
        for key, entry in registered.items()
        if f"{entry.function.__module__}.".startswith(prefix)
    ]
    if not own:
        raise ConfigError(
            f"{asked_by}: {module.__file__} registers nothing.",
            "Decorate a function with @check(…), @metric or @launcher; see docs/extending.md.",
        )
    LOADED[name] = tuple(own)


def check_type(settings: Mapping[str, Any]) -> None:
    """Raise one `ConfigError` with every fault of the paper's type: unknown phases, and checks that do not exist."""
    from repro.checks import registry
    from repro.phases import ORDER

    kind = settings.get("type") or {}
    where = f"conf/type/{kind.get('name', '?')}.yaml"
    faults = []
    for phase, entries in (kind.get("checks") or {}).items():
        if phase not in ORDER:
            faults.append(f"checks.{phase}: no phase; the phases are {', '.join(ORDER)}")
            continue
        for entry in entries or ():
            name = entry.get("check") if isinstance(entry, Mapping) else entry
            try:
                found = registry.find(str(name))
            except ConfigError as fault:
                faults.append(f"checks.{phase}: {fault.message} {fault.hint}")
                continue
            if found.phase != phase:
                faults.append(f"checks.{phase}: {name} gates the phase {found.phase}; list it there")
    if faults:
        raise ConfigError(
            f"{where} has {len(faults)} fault{'s' if len(faults) > 1 else ''}:\n  " + "\n  ".join(faults),
            "A check of your own is found when the paper's config names its module under extensions.",
        )


# --- using --------------------------------------------------------------------------------------------------------


def measured(
    settings: Mapping[str, Any], model: Any, data: Any, split: str, taken: Mapping[str, Any]
) -> dict[str, float]:
    """The registered metrics that the config lists, of one evaluation; `taken` is what `evaluate` returned."""
    wanted = settings.get("metrics") or []
    if not wanted:
        return {}
    load(settings)
    from repro.contract.components import persons_errors

    found = {}
    for name in wanted:
        if name not in METRICS:
            near = difflib.get_close_matches(str(name), METRICS, n=3)
            known = f"Near: {', '.join(near)}." if near else f"Registered: {', '.join(METRICS) or 'none'}."
            raise ConfigError(f"metrics: there is no metric {name!r}.", known)
        if name in taken:
            raise ConfigError(f"metrics: {name} is what the paper's evaluate returns already; give yours another name")
        with persons_errors(f"metric {name} raised"):
            found[name] = float(METRICS[name].function(model, data, split))
    return found


def open_launcher(settings: Mapping[str, Any], workers: int, threads: int) -> AbstractContextManager[Any]:
    """The pool of the chosen launcher: `local` is ours. Raises `ConfigError` for one that nobody registered."""
    chosen = dict(settings.get("launcher") or {})
    name = str(chosen.pop("name", "local"))
    if name == "local":
        from repro.sweeps.pool import Pool

        return Pool(workers, threads)
    load(settings)
    if name not in LAUNCHERS:
        raise ConfigError(
            f"launcher.name: there is no launcher {name!r}.",
            f"Registered: {', '.join(['local', *LAUNCHERS])}. Name the module that registers it under extensions.",
        )
    opened = LAUNCHERS[name].function(workers=workers, threads=threads, **chosen)
    lacking = [part for part in ("__enter__", "__exit__", "run", "workers", "threads") if not hasattr(opened, part)]
    if lacking:
        raise ConfigError(
            f"launcher {name!r} returned a {type(opened).__name__} without {', '.join(lacking)}.",
            "It must be a context manager with run(tasks, on_event), workers and threads, as Pool is.",
        )
    return opened
