"""Watches updates from outside, by PyTorch's hooks: what moved, in which order, by which gradient and rate.

Nothing is planted in the person's code. Of every parameter at most `SAMPLED` entries are kept, so that watching a large
model costs little memory; norms are taken over all entries.
"""

from __future__ import annotations

import copy
import random
from collections.abc import Callable, Container, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
import torch
from torch.optim.optimizer import register_optimizer_step_post_hook, register_optimizer_step_pre_hook
from torch.overrides import TorchFunctionMode
from torch.utils import checkpoint
from torch.utils._python_dispatch import TorchDispatchMode

from repro.checks.modules import followers
from repro.contract.bench import Bench, Tensors
from repro.contract.components import location_of, parameters_of, persons_errors

#: Entries of each parameter that are recorded. A wrong update rule is wrong in nearly every entry; 512 evenly spread
#: ones show it with certainty, and a model of 65 million parameters is watched in a few megabytes.
SAMPLED = 512


@dataclass
class Forward:
    """One call of a module's forward: its mode, and what of it was in the wrong one."""

    module: str
    training: bool
    gradients: bool
    not_training: list[str]  # dropout and normalisation layers that were in eval mode


@dataclass
class Step:
    """One `step()` of one optimiser. Arrays are samples of float64, by the parameter's name."""

    optimiser: str  # class name
    instance: int  # tells optimisers of one update apart
    groups: list[dict[str, Any]]  # hyper-parameters of each group, with `names` of its parameters
    strangers: int  # parameters that belong to no module of the model
    gradient: dict[str, np.ndarray | None]
    norm: float  # of the whole gradient
    before: dict[str, np.ndarray]
    after: dict[str, np.ndarray] = field(default_factory=dict)


@dataclass
class Update:
    """One call of `training.update`. `fresh` is the gradient of the total of this batch alone, None if it has none."""

    number: int
    batch: Tensors
    events: list[str] = field(default_factory=list)
    forwards: list[Forward] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)
    backwards: int = 0
    handed: int = 0  # calls of the backward that was handed in
    fresh: dict[str, np.ndarray | None] = field(default_factory=dict)
    fresh_norm: float = 0.0
    each: list[dict[str, np.ndarray | None]] = field(
        default_factory=list
    )  # of every example, after an accumulating update
    before: dict[str, np.ndarray] = field(default_factory=dict)
    after: dict[str, np.ndarray] = field(default_factory=dict)
    left: dict[str, np.ndarray | None] = field(default_factory=dict)  # gradient after the last backward
    total: float = float("nan")
    totals: list[float] = field(default_factory=list)  # that the handed backward got
    returned: Any = None
    normalised: list[str] = field(default_factory=list)  # tensors of the batch that the loss got normalised


@dataclass
class Watched:
    updates: list[Update]
    model: Any
    training: Any
    location: str  # of the person's `update`
    trainable: list[str]
    frozen: list[str]
    dims: dict[str, int] = field(default_factory=dict)  # number of axes of each parameter
    following: dict[str, str] = field(default_factory=dict)  # frozen copies of trainable ones, and of which

    @property
    def steps(self) -> list[tuple[Update, Step]]:
        return [(update, step) for update in self.updates for step in update.steps]


class NoDropout(TorchFunctionMode):
    """Inside, every dropout (module or functional) passes its input on: two forwards of one batch then agree.

    Where activations are not kept, the pass back calls forward again, outside of any such mode: that call gets one of
    its own, or it would not repeat the first.
    """

    names = (
        "dropout",
        "dropout1d",
        "dropout2d",
        "dropout3d",
        "alpha_dropout",
        "feature_alpha_dropout",
        "dropout_",
    )
    recurrent = ("lstm", "gru", "rnn_tanh", "rnn_relu")  # between the layers of these, one kernel draws it

    def __enter__(self) -> NoDropout:
        original = self.original = checkpoint._checkpoint_without_reentrant_generator

        def without(function: Any, *args: Any, **kwargs: Any) -> Any:
            def again(*inputs: Any, **named: Any) -> Any:
                with NoDropout():
                    return function(*inputs, **named)

            return original(again, *args, **kwargs)

        checkpoint._checkpoint_without_reentrant_generator = without  # type: ignore[assignment]
        super().__enter__()  # type: ignore[no-untyped-call]
        return self

    def __exit__(self, *raised: Any) -> None:
        super().__exit__(*raised)  # type: ignore[no-untyped-call]
        checkpoint._checkpoint_without_reentrant_generator = self.original

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = dict(kwargs or {})
        name = getattr(func, "__name__", "")
        if name in self.names:
            args, kwargs["p"] = (args or (kwargs.pop("input"),))[:1], 0.0
            kwargs = {key: value for key, value in kwargs.items() if key == "p"}
            if func is torch.dropout:
                return func(args[0], 0.0, False)
        elif name == "scaled_dot_product_attention":
            if len(args) > 4:
                args = (*args[:4], 0.0, *args[5:])
            else:
                kwargs["dropout_p"] = 0.0
        elif name in self.recurrent:
            # … num_layers, dropout, train, …: the rate is the one float that is handed in
            args = tuple(0.0 if isinstance(value, float) else value for value in args)
        return func(*args, **kwargs)


class FixedStatistics(TorchFunctionMode):
    """Inside, batch normalisation takes its running averages: the examples of a batch then do not see each other."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = dict(kwargs or {})
        if getattr(func, "__name__", "") == "batch_norm" and func is not torch.batch_norm:
            mean = kwargs.get("running_mean", args[1] if len(args) > 1 else None)
            if mean is not None and len(args) > 5:
                args = (*args[:5], False, *args[6:])
            elif mean is not None:
                kwargs["training"] = False
        return func(*args, **kwargs)


class StillNoise(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Inside, every normal or uniform number drawn by PyTorch is its mean: what is left does not depend on chance.

    `drawn` counts the draws. Which example gets which number then no longer matters, so two batchings of the same
    examples can be compared.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.drawn = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        result = func(*args, **kwargs)
        name = func.overloadpacket.__name__
        if name not in ("randn", "randn_like", "normal", "normal_", "rand", "rand_like", "uniform_"):
            return result
        self.drawn += 1
        after = args[1:] if name.endswith("_") else args  # the parameters of the distribution
        if name == "uniform_":
            low, high = kwargs.get("from", after[0] if after else 0.0), kwargs.get("to", (*after, 1.0, 1.0)[1])
            return result.fill_((low + high) / 2)
        if name.startswith("rand") and not name.startswith("randn"):
            return result.fill_(0.5)
        mean = kwargs.get("mean", after[0] if name.startswith("normal") and after else 0.0)
        return result.copy_(mean.expand_as(result)) if isinstance(mean, torch.Tensor) else result.fill_(mean)


# --- parameters by name
# -----------------------------------------------------------------------------------------------


def named_parameters(modules: Mapping[str, torch.nn.Module]) -> dict[str, torch.nn.Parameter]:
    """Every parameter once, tied ones under their first name; prefixed by the module where there are several."""
    if list(modules) == ["model"]:
        return dict(modules["model"].named_parameters())
    return {f"{name}.{key}": p for name, module in modules.items() for key, p in module.named_parameters()}


def sample(tensor: torch.Tensor) -> np.ndarray:
    """At most `SAMPLED` entries, evenly spread, as float64."""
    flat = tensor.detach().reshape(-1)
    if flat.numel() > SAMPLED:
        flat = flat[torch.linspace(0, flat.numel() - 1, SAMPLED, dtype=torch.float64).long()]
    return flat.to(torch.float64, copy=True).numpy()


def sample_all(parameters: Mapping[str, torch.Tensor]) -> dict[str, np.ndarray]:
    return {name: sample(p) for name, p in parameters.items()}


def sample_gradients(parameters: Mapping[str, torch.Tensor]) -> dict[str, np.ndarray | None]:
    return {
        name: None if p.grad is None else sample(p.grad.to_dense() if p.grad.is_sparse else p.grad)
        for name, p in parameters.items()
    }


def norm_of(gradients: Iterator[torch.Tensor | None] | list[torch.Tensor | None]) -> float:
    squares = [float(g.detach().to(torch.float64).square().sum()) for g in gradients if g is not None]
    return float(np.sqrt(sum(squares)))


def seed_all(seed: int) -> None:
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)


@contextmanager
def kept_random_state() -> Iterator[None]:
    """Global random generators are as they were afterwards."""
    python, numpy, state = random.getstate(), np.random.get_state(), torch.get_rng_state()
    try:
        yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)
        torch.set_rng_state(state)


# --- the gradient that the update should have used
# ---------------------------------------------------------------------


def fresh_gradient(
    bench: Bench, model: Any, batch: Tensors, loss: Any
) -> tuple[dict[str, np.ndarray | None], float, float]:
    """(sampled gradient, its norm, the total) of this batch alone; `.grad`, buffers and random state stay untouched."""
    parameters = {n: p for n, p in named_parameters(bench.modules(model)).items() if p.requires_grad}
    buffers = [(b, b.clone()) for module in bench.modules(model).values() for b in module.buffers()]
    with kept_random_state():
        total = bench.terms(model, batch, loss)["total"]
        found = torch.autograd.grad(total, list(parameters.values()), allow_unused=True) if total.requires_grad else ()
    with torch.no_grad():
        for buffer, value in buffers:
            buffer.copy_(value)
    gradients = dict(zip(parameters, found or [None] * len(parameters), strict=True))
    sampled = {name: None if g is None else sample(g) for name, g in gradients.items()}
    return sampled, norm_of(list(gradients.values())), float(total.detach())


class Overheard:
    """The person's loss, with what each call was handed, by parameter name."""

    def __init__(self, loss: Any) -> None:
        self.loss = loss
        self.calls: list[dict[str, Any]] = []

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        names = list(parameters_of(getattr(self.loss, "forward", self.loss)))
        self.calls.append({**dict(zip(names, args, strict=False)), **kwargs})
        return self.loss(*args, **kwargs)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or "loss" not in vars(self):  # a copy in the making
            raise AttributeError(name)
        return getattr(self.loss, name)


def normalised(batch: Tensors, given: Mapping[str, Any], inputs: Container[str]) -> Tensors:
    """Tensors of the batch that an update hands to the loss in another form that needs no excuse: brought to mean 0 and
    standard deviation 1 over the batch by a straight line, as advantages are. Inputs of the model never are.
    """
    found: Tensors = {}
    for name, value in batch.items():
        got = given.get(name)
        if name in inputs or not torch.is_tensor(got) or got.shape != value.shape or value.numel() < 3:
            continue
        if not value.is_floating_point() or torch.equal(got, value):
            continue
        x, y = value.detach().double().flatten(), got.detach().double().flatten()
        spread = (float(y.std()), float(y.std(unbiased=False)))
        straight = torch.allclose((x - x.mean()) / x.std() * y.std() + y.mean(), y, atol=1e-6)
        if straight and abs(float(y.mean())) < 1e-4 and any(abs(s - 1) < 1e-3 for s in spread):
            found[name] = got.detach()
    return found


# --- watching
# ---------------------------------------------------------------------------------------------------------


@contextmanager
def watching(
    update: Update, parameters: Mapping[str, torch.nn.Parameter], modules: Mapping[str, torch.nn.Module]
) -> Iterator[None]:
    """Record one update through hooks, which are gone afterwards."""
    names = {id(p): name for name, p in parameters.items()}
    open_steps: dict[int, Step] = {}

    def before_step(optimiser: torch.optim.Optimizer, args: Any, kwargs: Any) -> tuple[Any, Any] | None:
        mine = {names[id(p)]: p for g in optimiser.param_groups for p in g["params"] if id(p) in names}
        every = [p for g in optimiser.param_groups for p in g["params"]]
        groups = [
            {
                **{k: float(v) if torch.is_tensor(v) and v.numel() == 1 else v for k, v in g.items() if k != "params"},
                "names": [names[id(p)] for p in g["params"] if id(p) in names],
            }
            for g in optimiser.param_groups
        ]
        step = Step(
            optimiser=type(optimiser).__name__,
            instance=id(optimiser),
            groups=groups,
            strangers=len(every) - len(mine),
            gradient={},
            norm=0.0,
            before=sample_all(mine),
        )
        open_steps[id(optimiser)] = step

        def applies() -> None:
            step.gradient = sample_gradients(mine)
            step.norm = norm_of([p.grad for p in every])
            update.steps.append(step)
            update.events.append("step")

        closure = kwargs.get("closure", args[1] if len(args) > 1 else None)  # args[0] is the optimiser
        if closure is None:
            applies()
            return None

        def heard(*given: Any, **named: Any) -> Any:
            """The closure makes the gradient inside of step(): what is applied is there when it has returned."""
            result = closure(*given, **named)
            if not any(step is one for one in update.steps):
                applies()
            return result

        if "closure" in kwargs:
            return args, {**kwargs, "closure": heard}
        return (args[0], heard, *args[2:]), kwargs

    def after_step(optimiser: torch.optim.Optimizer, args: Any, kwargs: Any) -> None:
        step = open_steps.pop(id(optimiser), None)
        if step is not None:
            step.after = sample_all({n: p for n, p in parameters.items() if n in step.before})

    def on_forward(name: str) -> Callable[..., None]:
        def hook(module: torch.nn.Module, args: Any) -> None:
            sleeping = [
                key or name
                for key, part in module.named_modules()
                if not part.training
                and isinstance(part, (torch.nn.modules.dropout._DropoutNd, torch.nn.modules.batchnorm._NormBase))
            ]
            update.forwards.append(Forward(name, module.training, torch.is_grad_enabled(), sleeping))
            update.events.append("forward")

        return hook

    original_backward, original_zero = torch.autograd.backward, torch.optim.Optimizer.zero_grad

    def backward(*args: Any, **kwargs: Any) -> Any:
        result = original_backward(*args, **kwargs)
        update.backwards += 1
        update.events.append("backward")
        update.left = sample_gradients(parameters)
        return result

    def zero_grad(self: torch.optim.Optimizer, *args: Any, **kwargs: Any) -> None:
        update.events.append("zero_grad")
        original_zero(self, *args, **kwargs)

    with ExitStack() as stack:
        for handle in (
            register_optimizer_step_pre_hook(before_step),
            register_optimizer_step_post_hook(after_step),
            *(module.register_forward_pre_hook(on_forward(name)) for name, module in modules.items()),
        ):
            stack.callback(handle.remove)
        stack.callback(setattr, torch.autograd, "backward", original_backward)
        stack.callback(setattr, torch.optim.Optimizer, "zero_grad", original_zero)
        torch.autograd.backward = backward
        torch.optim.Optimizer.zero_grad = zero_grad  # type: ignore[method-assign]
        update.before = sample_all(parameters)
        yield
        update.after = sample_all(parameters)


EXAMPLES = 4  # of a batch that an update is watched on


def same_weights(bench: Bench, model: torch.nn.Module) -> torch.nn.Module:
    """A copy of the model; rebuilt where it cannot be copied, as with weights that a hook computes (weight_norm)."""
    try:
        return copy.deepcopy(model)
    except RuntimeError:
        made = bench.model(dtype=next(model.parameters()).dtype)
        made.load_state_dict(model.state_dict())
        return made


def watch(
    bench: Bench,
    updates: int = 4,
    n: int = EXAMPLES,
    factor: float = 1.0,
    dropout: bool = False,
    fixed: bool = False,
    cleared: bool = False,
) -> Watched:
    """Watch `updates` calls of the person's `update`, each on another synthetic batch of `n` examples.

    The model is put into eval mode before each of them, as after an evaluation: `update` has to set the mode it needs.
    `factor` multiplies the total before backward, through the `backward` that is handed in. Dropout is off unless
    asked for, so that the gradient of the same batch can be computed a second time; `fixed` keeps the statistics of
    batch normalisation as they are at the start, and `cleared` drops every gradient that is left before an update.
    """
    seed_all(bench.seed)
    model, loss = bench.model(), bench.loss()
    modules = bench.modules(model)
    parameters = named_parameters(modules)
    current: list[Update] = []

    def handed(total: torch.Tensor, *args: Any, **kwargs: Any) -> Any:
        if current:
            current[-1].handed += 1
            current[-1].totals.append(float(total.detach()))
        return torch.Tensor.backward(total * factor if factor != 1.0 else total, *args, **kwargs)  # type: ignore[no-untyped-call]

    single = list(modules) == ["model"] and not isinstance(loss, dict)
    inputs = set(parameters_of(modules["model"].forward)) if single else set()
    overheard = Overheard(loss) if single and weighs(bench, inputs) else None
    training = bench.training(model, overheard or loss, handed)
    following = followers(modules)  # after `training` is built, which may copy and freeze a target network
    with ExitStack() as stack:
        stack.enter_context(bench.precision())
        if not dropout:
            stack.enter_context(NoDropout())
        if fixed:
            stack.enter_context(FixedStatistics())
        for number in range(1, updates + 1):
            update = Update(number, bench.synthetic(n, seed=bench.seed * 1000 + number))
            current.append(update)
            if single:
                modules["model"].train()
                update.fresh, update.fresh_norm, update.total = fresh_gradient(bench, model, update.batch, loss)
                if len(current) > 1 and current[-2].backwards > 1:
                    singles = [bench.take(update.batch, 1, i) for i in range(n)]
                    update.each = [fresh_gradient(bench, model, example, loss)[0] for example in singles]
            # from these weights the gradient is taken again if the loss was handed something normalised
            start = same_weights(bench, model) if overheard else None
            if overheard:
                overheard.calls.clear()
            for module in modules.values():
                module.eval()
            if cleared:
                for parameter in parameters.values():
                    parameter.grad = None
            with watching(update, parameters, modules), persons_errors(f"training: update {number} raised"):
                update.returned = training.update(dict(update.batch))
            if overheard and start is not None and len(overheard.calls) == 1:
                changed = normalised(update.batch, overheard.calls[0], inputs)
                if changed:
                    update.normalised = sorted(changed)
                    start.train()
                    update.fresh, update.fresh_norm, update.total = fresh_gradient(
                        bench, start, {**update.batch, **changed}, loss
                    )
            if single and bench.paper.noise() and not replayed(update):
                update.fresh, update.fresh_norm = (
                    {},
                    0.0,
                )  # the update drew other noise than our forward of the same batch
    return Watched(
        updates=current,
        model=model,
        training=training,
        location=location_of(training.update),
        trainable=[name for name, p in parameters.items() if p.requires_grad],
        frozen=[name for name, p in parameters.items() if not p.requires_grad],
        dims={name: p.dim() for name, p in parameters.items()},
        following=following,
    )


def weighs(bench: Bench, inputs: Container[str]) -> bool:
    """Whether the loss takes numbers of the batch that the model does not: only these may be normalised."""
    tensors = bench.paper.tensors
    return any(
        tensors[name].output_of is None and tensors[name].is_floating and name not in inputs
        for name in parameters_of(getattr(bench.loss(), "forward", bench.loss()))
        if name in tensors
    )


def replayed(update: Update) -> bool:
    """Whether the update minimised the total that our forward of its batch gave, so that both drew the same noise."""
    return len(update.totals) == 1 and abs(update.totals[0] - update.total) <= 1e-6 * max(abs(update.total), 1.0)


KEPT: WeakKeyDictionary[Bench, dict[str, Any]] = WeakKeyDictionary()


def kept(bench: Bench, key: str, make: Callable[[], Any]) -> Any:
    """What `make` gives, made once for each bench: checks share a recording, which they read and never change."""
    shelf = KEPT.setdefault(bench, {})
    if key not in shelf:
        shelf[key] = make()
    return shelf[key]


def watched(bench: Bench) -> Watched:
    """The recording of four updates that the checks of one bench share."""
    return kept(bench, "watched", lambda: watch(bench))
