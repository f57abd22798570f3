"""Frozen copies of trainable layers, as moving averages and target networks are, told from layers left frozen."""

from __future__ import annotations

import copy

import torch
from torch import nn

from repro.checks.modules import followers


def test_a_frozen_copy_follows() -> None:
    model = nn.Module()
    model.net = nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 2))
    model.ema = copy.deepcopy(model.net).requires_grad_(False)
    names = ("0.weight", "0.bias", "1.weight", "1.bias")
    assert followers({"model": model}) == {f"ema.{name}": f"net.{name}" for name in names}


def test_a_module_that_copies_another_follows() -> None:
    online, target = nn.Linear(3, 2), nn.Linear(3, 2).requires_grad_(False)
    assert not followers({"online": online, "target": target}), "drawn anew, it is a layer that was left frozen"
    target.load_state_dict(online.state_dict())
    assert followers({"online": online, "target": target}) == {
        "target.weight": "online.weight",
        "target.bias": "online.bias",
    }


def test_a_block_left_frozen_follows_nothing() -> None:
    torch.manual_seed(0)
    blocks = nn.ModuleList([nn.Linear(3, 3), nn.Linear(3, 3)])
    blocks[1].requires_grad_(False)
    norms = nn.ModuleList([nn.LayerNorm(3), nn.LayerNorm(3)])  # equal, but only by their constants
    norms[1].requires_grad_(False)
    assert not followers({"model": nn.ModuleDict({"blocks": blocks, "norms": norms})})
