"""Adapter from this paper's recurrent layer to the signature of its oracle."""

from __future__ import annotations

import torch
from torch import Tensor

from repro.papers.mnist1d.model import BidirectionalGRU


@torch.no_grad()
def bidirectional_gru(x: Tensor, w_ih: Tensor, w_hh: Tensor, b_ih: Tensor, b_hh: Tensor) -> Tensor:
    """x [b, t, 1], weights [2, 3 h, …] of both directions, gates in the order r, z, n → states [b, t, 2 h]."""
    layer = BidirectionalGRU(w_hh.size(-1)).to(x.dtype)
    layer.input_weight.copy_(w_ih.transpose(1, 2))
    layer.state_weight.copy_(w_hh.transpose(1, 2))
    layer.input_bias.copy_(b_ih[:, None])
    layer.state_bias.copy_(b_hh[:, None])
    states: Tensor = layer(x.squeeze(-1))
    return states
