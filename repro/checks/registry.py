"""Checks are registered functions: a validated signature, a docstring that teaches, and a runner that never lies."""

from __future__ import annotations

import difflib
import importlib
import inspect
import pkgutil
import re
import signal
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from repro.contract.components import is_persons_file, location_in_traceback, short_traceback, unfinished_in
from repro.errors import ComponentError, ConfigError, DataError, ImportFailedError, NotWrittenError
from repro.findings import UNFINISHED, Finding, Outcome
from repro.phases import ORDER

if TYPE_CHECKING:
    from repro.contract.bench import Bench

FAMILIES = (
    "declaration",
    "oracle",
    "metamorphic",
    "gradient",
    "step",
    "initial value",
    "trace",
    "round trip",
    "overfit",
    "data",
    "statistical",
    "lint",
)
#: A check that runs longer than this is reported as an error, never as passed.
TIME_LIMIT_SECONDS = 600.0

CheckFunction = Callable[..., "Finding | Iterable[Finding]"]


class CheckTimeoutError(Exception):
    """A check ran past its time limit."""


@dataclass(frozen=True)
class Check:
    """A registered check. Its docstring is the single source of what it decides and of the likely bugs.

    The docstring's first paragraph says what is decided; `Broken:` what broken looks like; `Likely:` the likeliest
    bugs, separated by "|", likeliest first.
    """

    name: str
    phase: str
    family: str
    component: str
    function: CheckFunction
    decides: str
    broken: str
    likely: tuple[str, ...]
    options: tuple[str, ...]

    def __call__(self, bench: Bench, **options: Any) -> list[Finding]:
        """The findings of the check; exceptions pass through (`run_check` turns them into findings)."""
        token = CURRENT.set(self)
        try:
            found = self.function(bench, **options)
            return [found] if isinstance(found, Finding) else list(found)
        finally:
            CURRENT.reset(token)

    def show(self, paper: str, *overrides: str, **options: Any) -> list[Finding]:
        """Run this check alone on a paper and print what it found: `causal.show("transformer", output="logits", …)`."""
        from repro import extensions
        from repro.configuration.compose import compose
        from repro.contract.bench import Bench
        from repro.contract.paper import Paper

        bench = Bench(Paper.from_config(compose([f"paper={paper}", *overrides]).config))
        extensions.load(bench.paper.settings)
        findings = run_check(self.name, bench, options or declared_options(self.name, bench))
        for finding in findings:
            print(f"{finding.outcome.value:8} {finding.check} · {finding.component}: {finding.summary}")
            for label in ("expected", "observed", "threshold", "location", "reason"):
                if getattr(finding, label):
                    print(f"         {label}: {getattr(finding, label)}")
        return findings

    def switched_off(self, reason: str) -> Finding:
        """What stands in the check's place where the config takes it out: it did not run, and why."""
        why = f"switched off in the config: {reason}"
        return awaiting(self, why, {"switched_off": reason})


CURRENT: ContextVar[Check] = ContextVar("current_check")
CHECKS: dict[str, Check] = {}


def check(phase: str, family: str, component: str) -> Callable[[CheckFunction], Check]:
    """Register a check that gates `phase`. Raises `ConfigError` for a wrong signature or docstring."""

    def register(function: CheckFunction) -> Check:
        name = function.__name__
        where = f"check {name!r} ({inspect.getsourcefile(function)})"
        if phase not in ORDER:
            raise ConfigError(f"{where}: phase is {phase!r}, need one of {', '.join(ORDER)}")
        if family not in FAMILIES:
            raise ConfigError(f"{where}: family is {family!r}, need one of {', '.join(FAMILIES)}")
        if name in CHECKS and CHECKS[name].function.__module__ != function.__module__:
            raise ConfigError(f"{where}: a check of this name is already defined in {CHECKS[name].function.__module__}")
        parameters = list(inspect.signature(function).parameters.values())
        if not parameters or parameters[0].name != "bench":
            raise ConfigError(f"{where}: the first parameter must be `bench`, options must be keyword-only")
        if any(p.kind is not p.KEYWORD_ONLY for p in parameters[1:]):
            raise ConfigError(f"{where}: options must be keyword-only: def {name}(bench, *, option)")
        decides, broken, likely = read_docstring(function, where)
        options = tuple(p.name for p in parameters[1:])
        CHECKS[name] = Check(name, phase, family, component, function, decides, broken, likely, options)
        return CHECKS[name]

    return register


def read_docstring(function: CheckFunction, where: str) -> tuple[str, str, tuple[str, ...]]:
    text = inspect.getdoc(function) or ""
    paragraphs = {"": ""}
    current = ""
    for line in text.splitlines():
        heading = re.match(r"(Broken|Likely):\s*", line)
        if heading:
            current = heading.group(1)
            paragraphs[current] = ""
            line = line[heading.end() :]
        paragraphs[current] += line.strip() + " "
    missing = [name for name in ("", "Broken", "Likely") if not paragraphs.get(name, "").strip()]
    if missing:
        raise ConfigError(
            f"{where}: the docstring must say what it decides, then `Broken:` and `Likely:` (separated by |)."
        )
    likely = tuple(part.strip().rstrip(".") for part in paragraphs["Likely"].split("|") if part.strip())
    return paragraphs[""].strip(), paragraphs["Broken"].strip(), likely


# --- findings, made inside a check --------------------------------------------------------------------------------


def passed(summary: str, **fields: Any) -> Finding:
    return make(Outcome.PASSED, summary, **fields)


def failed(summary: str, **fields: Any) -> Finding:
    """A finding that keeps the gate shut. Give `expected`, `observed`, `threshold` and `location`."""
    return make(Outcome.FAILED, summary, **{"likely": CURRENT.get().likely, **fields})


def warned(summary: str, **fields: Any) -> Finding:
    return make(Outcome.WARNED, summary, **fields)


def not_run(reason: str, **fields: Any) -> Finding:
    """A finding that says why the check could not run and what to declare to get it."""
    return make(Outcome.NOT_RUN, "not run", reason=reason, **fields)


def make(outcome: Outcome, summary: str, **fields: Any) -> Finding:
    current = CURRENT.get()
    fields.setdefault("component", current.component)
    if "likely" in fields:
        fields["likely"] = tuple(fields["likely"])
    return Finding(check=current.name, family=current.family, outcome=outcome, summary=summary, **fields)


# --- finding and running checks -----------------------------------------------------------------------------------


def load_all() -> dict[str, Check]:
    """Import every module of `repro.checks`, so that every built-in check is registered."""
    import repro.checks

    for module in pkgutil.iter_modules(repro.checks.__path__):
        importlib.import_module(f"repro.checks.{module.name}")
    return CHECKS


def find(name: str) -> Check:
    """The check of this name. Raises `ConfigError` with near names."""
    if name not in CHECKS:
        load_all()
    if name not in CHECKS:
        near = difflib.get_close_matches(name, CHECKS, n=3)
        raise ConfigError(
            f"There is no check {name!r}.",
            f"Near: {', '.join(near)}." if near else "`python -m repro check paper=… --json` names those that run.",
        )
    return CHECKS[name]


def declared_options(name: str, bench: Bench) -> dict[str, Any]:
    """The options of the first property of this name that the paper declares."""
    return next((p.options for p in bench.paper.properties if p.name == name), {})


def run_check(
    name: str, bench: Bench, options: Mapping[str, Any] | None = None, limit_seconds: float = TIME_LIMIT_SECONDS
) -> list[Finding]:
    """Run one check. An exception or time-out is an `error` finding; a missing component of the paper too."""
    found = find(name)
    options = dict(options or {})
    unknown = sorted(set(options) - set(found.options))
    if unknown:
        raise ConfigError(
            f"{name}: unknown option {', '.join(unknown)}.", f"It takes {', '.join(found.options) or 'no options'}."
        )
    alone = alone_lines(found, bench, options)
    start = time.perf_counter()
    try:
        with time_limit(limit_seconds):
            findings = found(bench, **options)
    except (ConfigError, DataError):
        raise  # nothing was decided about the person's code: the command ends with the message
    except CheckTimeoutError:
        findings = [error_of(found, f"ran longer than {limit_seconds:g} s and was stopped", "")]
    except NotWrittenError as cause:
        findings = [awaiting(found, f"needs the {cause.component}, which is still to do", {"awaits": cause.component})]
    except ComponentError as cause:
        if unfinished := unfinished_in(cause):
            return [to_do_of(found, *unfinished)]
        trace = cause.__cause__.__traceback__ if cause.__cause__ is not None else None
        error = error_of(found, str(cause), location_in_traceback(trace))
        # without an exception of the person's code, and of a module that cannot be imported, the message says it all
        told = trace is None or isinstance(cause, ImportFailedError)
        findings = [error.with_changes(likely=()) if told else error]
    except (Exception, SystemExit) as cause:  # noqa: BLE001 - what a check raises, sys.exit too, is never a pass
        if unfinished := unfinished_in(cause):
            return [to_do_of(found, *unfinished)]
        findings = [
            error_of(found, f"the check raised:\n{short_traceback(cause)}", location_in_traceback(cause.__traceback__))
        ]
    seconds = (time.perf_counter() - start) / max(1, len(findings))
    return [
        f.with_changes(seconds=round(seconds, 4), alone=f.alone or alone, location=own_location(f, found, bench))
        for f in findings
    ]


def own_location(finding: Finding, found: Check, bench: Bench) -> str:
    """The finding's location; where that is a layer of PyTorch, the person's component that uses it."""
    path, separator, _ = finding.location.partition(".py:")
    if not separator or is_persons_file(f"{path}.py"):
        return finding.location
    from repro.checks.inputs import component_location

    component = found.component if bench.paper.has(found.component) else found.phase
    return component_location(bench, component) or finding.location


def awaiting(found: Check, reason: str, details: dict[str, Any]) -> Finding:
    """A finding that the check did not run, made from outside of it."""
    return Finding(
        check=found.name,
        component=found.component,
        outcome=Outcome.NOT_RUN,
        summary="not run",
        family=found.family,
        reason=reason,
        details=details,
    )


def to_do_of(found: Check, location: str, what: str) -> Finding:
    """The check reached code that the person has still to write; whether that is this step's, the gate decides."""
    reason = f"reached what is still to do: {what or 'NotImplementedError'} ({location})"
    return awaiting(found, reason, {"to_do": {"location": location, "what": what}})


#: What PyTorch says where tensors of other shapes meet, or one is stored into another.
OTHER_SHAPES = re.compile(r"size of tensor|number of sizes|broadcast|must match the existing size")
#: What PyTorch says where float32 meets float64: a dtype fixed in the person's code, or a tensor made there with one.
TWO_PRECISIONS = re.compile(r"\b(float\b.*\bdouble|double\b.*\bfloat)\b", re.IGNORECASE)


def error_of(found: Check, summary: str, location: str) -> Finding:
    likely: tuple[str, ...] = found.likely[:2]
    if "backward through the graph a second time" in summary:
        likely = ("a state carried from batch to batch is not detached, or backward is called twice", *likely)
    if OTHER_SHAPES.search(summary):
        likely = (
            "an axis of size 1 is kept or lost ([N, 1] where [N] is meant): see squeeze(-1) and keepdim",
            "axes stand in another order than this line expects",
        )
    if TWO_PRECISIONS.search(summary):
        likely = (
            "data give float64, NumPy's default, to a model in float32",
            "a dtype is fixed here; checks also run in float64: take that of the input, as in .to(x.dtype)",
        )
    return Finding(
        check=found.name,
        component=found.component,
        outcome=Outcome.ERROR,
        summary=summary,
        location=location,
        family=found.family,
        reason=UNFINISHED,
        likely=likely,
    )


def alone_lines(found: Check, bench: Bench, options: Mapping[str, Any]) -> str:
    """Lines to paste: from `repro.checks`, but for a check of the person's own, or one named like its file there."""
    arguments = "".join(f", {key}={value!r}" for key, value in options.items())
    folder, _, file = found.function.__module__.rpartition(".")
    module = "repro.checks" if folder == "repro.checks" and file != found.name else found.function.__module__
    return f'from {module} import {found.name}\n{found.name}.show("{bench.paper.name}"{arguments})'


@contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """Raise `CheckTimeoutError` after `seconds`; no effect outside the main thread, where signals cannot arrive."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(signum: int, frame: Any) -> None:
        raise CheckTimeoutError

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
