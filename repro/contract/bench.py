"""A workbench for checks: fresh, seeded components of one paper, on the CPU, called by the names of tensors."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from typing import Any

import torch

from repro.contract.components import call_by_name, location_of, parameters_of, persons_errors, takes_model
from repro.contract.paper import Paper
from repro.contract.precision import working_precision
from repro.contract.sizes import known_sizes
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
        # imported and built in the precision that the person's code has outside of a check
        with self.precision(torch.float32):
            if fresh:
                return self.paper.build_data(self.seed)
            if self.shared_data is None:
                self.shared_data = self.paper.build_data(self.seed)
            return self.shared_data

    def model(self, seed: int | None = None, dtype: torch.dtype | None = None) -> Any:
        """A freshly initialised model (or dict of named ones) in the bench's precision."""
        with self.precision(torch.float32):
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
        # made in the precision that data has outside of a check: constants of the person's module are float32
        with persons_errors("data: synthetic(n, seed) raised"), self.precision(torch.float32):
            batch = data.synthetic(n, self.seed if seed is None else seed)
        return self.as_declared(self.named(batch, "synthetic(n, seed) returns"))

    def named(self, batch: Any, origin: str) -> Any:
        """The batch, which must be a dict in which every declared name is a tensor; else `ComponentError`."""
        names = [name for name, tensor in self.paper.tensors.items() if tensor.output_of is None]
        if not isinstance(batch, Mapping):
            raise ComponentError(
                f"data: {origin} a {type(batch).__name__}, need a dict of named tensors.",
                f"Give each its name under `tensors:`, as in {{{names[0]!r}: …}}." if names else "",
            )
        for name in names:
            if name in batch and not torch.is_tensor(batch[name]):
                raise ComponentError(
                    f"data: {origin} a {type(batch[name]).__name__} for {name}, need a tensor.",
                    "torch.from_numpy makes one of an array, torch.tensor of numbers.",
                )
        return batch

    def real(self, split: str = "train", n: int | None = 8, model: Any = None) -> Tensors:
        """The first `n` examples of the first batch of a split (all of it with n=None)."""
        batch = next(iter(self.batches(split, model=model)), None)
        if batch is None:
            raise ComponentError(f"data: batches({split!r}) yields nothing.")
        return self.take(batch, n) if n is not None else batch

    def batches(self, split: str, model: Any = None, fresh: bool = True) -> Iterator[Tensors]:
        """All batches of one pass over a split; data that come from acting get a fresh model where none is given."""
        data = self.data(fresh=fresh)
        if model is None and takes_model(data):
            model = self.model(dtype=torch.float32)  # as outside of a check: environments give float32
        with persons_errors(f"data: batches({split!r}) raised"):
            for batch in data.batches(split, model=model) if model is not None else data.batches(split):
                yield self.named(batch, f"batches({split!r}) yields")

    def with_noise(self, batch: Mapping[str, torch.Tensor], seed: int = 0) -> Tensors:
        """The batch with every declared noise tensor drawn, so that a stochastic forward is a function of its input.

        For the checks only: the person's `update` draws its own, and gets batches as data gives them.
        """
        noise = {name: self.draw(name, batch, torch.Generator().manual_seed(seed)) for name in self.paper.noise()}
        return {**{name: value for name, value in noise.items() if value is not None}, **batch}

    def draw(self, name: str, batch: Mapping[str, torch.Tensor], generator: Any = None) -> torch.Tensor | None:
        """Noise as declared, in the sizes of the batch and the config; None where the size of an axis is not known."""
        declaration = self.paper.tensors[name]
        sizes = known_sizes(self.paper, batch)
        shape = [axis if isinstance(axis, int) else sizes.get(axis) for axis in declaration.axes]
        if any(size is None for size in shape):
            return None
        known = [int(size) for size in shape if size is not None]
        if not declaration.is_floating:
            assert declaration.range is not None  # refused where the declaration is read
            first, last = (int(bound) for bound in declaration.range)
            dtype = getattr(torch, declaration.dtype)
            return torch.randint(first, last + 1, known, generator=generator, dtype=dtype)
        if declaration.random == "uniform":
            low, high = declaration.range or (0.0, 1.0)
            return torch.rand(known, generator=generator, dtype=self.dtype) * (high - low) + low
        return torch.randn(known, generator=generator, dtype=self.dtype)

    def take(self, batch: Mapping[str, torch.Tensor], n: int, start: int = 0) -> Tensors:
        """`n` examples of a batch: every declared tensor is cut along its axis `batch`."""
        cut = {}
        for name, value in batch.items():
            declaration = self.paper.tensors.get(name)
            if declaration is None or "batch" not in declaration.axes:
                cut[name] = value
                continue
            axis = declaration.axes.index("batch")
            cut[name] = value.narrow(axis, start, min(n, value.shape[axis] - start)).contiguous()  # code may call view
        return cut

    def as_declared(self, batch: Mapping[str, torch.Tensor]) -> Tensors:
        """The batch with its floating tensors in the bench's precision (integers and masks stay)."""
        return {k: v.to(self.dtype) if torch.is_tensor(v) and v.is_floating_point() else v for k, v in batch.items()}

    # --- calls --------------------------------------------------------------------------------------------------

    def precision(self, dtype: torch.dtype | None = None) -> AbstractContextManager[None]:
        """Tensors that the person's code makes without naming a dtype, or in float32, get the bench's precision."""
        return working_precision(dtype or self.dtype)

    def forward(self, model: Any, tensors: Mapping[str, torch.Tensor], module: str | None = None) -> Tensors:
        """The declared outputs by name, of one module or of all. Modes, gradients and RNG are the caller's business.

        Several modules feed each other: each is called as soon as all that its forward takes is at hand, once for every
        `given` that its outputs declare. Noise that a forward needs and nobody gave is drawn from PyTorch's generator.
        """
        modules = self.modules(model)
        if list(modules) == ["model"]:
            return self.forward_one(modules["model"], tensors, "model", {})
        waiting = self.calls(modules)
        found: Tensors = {}
        while waiting:
            at_hand = {**tensors, **found}
            ready = [call for call in waiting if not self.lacking(modules[call[0]], at_hand, dict(call[1]))]
            if not ready:
                break
            for owner, given in ready:
                waiting.remove((owner, given))
                found |= self.forward_one(modules[owner], at_hand, owner, dict(given))
        for owner, given in waiting:
            if module in (None, owner):
                missing = ", ".join(self.lacking(modules[owner], {**tensors, **found}, dict(given)))
                raise ComponentError(
                    f"{owner}.forward at {location_of(modules[owner])} takes {missing}, "
                    "which no batch gives and no module returns.",
                    f"Declare its outputs with `given: {{{missing.split(', ')[0]}: <tensor>}}`, "
                    "or the tensor under `tensors:`.",
                )
        names = self.paper.outputs(module)
        return {name: value for name, value in found.items() if module is None or name in names}

    def calls(self, modules: Mapping[str, torch.nn.Module]) -> list[tuple[str, tuple[tuple[str, str], ...]]]:
        """(module, its `given`) of every call that the declared outputs need."""
        wanted = [
            (tensor.output_of, tuple((tensor.given or {}).items()))
            for tensor in self.paper.tensors.values()
            if tensor.output_of in modules
        ]
        return [(str(owner), given) for owner, given in dict.fromkeys(wanted)]

    def lacking(self, target: Any, tensors: Mapping[str, torch.Tensor], given: Mapping[str, str]) -> list[str]:
        """What a forward needs that is not at hand; noise never lacks."""
        return [
            name
            for name, parameter in parameters_of(target.forward).items()
            if parameter.default is parameter.empty
            and parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
            and given.get(name, name) not in tensors
            and name not in self.paper.noise()
        ]

    def forward_one(
        self, target: Any, tensors: Mapping[str, torch.Tensor], module: str, given: Mapping[str, str]
    ) -> Tensors:
        """One call of one module, its parameters renamed as `given` says."""
        tensors = {**tensors, **{name: tensors[source] for name, source in given.items() if source in tensors}}
        for name, wanted in parameters_of(target.forward).items():
            if name in self.paper.noise() and name not in tensors and wanted.default is wanted.empty:
                noise = self.draw(name, tensors)
                if noise is not None:
                    tensors[name] = noise
        parameter = next(target.parameters(), None)
        dtype = parameter.dtype if parameter is not None else self.dtype
        inputs = {k: v.to(dtype) if torch.is_tensor(v) and v.is_floating_point() else v for k, v in tensors.items()}
        with self.precision(dtype):
            returned = call_by_name(target, inputs, f"{module}.forward")
        return self.name_outputs(returned, module, given)

    def name_outputs(self, returned: Any, module: str = "model", given: Mapping[str, str] | None = None) -> Tensors:
        """What a forward returned, by the names declared with `output_of: <module>` and this `given`."""
        names = [n for n in self.paper.outputs(module) if dict(self.paper.tensors[n].given or {}) == dict(given or {})]
        if isinstance(returned, Mapping):
            return dict(returned)
        if returned is None:
            raise ComponentError(
                f"{module}.forward returned None, need {', '.join(names) or 'a tensor'}.", "Is its `return` missing?"
            )
        values = returned if isinstance(returned, tuple) else (returned,)
        if len(values) != len(names):
            raise ComponentError(
                f"{module}.forward returned {len(values)} tensors, but {len(names)} are declared"
                f" with output_of: {module} ({', '.join(names) or 'none'}).",
                "Declare each output under `tensors:` in the order returned, or return a dict of named tensors.",
            )
        return dict(zip(names, values, strict=True))

    def with_noise_of_loss(self, model: Any, batch: Mapping[str, torch.Tensor]) -> Tensors:
        """The batch with the noise that a loss takes, as one that compares predicted noise with it; else as it is.

        What the forward takes beside it is drawn too, in the order of its parameters and from PyTorch's generator, as
        an update that draws them in this order does.
        """
        losses = self.loss()
        parts = losses.values() if isinstance(losses, dict) else [losses]
        taken = {name for part in parts for name in parameters_of(part)}
        noise = [name for name in self.paper.noise() if name not in batch]
        if not taken & set(noise):
            return dict(batch)
        forwards = [parameters_of(module.forward) for module in self.modules(model).values()]
        needed = [n for f in forwards for n, p in f.items() if n in noise and (p.default is p.empty or n in taken)]
        drawn = {n: self.draw(n, batch) for n in dict.fromkeys([*needed, *(n for n in noise if n in taken)])}
        return {**batch, **{name: value for name, value in drawn.items() if value is not None}}

    def terms(self, model: Any, batch: Mapping[str, torch.Tensor], loss: Any = None) -> Tensors:
        """The loss terms of a batch: forward, then the loss."""
        batch = self.with_noise_of_loss(model, batch)
        outputs = self.forward(model, batch)
        return self.call_loss({**batch, **outputs}, loss)

    def call_loss(self, tensors: Mapping[str, torch.Tensor], loss: Any = None, name: str = "loss") -> Tensors:
        """The loss terms of named tensors; a bare tensor counts as {"total": tensor}."""
        target = loss if loss is not None else self.loss()
        if isinstance(target, dict):
            if name not in target:
                raise ComponentError(f"loss: there are {', '.join(target)}; name the one that is meant.")
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
        if "checkpoints" not in extra:  # one that averages checkpoints averages this model alone
            states = {name: module.state_dict() for name, module in self.modules(model).items()}
            extra["checkpoints"] = [states["model"] if list(states) == ["model"] else states]
        return self.paper.evaluate(model, data if data is not None else self.data(), split, **extra)
