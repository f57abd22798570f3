"""Code of papers that looks like a piece is found where it stands; papers that declare their pieces are not asked."""

from __future__ import annotations

import pytest

from repro.checks.signs import SIGNS, seen_in
from repro.contract.bench import Bench
from repro.contract.paper import Paper

from ..planted_bugs.planting import settings_of


def bench_of(paper: str) -> Bench:
    return Bench(Paper.from_config(settings_of(paper=paper)))


@pytest.mark.parametrize(
    ("paper", "piece", "where"),
    [
        ("dqn", "td_target", "in TDLoss.__call__"),
        ("dqn", "collect", "in Replay.act"),
        ("smudges", "bernoulli_log_likelihood", "in ELBO.__call__"),
        ("smudges", "gaussian_kl", "in gaussian_kl"),
        ("denoise", "q_sample", "in Diffusion.q_sample"),
        ("simclr", "nt_xent", "in NTXent.__call__"),
        ("corridor", "gae", "in gae"),
        ("ppo", "ppo_surrogate", "in clipped_surrogate"),
    ],
)
def test_a_piece_is_found_in_the_function_that_computes_it(paper: str, piece: str, where: str) -> None:
    assert seen_in(bench_of(paper), piece).endswith(where)


@pytest.mark.parametrize("paper", ["transformer", "ppo", "resnet", "mnist1d"])
def test_the_papers_of_the_package_are_asked_for_nothing(paper: str) -> None:
    bench = bench_of(paper)
    wanted = {"reinforcement_learning": set(SIGNS), "vision": {"nt_xent", "info_nce"}}.get(bench.paper.type, set())
    assert {
        piece: seen_in(bench, piece) for piece in wanted if bench.piece(piece) is None and seen_in(bench, piece)
    } == {}
