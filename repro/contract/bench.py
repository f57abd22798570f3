"""A workbench for checks: fresh, seeded components of one paper, on the CPU, called by the names of tensors."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch

from repro.contract.components import call_by_name, persons_errors
from repro.contract.paper import Paper
from repro.errors import ComponentError

Tensors = dict[str, torch.Tensor]


class Bench:
    """Builds what a check needs; nothing is shared between two checks except the read-only data object.

    `dtype` is the precision of models that the bench builds: float64 separates a bug from rounding.
    """

    def __init__(self, paper: Paper, dtype: torch.dtype = torch.float64, seed: int = 0) -> None:
        self.paper = paper
        self.dtype = dtype
        self.seed = seed
        self.shared_data: Any = None

    # --- components ---------------------------------------------------------------------------------------------

    def data(self, fresh: bool = False) -> Any:
        """The data component; `fresh=True` for a check that moves its position."""
        if fresh:
            return self.paper.build_data(self.seed)
        if self.shared_data is None:
            self.shared_data = self.paper.build_data(self.seed)
        return self.shared_data

    def model(self, seed: int | None = None, dtype: torch.dtype | None = None) -> Any:
        """A freshly initialised model (or dict of named ones) in the bench's precision."""
        model = self.paper.build_model(self.seed if seed is None else seed)
        for module in self.modules(model).values():
            module.to(dtype or self.dtype)
        return model

    def modules(self, model: Any) -> dict[str, torch.nn.Module]:
        """The modules of a model by name: {"model": model} where there is one."""
        return {"model": model} if isinstance(model, torch.nn.Module) else dict(model)

    def loss(self) -> Any:
        return self.paper.build_loss()

    def training(self, model: Any, loss: Any = None, backward: Any = None) -> Any:
        return self.paper.build_training(model, loss if loss is not None else self.loss(), backward)

    def piece(self, name: str) -> Any:
        """The declared callable of a piece, or None."""
        return self.paper.piece(name)

    # --- batches ------------------------------------------------------------------------------------------------

    def synthetic(self, n: int = 4, seed: int | None = None) -> Tensors:
        """A batch of `n` synthetic examples, always the same for the same seed."""
        data = self.data()
        if not callable(getattr(data, "synthetic", None)):
            raise ComponentError(
                f"data: {type(data).__name__} has no synthetic(n, seed).",
                "Give it a method synthetic(n, seed) that returns one batch of n made-up examples.",
            )
        with persons_errors("data: synthetic(n, seed) raised"):
            batch = data.synthetic(n, self.seed if seed is None else seed)
        return self.as_declared(batch)

    def real(self, split: str = "train", n: int | None = 8, model: Any = None) -> Tensors:
        """The first `n` examples of the first batch of a split (all of it with n=None)."""
        batch = next(iter(self.batches(split, model=model)), None)
        if batch is None:
            raise ComponentError(f"data: batches({split!r}) yields nothing.")
        return self.take(batch, n) if n is not None else batch

    def batches(self, split: str, model: Any = None, fresh: bool = True) -> Iterator[Tensors]:
        """All batches of one pass over a split."""
        data = self.data(fresh=fresh)
        with persons_errors(f"data: batches({split!r}) raised"):
            yield from (data.batches(split, model=model) if model is not None else data.batches(split))

    def take(self, batch: Mapping[str, torch.Tensor], n: int, start: int = 0) -> Tensors:
        """`n` examples of a batch: every declared tensor is cut along its axis `batch`."""
        cut = {}
        for name, value in batch.items():
            declaration = self.paper.tensors.get(name)
            if declaration is None or "batch" not in declaration.axes:
                cut[name] = value
                continue
            axis = declaration.axes.index("batch")
            cut[name] = value.narrow(axis, start, min(n, value.shape[axis] - start))
        return cut

    def as_declared(self, batch: Mapping[str, torch.Tensor]) -> Tensors:
        """The batch with its floating tensors in the bench's precision (integers and masks stay)."""
        if not isinstance(batch, Mapping):
            raise ComponentError(f"data: a batch is a {type(batch).__name__}, need a dict of named tensors.")
        return {k: v.to(self.dtype) if torch.is_tensor(v) and v.is_floating_point() else v for k, v in batch.items()}

    # --- calls --------------------------------------------------------------------------------------------------

    @contextmanager
    def precision(self, dtype: torch.dtype | None = None) -> Iterator[None]:
        """Tensors that the person's code makes without naming a dtype get the bench's precision."""
        before = torch.get_default_dtype()
        torch.set_default_dtype(dtype or self.dtype)
        try:
            yield
        finally:
            torch.set_default_dtype(before)

    def forward(self, model: Any, tensors: Mapping[str, torch.Tensor], module: str = "model") -> Tensors:
        """The declared outputs of one module, by name. Modes, gradients and RNG are the caller's business."""
        target = self.modules(model)[module]
        parameter = next(target.parameters(), None)
        dtype = parameter.dtype if parameter is not None else self.dtype
        inputs = {k: v.to(dtype) if torch.is_tensor(v) and v.is_floating_point() else v for k, v in tensors.items()}
        with self.precision(dtype):
            returned = call_by_name(target, inputs, f"{module}.forward")
        return self.name_outputs(returned, module)

    def name_outputs(self, returned: Any, module: str = "model") -> Tensors:
        """What a forward returned, by the names declared with `output_of: <module>`."""
        names = self.paper.outputs(module)
        if isinstance(returned, Mapping):
            return dict(returned)
        values = returned if isinstance(returned, tuple) else (returned,)
        if len(values) != len(names):
            raise ComponentError(
                f"{module}.forward returned {len(values)} tensors, but {len(names)} are declared"
                f" with output_of: {module} ({', '.join(names) or 'none'}).",
                "Declare each output under `tensors:` in the order returned, or return a dict of named tensors.",
            )
        return dict(zip(names, values, strict=True))

    def terms(self, model: Any, batch: Mapping[str, torch.Tensor], loss: Any = None) -> Tensors:
        """The loss terms of a batch: forward, then the loss."""
        outputs = self.forward(model, batch)
        return self.call_loss({**batch, **outputs}, loss)

    def call_loss(self, tensors: Mapping[str, torch.Tensor], loss: Any = None, name: str = "loss") -> Tensors:
        """The loss terms of named tensors; a bare tensor counts as {"total": tensor}."""
        target = loss if loss is not None else self.loss()
        if isinstance(target, dict):
            target = target[name]
        returned = call_by_name(target, tensors, "loss")
        terms = dict(returned) if isinstance(returned, Mapping) else {"total": returned}
        if "total" not in terms:
            raise ComponentError(
                f"loss returned the terms {', '.join(terms) or 'none'}; `total` is missing.",
                "Return a dict of named terms with `total` for what is minimised.",
            )
        return terms

    def evaluate(self, model: Any, split: str = "test", data: Any = None, **extra: Any) -> dict[str, float]:
        return self.paper.evaluate(model, data if data is not None else self.data(), split, **extra)
