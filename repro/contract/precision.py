"""The precision that a check computes in, also where the person's code names float32."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch.overrides import TorchFunctionMode


class Float32Means(TorchFunctionMode):
    """Where code asks for float32 by name it gets the default dtype of that moment; a float32 constant is widened.

    `one_hot(x).float()` before a linear layer, a softmax with `dtype=torch.float32`, a table kept as a plain attribute:
    each is right in a float32 model and would end every check that computes in float64. It means "the precision of this
    model". What mixes precisions by itself is still seen where checks train in float32.
    """

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = dict(kwargs or {})
        wanted = torch.get_default_dtype()
        if func is torch.Tensor.float:
            func, args = torch.Tensor.to, (args[0], wanted)
        if kwargs.get("dtype") is torch.float32:
            kwargs["dtype"] = wanted
        args = tuple(wanted if given is torch.float32 else given for given in args)
        try:
            return func(*args, **kwargs)
        except RuntimeError:
            if not {torch.float32, torch.float64} <= dtypes(args) | dtypes(kwargs.values()):
                raise
            in_place = getattr(func, "__name__", "").endswith("_")  # add_, __setitem__: the first tensor stays itself
            wanted = args[0].dtype if in_place else torch.float64
            return func(*converted(args, wanted), **dict(zip(kwargs, converted(kwargs.values(), wanted), strict=True)))


def dtypes(values: Iterable[Any]) -> set[torch.dtype]:
    """Of the tensors among these values and in their lists."""
    found: set[torch.dtype] = set()
    for value in values:
        if isinstance(value, torch.Tensor):
            found.add(value.dtype)
        elif isinstance(value, list | tuple):
            found |= dtypes(value)
    return found


def converted(values: Iterable[Any], dtype: torch.dtype) -> list[Any]:
    """The values with their floating tensors, also those in lists, as `dtype`; a tensor that has it stays itself."""
    made: list[Any] = []
    for value in values:
        if isinstance(value, torch.Tensor) and value.is_floating_point():
            made.append(value.to(dtype))
        elif isinstance(value, list | tuple):
            made.append(type(value)(converted(value, dtype)))
        else:
            made.append(value)
    return made


@contextmanager
def working_precision(dtype: torch.dtype) -> Iterator[None]:
    """Tensors made without naming a dtype, or naming float32, get `dtype`."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        if dtype is torch.float64:
            with Float32Means():
                yield
        else:
            yield
    finally:
        torch.set_default_dtype(before)
