"""Paired effects by hand-worked numbers."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from repro.errors import ConfigError
from repro.sweeps.ablation import planned_runs
from repro.sweeps.effects import effects, mean_interval

# differences −1, −2, −3: mean −2, standard deviation 1, standard error 1/√3 = 0.57735; t(0.975, 2) = 4.302653
MEASURED = {
    "baseline": {0: {"score": 10.0}, 1: {"score": 12.0}, 2: {"score": 20.0}},
    "no_part": {0: {"score": 9.0}, 1: {"score": 10.0}, 2: {"score": 17.0}},
}


def test_by_hand() -> None:
    (effect,) = effects(MEASURED)
    assert (effect.name, effect.metric, effect.mean, effect.n) == ("no_part", "score", -2.0, 3)
    assert effect.values == {0: -1.0, 1: -2.0, 2: -3.0} and effect.missing == ()
    assert effect.interval == pytest.approx((-2 - 4.302653 / math.sqrt(3), -2 + 4.302653 / math.sqrt(3)), abs=1e-6)
    assert effect.to_json()["values"] == {"0": -1.0, "1": -2.0, "2": -3.0}


def test_pairs_that_cannot_be_made_are_named() -> None:
    measured = {
        "baseline": {0: {"score": 1.0}, 1: {"score": 2.0}, 2: {"score": math.nan}},
        "no_part": {0: {"score": 0.5}, 2: {"score": 1.0}, 3: {"score": 1.0}},
    }
    (effect,) = effects(measured)
    assert (effect.mean, effect.interval, effect.n, effect.missing) == (-0.5, None, 1, (1, 2, 3))


def test_a_frame_gives_the_same() -> None:
    import pandas as pd

    rows = [
        {"name": name, "seed": seed, **values} for name, seeds in MEASURED.items() for seed, values in seeds.items()
    ]
    assert effects(pd.DataFrame(rows)) == effects(MEASURED)


def test_no_baseline_is_an_error() -> None:
    with pytest.raises(KeyError):
        effects({"no_part": MEASURED["no_part"]})


@given(st.lists(st.floats(-1e3, 1e3), min_size=2, max_size=8), st.floats(0.5, 0.99))
def test_the_interval_holds_the_mean_and_moves_with_the_values(values: list[float], confidence: float) -> None:
    mean, interval = mean_interval(values, confidence)
    assert mean is not None and interval is not None and interval[0] <= mean <= interval[1]
    _, moved = mean_interval([value + 7 for value in values], confidence)
    assert moved is not None and moved == pytest.approx((interval[0] + 7, interval[1] + 7), abs=1e-6)
    _, wider = mean_interval(values, 0.5 + confidence / 2)
    assert wider is not None and wider[1] - wider[0] >= interval[1] - interval[0]


def test_nothing_has_no_mean() -> None:
    assert mean_interval([], 0.95) == (None, None)


ABLATIONS = {"a": {"changes": {"k": 1}}, "b": {"changes": {"l": 2}}, "c": {"changes": {"k": 3}}}


def test_runs_of_each_mode() -> None:
    assert planned_runs(ABLATIONS, ["b"], "leave_one_out") == {"baseline": {}, "b": {"l": 2}}
    assert planned_runs(ABLATIONS, ["a", "b"], "add_one") == {
        "all_removed": {"k": 1, "l": 2},
        "only_a": {"l": 2},  # part a is back
        "only_b": {"k": 1},
    }
    assert list(planned_runs(ABLATIONS, ["a", "b"], "both")) == [
        "baseline",
        "a",
        "b",
        "all_removed",
        "only_a",
        "only_b",
    ]


@pytest.mark.parametrize(
    ("ablations", "names", "mode", "message"),
    [
        (ABLATIONS, ["d"], "leave_one_out", "declares no ablation d.*\nDeclared: a, b, c"),
        (ABLATIONS, None, "backwards", "sweep.mode: got 'backwards', need one of leave_one_out"),
        ({}, None, "leave_one_out", "declares no ablations"),
        (ABLATIONS, None, "add_one", "a and c cannot both be applied: k would be 1 and 3"),
    ],
)
def test_what_cannot_be_run(ablations: dict, names: list[str] | None, mode: str, message: str) -> None:  # type: ignore[type-arg]
    with pytest.raises(ConfigError, match=message):
        planned_runs(ablations, names, mode)
