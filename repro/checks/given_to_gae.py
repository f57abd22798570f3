"""What data hand to the piece `gae`: the value of the state that each step reached, in order of time."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor

from repro.checks.acting import acted
from repro.checks.inputs import component_location, flat
from repro.checks.passes import needs_acting
from repro.checks.registry import check, failed, not_run, passed
from repro.checks.watch import seed_all
from repro.contract.bench import Bench
from repro.errors import ComponentError
from repro.findings import Finding


@check(phase="data", family="trace", component="data")
def gae_is_given(bench: Bench) -> list[Finding]:
    """Decides whether data hand the piece `gae` the value of the state that each step reached, in order of time, and
    the discounts of the config.

    Where an episode goes on, the next value is that of the next row; after the last row it is V of the state reached.
    Broken: next values that are not those of the next row, or zero after the last one.
    Likely: no bootstrap at the end of the rollout (the last next value is 0) | rows of another order than time (N, T
    for T, N) | the value of the next step is that of another environment | gamma and lambda are exchanged
    """
    given = given_to_gae(bench, bench.seed)
    if isinstance(given, Finding):
        return [given]
    return [judge_next_values(bench, *given[:4]), *judge_discounts(bench, *given[4:])]


#: What configs call the discount of rewards, and the factor by which GAE forgets.
DISCOUNTS = (("gamma", ("gamma", "discount")), ("lambda", ("lam", "lambda", "lambda_", "gae_lambda")))


def judge_discounts(bench: Bench, *given: float) -> list[Finding]:
    """Whether gamma and lambda are those of the config, where it has one of each."""
    settings = bench.paper.settings
    declared: dict[str, set[float]] = {}
    for name, keys in DISCOUNTS:
        parts = [flat(settings.get(part) or {}) for part in ("data", "loss", "training")]
        numbers = [part[key] for part in parts for key in keys if key in part]
        declared[name] = {float(one) for one in numbers if isinstance(one, (int, float))}
    if len(given) < 2 or any(len(values) != 1 for values in declared.values()):
        return []
    wanted = {name: values.pop() for name, values in declared.items()}
    got = dict(zip(wanted, given, strict=False))
    fields: dict[str, Any] = {
        "component": "gae",
        "expected": ", ".join(f"{name} {value:g}" for name, value in wanted.items()) + " (the config)",
        "observed": ", ".join(f"{name} {value:g}" for name, value in got.items()),
        "threshold": "float32: 1e-6",
        "location": component_location(bench, "data"),
    }
    wrong = [name for name, value in wanted.items() if abs(got[name] - value) > 1e-6]
    if not wrong:
        return [passed("gae is given the discounts of the config", **fields)]
    swapped = got["gamma"] == wanted["lambda"] and got["lambda"] == wanted["gamma"]
    likely = "gamma and lambda are exchanged" if swapped else "a number stands in the code where the config has a key"
    return [failed(f"gae is given another {' and '.join(wrong)} than the config", likely=(likely,), **fields)]


def judge_next_values(
    bench: Bench, value: np.ndarray, after: np.ndarray, terminated: np.ndarray, truncated: np.ndarray
) -> Finding:
    """Whether the value after each step is that of the next row, and after the last row that of the state reached."""
    goes_on = (terminated + truncated)[:-1] == 0
    wrong = goes_on & ~np.isclose(after[:-1], value[1:], rtol=1e-4, atol=1e-4 * max(float(np.abs(value).max()), 1e-3))
    last = after[-1][(terminated[-1]) == 0]
    fields: dict[str, Any] = {
        "component": "gae",
        "expected": "next values are those of the next row where an episode goes on; V of the last state reached",
        "observed": f"{int(wrong.sum())} of {int(goes_on.sum())} differ; after the last row "
        + ", ".join(f"{number:.3g}" for number in last[:4]),
        "threshold": "1e-4 (float32, batches of other sizes)",
        "location": component_location(bench, "data"),
    }
    order = "rows of another order than time (N, T for T, N)"
    zero = "no bootstrap at the end of the rollout (the last next value is 0)"
    if wrong.any():
        return failed("the value after a step is not that of the next row", likely=(order, zero), **fields)
    if len(last) and not last.any():
        return failed("nothing stands for what follows the last row of a rollout", likely=(zero, order), **fields)
    return passed(f"every step of {value.shape[0]} × {value.shape[1]} has the value of the state it reached", **fields)


class RecordedError(Exception):
    """The piece was called: nothing that follows is needed."""


@contextmanager
def recording(piece: Callable[..., Any], arguments: dict[str, Any]) -> Iterator[None]:
    """Wherever a loaded module of the person's names the piece, a call leaves its arguments and goes no further."""
    signature = inspect.signature(piece)

    def recorder(*given: Any, **named: Any) -> Any:
        arguments.update(signature.bind(*given, **named).arguments)
        raise RecordedError

    with in_place_of(piece, recorder):
        yield


@contextmanager
def passed_on(piece: Callable[..., Any]) -> Iterator[list[tuple[np.ndarray, np.ndarray, np.ndarray]]]:
    """(values, next values, advantages) of every call of the piece `gae` with its standard signature, as it happens."""
    calls: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []

    def recorder(*given: Any, **named: Any) -> Any:
        result = piece(*given, **named)
        values = [*given, *named.values()][1:3]
        if len(values) == 2 and all(isinstance(one, Tensor | np.ndarray) for one in (*values, result)):
            value, following, advantages = (
                torch.as_tensor(x).detach().double().cpu().numpy().copy() for x in (*values, result)
            )
            calls.append((value, following, advantages))
        return result

    with in_place_of(piece, recorder):
        yield calls


@contextmanager
def in_place_of(piece: Callable[..., Any], other: Callable[..., Any]) -> Iterator[None]:
    """Wherever a loaded module of the person's names the piece, the other stands in its place."""
    package = piece.__module__.partition(".")[0] if "." not in piece.__module__ else piece.__module__.rpartition(".")[0]
    changed = [
        (module, name)
        for key, module in list(sys.modules.items())
        if key.startswith(package)
        for name, value in list(vars(module).items())
        if value is piece
    ]
    for module, name in changed:
        setattr(module, name, other)
    try:
        yield
    finally:
        for module, name in changed:
            setattr(module, name, piece)


def given_to_gae(bench: Bench, seed: int) -> tuple[Any, ...] | Finding:
    """values, next_values, terminated, truncated [T, N] of the first rollout of a seed, and gamma and lambda where they
    are numbers; the weights stay.
    """
    piece = bench.piece("gae")
    if piece is None or not needs_acting(bench):
        return not_run("declare pieces.gae, of data that come from acting, to get it")
    given: dict[str, Any] = {}
    seed_all(bench.seed)
    model = bench.model(dtype=torch.float32)
    seed_all(seed)
    with recording(piece, given):
        try:
            next(acted(bench, seed, model), None)
        except RecordedError:
            pass
        except ComponentError as raised:
            if not isinstance(raised.__cause__, RecordedError):
                raise
    values = list(given.values())
    if len(values) < 5 or any(not isinstance(value, Tensor | np.ndarray) for value in values[:5]):
        return not_run("the data do not call the piece `gae` with its standard signature: what it is given is not seen")
    found = tuple(np.asarray(torch.as_tensor(one).double()) for one in values[1:5])
    if found[0].ndim != 2 or found[0].shape != found[1].shape:
        return not_run(f"the piece `gae` is called with values of shape {list(found[0].shape)}, not [T, N]")
    return (*found, *(float(one) for one in values[5:7] if isinstance(one, (int, float))))
