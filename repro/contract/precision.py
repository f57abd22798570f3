"""The precision that a check computes in, also where the person's code names float32."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch.overrides import TorchFunctionMode


class Float32Means(TorchFunctionMode):
    """Where code asks for float32 by name it gets the default dtype of that moment.

    `one_hot(x).float()` before a linear layer, or a softmax with `dtype=torch.float32`, is right in a float32 model and
    would end every check that computes in float64: it means "the precision of this model".
    """

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = dict(kwargs or {})
        wanted = torch.get_default_dtype()
        if func is torch.Tensor.float:
            func, args = torch.Tensor.to, (args[0], wanted)
        if kwargs.get("dtype") is torch.float32:
            kwargs["dtype"] = wanted
        args = tuple(wanted if given is torch.float32 else given for given in args)
        return func(*args, **kwargs)


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
