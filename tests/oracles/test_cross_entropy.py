"""Label-smoothed cross entropy against PyTorch, by hand, and at its floor."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from repro.oracles import cross_entropy as oracle

RANDOM = np.random.default_rng(0)
LOGITS, TARGETS = RANDOM.normal(size=(8, 5)), np.array([1, 2, 0, 4, 3, 0, 1, 2])


def test_uniform_logits_cost_ln_c_whatever_the_smoothing() -> None:
    zeros = np.zeros((8, 5))
    for smoothing in (0.0, 0.1, 0.5):
        assert oracle.label_smoothed_cross_entropy(zeros, TARGETS, smoothing, 0) == pytest.approx(math.log(5))


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("padding", [None, 0])
def test_agrees_with_pytorch(smoothing: float, padding: int | None) -> None:
    theirs = F.cross_entropy(
        torch.tensor(LOGITS),
        torch.tensor(TARGETS),
        ignore_index=-100 if padding is None else padding,
        label_smoothing=smoothing,
    )
    assert oracle.label_smoothed_cross_entropy(LOGITS, TARGETS, smoothing, padding) == pytest.approx(float(theirs))


def test_floor_is_reached_by_the_label_itself() -> None:
    perfect = np.log([oracle.smoothed_label(t, 5, 0.1) for t in TARGETS])
    assert oracle.label_smoothed_cross_entropy(perfect, TARGETS, 0.1) == pytest.approx(oracle.floor(5, 0.1))
    # by hand, C = 2, smoothing 0.5: label (0.75, 0.25)
    assert oracle.floor(2, 0.5) == pytest.approx(-0.75 * math.log(0.75) - 0.25 * math.log(0.25))


def test_only_padding_is_nan() -> None:
    assert math.isnan(oracle.label_smoothed_cross_entropy(LOGITS[:1], np.array([0]), 0.1, 0))


@pytest.mark.parametrize("mistake", oracle.MISTAKES)
def test_every_known_mistake_changes_the_value(mistake: str) -> None:
    right = oracle.label_smoothed_cross_entropy(LOGITS, TARGETS, 0.1, 0)
    assert oracle.cross_entropy_as_mistaken(mistake, LOGITS, TARGETS, 0.1, 0) != pytest.approx(right, rel=1e-3)


def test_fairseqs_convention_in_pytorch() -> None:
    log_p = torch.tensor(LOGITS).log_softmax(-1)
    t = torch.tensor(TARGETS)
    eps = 0.1 / 4
    nll = -log_p.gather(1, t[:, None])[:, 0]
    theirs = ((1 - 0.1 - eps) * nll + eps * -log_p.sum(1)).mean()
    ours = oracle.losses_by_convention("wrong classes", LOGITS, TARGETS, 0.1, None)
    assert np.mean(ours) == pytest.approx(float(theirs))


def test_the_annotated_transformers_convention_in_pytorch() -> None:
    real = torch.tensor(TARGETS) != 0
    label = torch.full((int(real.sum()), 5), 0.1 / 3)
    label.scatter_(1, torch.tensor(TARGETS)[real][:, None], 0.9)
    label[:, 0] = 0
    theirs = F.kl_div(torch.tensor(LOGITS)[real].log_softmax(-1), label.double(), reduction="none").sum(-1)
    ours = oracle.losses_by_convention("divergence, wrong classes but padding", LOGITS, TARGETS, 0.1, 0)
    np.testing.assert_allclose(ours, theirs.numpy(), rtol=1e-6)


@pytest.mark.parametrize("convention", oracle.CONVENTIONS)
def test_no_convention_is_the_definition_and_without_smoothing_all_are(convention: str) -> None:
    right = oracle.target_losses(LOGITS, TARGETS, 0.1, 0)
    assert not np.allclose(oracle.losses_by_convention(convention, LOGITS, TARGETS, 0.1, 0), right, rtol=1e-3)
    right = oracle.target_losses(LOGITS, TARGETS, 0.0, 0)
    np.testing.assert_allclose(oracle.losses_by_convention(convention, LOGITS, TARGETS, 0.0, 0), right)
