"""Gaps with known causes: sign and size decide, a dead part is found, and where nothing fits it is said."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import special

from repro.verdict.attribution import Mean, Switch, attribute, fieller, interaction, pooled
from repro.verdict.planted import rates

OURS = (90.0, 90.2, 89.8)
#: Our runs lie 4 below the printed 94, so 4 is to be closed.
PRINTED, TOLERANCE = 94.0, 0.5


def ranked(*switches: Switch) -> dict[str, str]:
    found = attribute(OURS, PRINTED, TOLERANCE, switches)
    return {cause.label: cause.stands for cause in found.causes}


def test_a_switch_that_closes_the_gap_explains_it_with_an_interval() -> None:
    found = attribute(OURS, PRINTED, TOLERANCE, [Switch("smoothing", "deviation", values=(3.9, 4.1, 4.0))])
    assert found.gap == pytest.approx(4.0) and found.explained and not found.next_command
    (cause,) = found.causes
    assert cause.stands == "explains" and cause.shares is not None
    assert 0.5 < cause.shares[0] < 1 < cause.shares[1] < 1.5
    low, high = (round(100 * end) for end in cause.shares)
    assert found.sentence == f"smoothing explains {low}–{high} % of the gap"


def test_sign_and_size_matter() -> None:
    stands = ranked(
        Switch("right", "deviation", values=(3.8, 4.2, 4.0)),
        Switch("half", "deviation", values=(1.9, 2.1, 2.0)),
        Switch("twice", "deviation", values=(7.9, 8.1, 8.0)),
        Switch("wrong sign", "deviation", values=(-3.9, -4.1, -4.0)),
        Switch("nothing", "deviation", values=(0.1, -0.1, 0.0)),
        Switch("vague", "deviation", values=(9.0, -3.0, 5.0)),
        Switch("unknown", "deviation"),
    )
    assert stands == {
        "right": "explains",
        "half": "in_part",
        "twice": "overshoots",
        "vague": "unclear",
        "unknown": "unmeasured",
        "nothing": "nothing",
        "wrong sign": "nothing",
    }
    assert list(stands) == ["right", "half", "twice", "vague", "unknown", "nothing", "wrong sign"]


@pytest.mark.parametrize(
    ("tolerance", "above", "below"), [(0.5, "explains", "explains"), (0.1, "overshoots", "in_part")]
)
def test_what_is_left_of_the_gap_must_be_within_the_rows_tolerance(tolerance: float, above: str, below: str) -> None:
    # a gap of 4 known to a hundredth: 4.3 and 3.7 leave 0.3 of it
    switches = [Switch("above", "deviation", values=(4.29, 4.31, 4.3)), Switch("below", "setting", values=(3.7, 3.71))]
    found = attribute((90.0, 90.01, 89.99), PRINTED, tolerance, switches)
    assert {cause.label: cause.stands for cause in found.causes} == {"above": above, "below": below}


def test_nothing_explains_it_and_the_cheapest_experiment_is_named() -> None:
    found = attribute(
        OURS,
        PRINTED,
        TOLERANCE,
        [
            Switch("small", "deviation", values=(0.1, 0.2, 0.1), command="never", cost=1),
            Switch("dear", "deviation", command="python -m repro run paper=x a=1", cost=900),
            Switch("cheap", "deviation", command="python -m repro sweep ablation paper=x", cost=30),
        ],
    )
    assert not found.explained and found.next_command == "python -m repro sweep ablation paper=x"
    assert found.sentence == (
        "nothing that was measured explains it; the largest effect, small, covers at most 7 % of the gap. "
        "Cheapest next experiment: python -m repro sweep ablation paper=x"
    )
    assert attribute(OURS, PRINTED, TOLERANCE, []).sentence == "unexplained"
    noisy = attribute(OURS, PRINTED, TOLERANCE, [Switch("noisy", "deviation", values=(-9.0, 9.5, 0.1))])
    assert noisy.sentence == "nothing that was measured explains it; too few seeds measured noisy to say what it covers"


def test_a_dead_part_is_missing_only_if_every_metric_agrees() -> None:
    dead = Switch("positions", "part", values=(0.0, 0.0, 0.0), identical=True)
    blind = Switch("blind metric", "part", values=(0.0, 0.0, 0.0))
    assert ranked(dead, blind) == {"positions": "missing", "blind metric": "nothing"}
    found = attribute(OURS, PRINTED, TOLERANCE, [dead])
    assert found.causes[0].label == "positions" and not found.explained
    assert "missing in our run; what it is worth is not known" in found.sentence
    claimed = Switch("positions", "part", values=(0.0, 0.0, 0.0), identical=True, claimed=-3.8)
    assert "95 % of the gap, by the paper's own figure" in attribute(OURS, PRINTED, TOLERANCE, [claimed]).sentence
    small = Switch("positions", "part", values=(0.0, 0.0, 0.0), identical=True, claimed=-0.2)
    assert ranked(small) == {"positions": "nothing"}


def test_an_active_part_worth_the_gap_is_a_hint_and_no_explanation() -> None:
    found = attribute(OURS, PRINTED, TOLERANCE, [Switch("warm-up", "part", values=(-3.9, -4.1, -4.0))])
    (cause,) = found.causes
    assert cause.stands == "as_large" and not found.explained and cause.effect == pytest.approx(4.0)
    assert "active: is all of it?" in found.sentence
    assert ranked(Switch("positions", "part", values=(-40.0, -41.0, -39.0))) == {"positions": "worth"}
    assert ranked(Switch("harmful", "part", values=(3.9, 4.1, 4.0))) == {"harmful": "explains"}


def test_interactions_are_noted_where_leave_one_out_and_add_one_disagree() -> None:
    # left out it costs 4, alone it buys 1: difference 3 with error √(0.01/3 + 0.01/3) ≈ 0.08
    notes = interaction(Mean.of((-3.9, -4.1, -4.0)), Mean.of((0.9, 1.1, 1.0)), 0.95)
    assert notes == ["interacts: worth 4 beside the other parts and 1 without them"]
    assert not interaction(Mean.of((-3.9, -4.1, -4.0)), Mean.of((3.9, 4.1, 4.0)), 0.95)
    assert not interaction(Mean.of((-3.9,)), Mean.of((1.0, 1.1)), 0.95)


def test_fieller_by_hand() -> None:
    # without spread in the gap it is the effect's t interval divided by the gap: 4 ± 4.3027 · 0.1/√3, over 4
    low, high = fieller(Mean.of((3.9, 4.1, 4.0)), Mean(4.0, 0.0, 3), 0.95) or (0, 0)
    half = 4.302653 * 0.1 / math.sqrt(3) / 4
    assert (low, high) == (pytest.approx(1 - half, abs=1e-3), pytest.approx(1 + half, abs=1e-3))
    # equal spread in both, 100 degrees of freedom each: at the ends (4 − 4c)² = t² · (0.1² + (0.1 c)²)
    wide = Mean(4.0, 0.1, 101)
    low, high = fieller(wide, wide, 0.95) or (0, 0)
    for c in (low, high):
        a, b = 0.01, 0.01 * c * c
        t = float(special.stdtrit((a + b) ** 2 / (a * a / 100 + b * b / 100), 0.975))
        assert abs(4 - 4 * c) == pytest.approx(t * math.sqrt(a + b), rel=0.05)
    # a gap that may be zero has no share
    assert fieller(Mean.of((3.9, 4.1, 4.0)), Mean.of((1.0, -1.0, 0.5)), 0.95) is None
    assert fieller(Mean.of((3.9,)), Mean.of((4.0, 4.1)), 0.95) is None


def test_one_pair_one_seed_and_values_that_are_not_finite() -> None:
    assert ranked(Switch("one pair", "deviation", values=(4.0,))) == {"one pair": "unclear"}
    nan = attribute(OURS, PRINTED, TOLERANCE, [Switch("nan", "deviation", values=(math.nan, 4.0, 4.1))]).causes[0]
    assert nan.values == (4.0, 4.1) and "1 of 3 pairs not finite" in nan.note
    assert ranked(Switch("all lost", "deviation", values=(math.inf, math.nan))) == {"all lost": "unmeasured"}
    single = attribute((90.0,), PRINTED, TOLERANCE, [Switch("right", "deviation", values=(3.9, 4.1, 4.0))])
    assert single.interval is None and single.causes[0].stands == "explains"
    assert attribute((PRINTED,), PRINTED, 0.0, []).sentence == "there is no gap to explain"


def test_what_may_be_as_large_but_need_not_is_no_explanation() -> None:
    wide = Switch("wide", "deviation", values=(2.0, 6.0, 4.2, 3.6), command="python -m repro sweep ablation paper=x")
    found = attribute(OURS, PRINTED, TOLERANCE, [wide])
    (cause,) = found.causes
    assert cause.stands == "could" and not found.explained and cause.shares is not None
    assert cause.shares[0] < 0.5 < 1 < cause.shares[1] and cause.interval is not None and cause.interval[0] > 0
    assert found.sentence.startswith("nothing is shown to explain it; wide could, its effect is ")
    assert found.next_command == "python -m repro sweep ablation paper=x"


def test_the_level_is_shared_out_over_what_was_measured() -> None:
    right = Switch("right", "deviation", values=(3.6, 4.4, 4.0))
    many = [Switch(f"other {place}", "deviation", values=(0.1, -0.1, 0.0)) for place in range(9)]
    alone = attribute(OURS, PRINTED, TOLERANCE, [right]).causes[0]
    among = attribute(OURS, PRINTED, TOLERANCE, [right, *many]).causes[0]
    unmeasured = attribute(OURS, PRINTED, TOLERANCE, [right, *(Switch(f"u{n}", "setting") for n in range(9))]).causes[0]
    assert alone.label == among.label == "right" and alone.shares and among.shares and unmeasured.shares
    assert among.shares[1] - among.shares[0] > alone.shares[1] - alone.shares[0]
    assert unmeasured.shares == alone.shares


def test_variances_are_pooled_but_for_one_that_is_clearly_noisier() -> None:
    quiet = [Mean.of((place - 1.0, place + 1.0, float(place))) for place in range(4)]  # each of variance 1
    noisy = Mean.of((-9.0, 9.0, 0.0))
    *same, own = pooled([*quiet, noisy])
    assert own == noisy and own.degrees == 2
    assert all(mean.degrees == 8 and mean.error == pytest.approx(1 / math.sqrt(3)) for mean in same)
    one, dead = Mean.of((4.0,)), Mean.of((0.0, 0.0, 0.0))
    assert pooled([one, dead, quiet[0]])[:2] == [one, dead]
    assert pooled([quiet[0]]) == [quiet[0]]


#: Monte-Carlo error of a share of 0.9 in this many worlds: 0.024.
WORLDS = 150


@pytest.mark.parametrize("case", ["deviation", "missing part", "half a part"])
@pytest.mark.parametrize(("seeds", "gap"), [(3, 8.0), (5, 4.0)])
def test_planted_cause_comes_first_beside_decoys_of_half_the_gap(case: str, seeds: int, gap: float) -> None:
    found = rates(case, seeds, gap, others=0.5, repeats=WORLDS, generator=np.random.default_rng(3))
    assert found.first >= 0.8


@pytest.mark.parametrize(("seeds", "gap"), [(3, 4.0), (3, 8.0), (10, 8.0)])
def test_absent_cause_is_said_to_be_absent_beside_decoys_of_half_the_gap(seeds: int, gap: float) -> None:
    found = rates("absent", seeds, gap, others=0.5, repeats=WORLDS, generator=np.random.default_rng(4))
    assert found.first >= 0.95


def test_a_cause_that_is_there_is_named_once_the_seeds_suffice() -> None:
    found = rates("deviation", 10, gap=8.0, others=0.5, repeats=WORLDS, generator=np.random.default_rng(5))
    assert found.explained >= 0.95
