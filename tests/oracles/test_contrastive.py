"""Contrastive losses against PyTorch's cross entropy and closed forms; each known mistake differs."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch.nn import functional

from repro.oracles import contrastive as oracle

Z1, Z2 = np.random.default_rng(1).normal(size=(2, 5, 7))


def test_nt_xent_is_the_cross_entropy_of_the_other_views() -> None:
    z = functional.normalize(torch.from_numpy(np.concatenate([Z1, Z2])), dim=1)
    scores = (z @ z.T / 0.4).fill_diagonal_(-math.inf)
    target = torch.cat([torch.arange(5, 10), torch.arange(5)])
    wanted = functional.cross_entropy(scores, target, reduction="none")
    assert np.allclose(oracle.nt_xent(Z1, Z2, 0.4), wanted.numpy())


def test_where_all_embeddings_are_one_it_costs_the_logarithm_of_the_candidates() -> None:
    same = np.ones((6, 3))
    assert np.allclose(oracle.nt_xent(same, same, 0.1), math.log(11))
    assert np.allclose(oracle.info_nce(oracle.unit(same), oracle.unit(same), 0.1), math.log(6))


def test_info_nce_is_the_cross_entropy_over_the_keys() -> None:
    queries, keys = oracle.unit(Z1), oracle.unit(Z2)
    scores = torch.from_numpy(queries @ keys.T / 0.4)
    wanted = functional.cross_entropy(scores, torch.arange(5), reduction="none")
    assert np.allclose(oracle.info_nce(queries, keys, 0.4), wanted.numpy())


@pytest.mark.parametrize("mistake", oracle.NT_XENT_MISTAKES)
def test_a_mistake_of_nt_xent_differs(mistake: str) -> None:
    wrong = oracle.nt_xent_as_mistaken(Z1, Z2, 0.4)[mistake]
    assert abs(wrong.mean() - oracle.nt_xent(Z1, Z2, 0.4).mean()) > 1e-3


@pytest.mark.parametrize("mistake", oracle.INFO_NCE_MISTAKES)
def test_a_mistake_of_info_nce_differs(mistake: str) -> None:
    queries, keys = oracle.unit(Z1), oracle.unit(Z2)
    wrong = oracle.info_nce_as_mistaken(queries, keys, 0.4)[mistake]
    assert abs(wrong.mean() - oracle.info_nce(queries, keys, 0.4).mean()) > 1e-3
