"""Sizes of named axes, from the config's whole numbers and from the tensors at hand."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from repro.contract.paper import Paper

if TYPE_CHECKING:
    from torch import Tensor


def known_sizes(paper: Paper, *tensor_sets: Mapping[str, Tensor]) -> dict[str, int]:
    """Sizes by axis name: those of what a batch holds, then whole numbers of that name in the config's components, then
    the shapes of outputs. A `width` of the config may be one of channels where that of a picture is meant.
    """
    sizes: dict[str, int] = {}
    given: dict[str, int] = {}
    for component in ("data", "model", "loss", "training"):
        for name, value in flat(paper.settings.get(component) or {}).items():
            if isinstance(value, int) and not isinstance(value, bool):
                sizes.setdefault(name, value)
    for tensors in tensor_sets:
        for name, tensor in tensors.items():
            declaration = paper.tensors.get(name)
            if declaration is None or tensor.dim() != len(declaration.axes):
                continue
            into = given if declaration.output_of is None else sizes
            for axis, size in zip(declaration.axes, tensor.shape, strict=True):
                if isinstance(axis, str):
                    into.setdefault(axis, size)
    return {**sizes, **given}


def flat(node: Mapping[str, Any]) -> dict[str, Any]:
    """Leaf keys of a nested mapping; a name that occurs twice keeps its first value."""
    leaves: dict[str, Any] = {}
    for name, value in node.items():
        if isinstance(value, Mapping):
            for key, leaf in flat(value).items():
                leaves.setdefault(key, leaf)
        else:
            leaves.setdefault(str(name), value)
    return leaves
