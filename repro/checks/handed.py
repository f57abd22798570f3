"""What an update hands to the forward of each module and to the loss, overheard by the names of their parameters."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from repro.checks.inputs import loss_inputs
from repro.checks.registry import check, failed, not_run, passed, warned
from repro.checks.watch import NoDropout, Overheard, kept, seed_all
from repro.contract.bench import Bench
from repro.contract.components import location_of, parameters_of, persons_errors
from repro.contract.declarations import TensorDeclaration
from repro.findings import Finding

UPDATES = 2
#: Of the noise that is judged: examples of an update, updates, and seconds after which no further one is made.
DRAWN, TIMES, SECONDS = 256, 8, 3.0
#: Chance below which what is seen cannot be chance.
CHANCE = 1e-6


@dataclass
class Heard:
    """The tensors of one update, by (who was called, name of the parameter), in the order of the calls."""

    batch: dict[str, Tensor]
    forward: dict[tuple[str, str], list[Tensor]] = field(default_factory=dict)
    loss: dict[str, list[Tensor]] = field(default_factory=dict)

    def of_forward(self, name: str) -> list[Tensor]:
        return [value for (_, parameter), values in self.forward.items() if parameter == name for value in values]


@contextmanager
def hearing(modules: Mapping[str, nn.Module], heard: list[Heard]) -> Iterator[None]:
    """Every call of a module is noted in the last of `heard`."""

    def on_forward(owner: str, names: list[str]) -> Any:
        def hook(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
            for name, value in {**dict(zip(names, args, strict=False)), **kwargs}.items():
                if torch.is_tensor(value) and heard:
                    heard[-1].forward.setdefault((owner, name), []).append(value.detach().clone())

        return hook

    handles = [
        module.register_forward_pre_hook(on_forward(owner, list(parameters_of(module.forward))), with_kwargs=True)
        for owner, module in modules.items()
    ]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def hear(bench: Bench, n: int, updates: int, seconds: float | None = None) -> list[Heard]:
    """What `updates` updates of `n` synthetic examples hand over."""
    seed_all(bench.seed)
    model, loss = bench.model(), bench.loss()
    losses = {name: Overheard(part) for name, part in loss.items()} if isinstance(loss, dict) else Overheard(loss)
    training = bench.training(model, losses)
    heard: list[Heard] = []
    start = time.perf_counter()
    with bench.precision(), NoDropout(), hearing(bench.modules(model), heard):
        for number in range(updates):
            if seconds is not None and heard and time.perf_counter() - start > seconds:
                break
            batch = bench.synthetic(n, seed=bench.seed * 1000 + 500 + number)
            heard.append(Heard(batch))
            parts = list(losses.values()) if isinstance(losses, dict) else [losses]
            for part in parts:
                part.calls.clear()
            with persons_errors("training: update raised"):
                training.update(dict(batch))
            for call in (call for part in parts for call in part.calls):
                for name, value in call.items():
                    if torch.is_tensor(value):
                        heard[-1].loss.setdefault(name, []).append(value.detach().clone())
    return heard


def same(a: Tensor, b: Tensor) -> bool:
    return a.shape == b.shape and torch.equal(a, b.to(a.dtype))


@check(phase="training", family="trace", component="training")
def handed_over(bench: Bench) -> list[Finding]:
    """Decides whether an update hands each declared tensor on under its own name, and noise as it is declared.

    Broken: the forward or the loss is given another tensor of the batch in the place of the one it names; the loss is
    given other noise than the forward; noise is one draw for a whole batch, of another scale, or leaves out an end.
    Likely: arguments in the wrong order | teacher forcing without the shift: the target is handed in as the input |
    noise is drawn a second time for the loss | one draw for the whole batch
    """
    heard = kept(bench, "handed", lambda: hear(bench, 4, UPDATES))
    if not any(h.forward or h.loss for h in heard):
        return [not_run("an update calls neither the forward of a module nor the loss, so nothing is overheard")]
    location = location_of(type(bench.training(bench.model())).update)
    findings = [exchanged(bench, h, location) or other_noise(bench, h, location) for h in heard]
    found = next((f for f in findings if f is not None), None)
    if found is not None:
        return [found]
    noise = [name for name in bench.paper.noise() if any(h.of_forward(name) for h in heard)]
    if not noise:
        return [passed("what an update hands to forward and loss is what their parameters name")]
    many = hear(bench, DRAWN, TIMES, SECONDS)
    drawn = {name: [value for h in many for value in h.of_forward(name)] for name in noise}
    return [judge_draws(bench.paper.tensors[name], values, location) for name, values in drawn.items()]


def exchanged(bench: Bench, heard: Heard, location: str) -> Finding | None:
    """The finding on a parameter that only ever gets another tensor of the batch than the one of its name."""
    tensors = bench.paper.tensors
    places: list[tuple[str, str, set[str], list[Tensor]]] = []
    for (owner, name), values in heard.forward.items():
        renamed = {(t.given or {}).get(name, name) for t in tensors.values() if t.output_of == owner}
        places.append((f"the forward of {owner}", name, renamed | {name}, values))
    places += [("the loss", name, {name}, values) for name, values in heard.loss.items()]
    known = {name: value for name, value in heard.batch.items() if torch.is_tensor(value) and name in tensors}
    for who, name, own, values in places:
        if name not in known or any(same(value, known[o]) for value in values for o in own if o in known):
            continue
        others = [next((o for o, b in known.items() if o not in own and same(v, b)), "") for v in values]
        if not all(others) or any(v.shape != known[name].shape for v in values):
            continue
        targets = [o for o in others if o in loss_inputs(bench)]
        likely = ["arguments in the wrong order", "a key of the batch mistaken for another"]
        if targets and who != "the loss":
            likely.insert(0, f"teacher forcing without the shift: {targets[0]}, which must be predicted, is given")
        return failed(
            f"{who} is given {others[0]} as its {name}",
            expected=f"batch[{name!r}], as its parameter is named",
            observed=f"batch[{others[0]!r}], bit for bit, in {len(values)} of {len(values)} calls",
            threshold="bit for bit",
            location=location,
            likely=tuple(likely),
        )
    return None


def other_noise(bench: Bench, heard: Heard, location: str) -> Finding | None:
    """The finding on noise that forward and loss both take, and get differently."""
    for name in bench.paper.noise():
        ours, others = heard.of_forward(name), heard.loss.get(name, [])
        if not ours or not others or any(same(a, b) for a in ours for b in others):
            continue
        if all(a.shape != b.shape for a in ours for b in others):
            continue
        return failed(
            f"the loss is given other {name} than the forward",
            expected=f"one {name}, handed to both",
            observed=f"two of one shape that differ in {float((ours[0] != others[0]).double().mean()):.0%} of places"
            if ours[0].shape == others[0].shape
            else "two that differ",
            threshold="bit for bit",
            location=location,
            likely=(f"{name} is drawn a second time for the loss", "another tensor is handed to the loss"),
        )
    return None


def judge_draws(declared: TensorDeclaration, values: list[Tensor], location: str) -> Finding:
    """The finding on the noise of one name over several updates, against its declaration."""
    name = declared.name
    everything = torch.cat([value.reshape(-1).double() for value in values])
    n = everything.numel()
    fields: dict[str, Any] = {"component": "training", "location": location}
    rows = [value.reshape(len(value), -1) for value in values if value.dim() and len(value) > 1]
    low, high = declared.range or (0.0, 1.0)
    span = int(high) - int(low) + 1 if not declared.is_floating else 0
    whole = not declared.is_floating
    described = f"{declared.random}" + (f" over {low:g} … {high:g}" if declared.random == "uniform" else ", 0 and 1")
    fields["expected"] = f"{name} drawn anew for each example of each update: {described}"
    alike = [row for row in rows if torch.equal(row, row[:1].expand_as(row))]
    if alike and (not whole or span ** -(len(alike[0]) - 1) * len(rows) < CHANCE):
        return failed(
            f"one {name} is drawn for the whole batch",
            observed=f"{len(alike[0])} equal rows in {len(alike)} of {len(rows)} batches",
            threshold="bit for bit" if not whole else f"by chance less often than {CHANCE:g}",
            likely=("one draw for the whole batch (a size of 1 that is expanded)", "the axis batch is left out"),
            **fields,
        )
    if not whole and len(values) > 1 and all(same(values[0], value) for value in values[1:]):
        return failed(
            f"one {name} serves every update",
            observed=f"{len(values)} updates with the same values",
            threshold="bit for bit",
            likely=("the noise is made once and reused", "the generator is seeded anew in every update"),
            **fields,
        )
    least, most = float(everything.min()), float(everything.max())
    if declared.random == "uniform" and (least < low or most > high):
        likely = ("steps counted from 0 where they count from 1, or the reverse", "another range than declared")
        observed = f"{least:.6g} … {most:.6g}"
        return failed(f"{name} leaves its range", observed=observed, threshold="exact", likely=likely, **fields)
    if whole and (1 - 1 / span) ** n < CHANCE and (least > low or most < high):
        missed = "last" if most < high else "first"
        return failed(
            f"the {missed} {name} is never drawn",
            observed=f"{least:g} … {most:g} in {n} draws",
            threshold=f"by chance less often than {CHANCE:g}",
            likely=(
                "the end of randint is left out: randint(0, T - 1) draws 0 … T - 2",
                "the first step is never drawn (randint(1, T))",
            ),
            **fields,
        )
    if declared.random == "uniform":
        middle, variance = (low + high) / 2, ((span**2 - 1) if whole else (high - low) ** 2) / 12
    else:
        middle, variance = 0.0, 1.0
    # rows may share numbers (pairs t and T - t): the mean is then only closer to the middle
    off = abs(float(everything.mean()) - middle) / max((variance / n) ** 0.5, 1e-300)
    spread = float(everything.var())
    # of a normal variable the variance of its square is 2, of a uniform one less
    wide = abs(spread / variance - 1) / (2 / n) ** 0.5 if variance else 0.0
    fields["observed"] = f"mean {float(everything.mean()):.4g}, variance {spread:.4g} in {n} draws"
    fields["threshold"] = "5 standard errors"
    if off <= 5 and wide <= 5:
        return passed(f"{name} is drawn as declared, for each example", **fields)
    if whole:
        return warned(f"{name} is not drawn evenly: right only where the paper weighs it so", **fields)
    likely = ("another distribution than declared (rand for randn)", "noise is scaled where it is drawn")
    return failed(f"{name} is not {declared.random} noise as declared", likely=likely, **fields)
