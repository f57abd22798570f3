"""A forward whose attention sees every place: what fills scores with minus infinity is left out.

A causal net of two layers knows the order of its input without any code of positions, since each place sees another
number of tokens. Only without the mask does such a net treat its input as a set, so that its positions can be judged.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torch.overrides import TorchFunctionMode

HIDDEN = -1e4  # a score at or below it hides a place: float16 ends at -65504
FILLS = {torch.masked_fill, Tensor.masked_fill, Tensor.masked_fill_}
WHERES = {torch.where, Tensor.where}
SUMS = {torch.add, Tensor.add, Tensor.add_, Tensor.__add__, Tensor.__radd__, Tensor.__iadd__}
DIFFERENCES = {torch.sub, Tensor.sub, Tensor.sub_, Tensor.__sub__, Tensor.__isub__}


class Unmasked(TorchFunctionMode):
    """While it is active, no score of attention is hidden; biases of scores that hide nothing stay."""

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        named = dict(kwargs or {})
        if func is functional.scaled_dot_product_attention or func is functional.multi_head_attention_forward:
            args, named = without_mask(func, args, named)
        elif func in FILLS and hides(named.get("value", args[-1])):
            return args[0]
        elif func in WHERES and len(args) == 3:
            # the method is called of the values: scores.where(seen, -inf)
            condition, one, other = args if func is torch.where else (args[1], args[0], args[2])
            if hides(one) or hides(other):
                return (other if hides(one) else one) + torch.zeros_like(condition, dtype=torch.uint8)
        elif (func in SUMS or func in DIFFERENCES) and len(args) == 2:
            sign = 1.0 if func in SUMS else -1.0
            first, second = shown(args[0], 1.0), shown(args[1], sign)
            if first is not args[0] or second is not args[1]:
                return first + sign * second
        return func(*args, **named)


def hides(value: Any) -> bool:
    """Whether a number, or every number of a tensor, hides a place."""
    if isinstance(value, Tensor):
        return value.is_floating_point() and value.numel() > 0 and bool((value <= HIDDEN).all())
    return isinstance(value, (int, float)) and not isinstance(value, bool) and value <= HIDDEN


def shown(value: Any, sign: float) -> Any:
    """A summand with 0 where it would hide a place, itself where it hides none."""
    if not isinstance(value, Tensor) or not value.is_floating_point():
        return value
    hidden = sign * value <= HIDDEN
    return torch.where(hidden, torch.zeros_like(value), value) if bool(hidden.any()) else value


def without_mask(
    func: Callable[..., Any], args: tuple[Any, ...], named: dict[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """The arguments of a fused attention without what hides places."""
    if func is functional.multi_head_attention_forward:  # its masks are passed by name by the layer that calls it
        return args, {**named, "attn_mask": None, "key_padding_mask": None, "is_causal": False}
    given = dict(zip(("query", "key", "value", "attn_mask", "dropout_p", "is_causal"), args, strict=False)) | named
    mask = given.get("attn_mask")
    kept = None if mask is None or mask.dtype == torch.bool else shown(mask, 1.0)
    return (), {**given, "attn_mask": kept, "is_causal": False}
