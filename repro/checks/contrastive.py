"""Losses that draw two views of one example together and all others apart."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from repro.checks import tolerance
from repro.checks.gradient import float_outputs, outputs_for_loss
from repro.checks.pieces import Case, compare
from repro.checks.registry import check, failed, not_run, passed
from repro.contract.bench import Bench
from repro.contract.components import location_of
from repro.findings import Finding
from repro.oracles import contrastive as oracle

N, WIDTH, TEMPERATURE = 5, 7, 0.3
#: Batches in which a loss is tried: two sizes, for a constant may be the logarithm of one number by chance.
SIZES = (6, 7)


@check(phase="loss", family="oracle", component="nt_xent")
def nt_xent_oracle_agrees(bench: Bench) -> Finding:
    """Decides whether the piece `nt_xent` is the normalised, temperature-scaled cross entropy over 2N views.

    Broken: another value than that of SimCLR's equation 1 on random projections of random lengths.
    Likely: a view is its own negative | projections are not normalised | the positive of the second half is off by one
    """
    z1, z2 = np.random.default_rng(31).normal(size=(2, N, WIDTH)) * 2
    arguments = (z1, z2, TEMPERATURE)
    wrong = oracle.nt_xent_as_mistaken(*arguments)
    case = Case(arguments, oracle.nt_xent(*arguments), wrong, reduced=True)
    what = "- log softmax of the cosine similarities / temperature over the 2N - 1 other views"
    signature = "(z1, z2 [N, D], temperature) → [2N], or its mean or sum"
    return compare(bench, "nt_xent", signature, [case], oracle.NT_XENT_MISTAKES, what)


@check(phase="loss", family="oracle", component="info_nce")
def info_nce_oracle_agrees(bench: Bench) -> Finding:
    """Decides whether the piece `info_nce` is the cross entropy of each query over all keys, its own the target.

    Broken: another value on random queries and keys of length 1, of one direction or of both averaged.
    Likely: similarities are multiplied by the temperature instead of divided | the positive is off by one | the
    positive is missing from the denominator
    """
    queries, keys = (oracle.unit(z) for z in np.random.default_rng(32).normal(size=(2, N, WIDTH)))
    arguments = (queries, keys, TEMPERATURE)
    right = oracle.info_nce(*arguments)
    both = (right + oracle.info_nce(keys, queries, TEMPERATURE)) / 2
    wrong = oracle.info_nce_as_mistaken(*arguments)
    case = Case(arguments, right, wrong, {"both directions averaged": both}, reduced=True)
    signature = "(queries, keys [N, D] of length 1, temperature) → [N], or its mean or sum"
    what = "- log softmax of the similarities / temperature over the N keys"
    return compare(bench, "info_nce", signature, [case], oracle.INFO_NCE_MISTAKES, what)


@check(phase="loss", family="metamorphic", component="loss")
def pairs_drawn_together(bench: Bench) -> list[Finding]:
    """Decides of a loss of two embeddings whether it is least where the two of one example agree.

    Needs no declaration: where all embeddings are one, a cross entropy over K candidates costs ln K whatever its
    temperature, which says that the loss is one, and what K is.
    Broken: another pairing of the two costs as little as the right one; a view counts among its own candidates.
    Likely: the positive is another example's (index off by one) | a view is its own negative: the diagonal is not
    masked | the sign is wrong: views of one example are driven apart
    """
    why = "no loss takes two outputs [batch, width] and no other tensor of the batch"
    losses = bench.loss()
    found = []
    for loss in losses.values() if isinstance(losses, dict) else [losses]:
        taken = [name for name in float_outputs(bench) if name in Loss.names(bench, loss)]
        if len(taken) == 2 and len(Loss.names(bench, loss)) == 2 and Loss.alike(bench, taken):
            found.append(judge(bench, Loss(bench, loss, taken[0], taken[1])))
    return found or [not_run(why)]


class Loss:
    """A loss of two embeddings [batch, width] by name, called on any two tensors of that shape."""

    def __init__(self, bench: Bench, loss: Any, first: str, second: str) -> None:
        self.bench, self.loss, self.first, self.second = bench, loss, first, second
        batch, outputs = outputs_for_loss(bench)
        self.width = outputs[first].shape[-1]
        self.rest: Mapping[str, Tensor] = {**batch, **outputs}

    @staticmethod
    def names(bench: Bench, loss: Any) -> list[str]:
        from repro.contract.components import parameters_of

        return [name for name in parameters_of(loss) if name in bench.paper.tensors]

    @staticmethod
    def alike(bench: Bench, names: list[str]) -> bool:
        first, second = (bench.paper.tensors[name] for name in names)
        return len(first.axes) == 2 and first.axes[0] == "batch" and first.axes == second.axes and first.axes[1] != 1

    def __call__(self, first: Tensor, second: Tensor) -> float:
        total = self.bench.call_loss({**self.rest, self.first: first, self.second: second}, self.loss)["total"]
        return float(total.detach())


def judge(bench: Bench, loss: Loss) -> Finding:
    """The finding on one loss of two embeddings."""
    if loss.width < 2:
        return not_run(f"{loss.first} has one number an example: it is no embedding")
    same = [loss(*(2 * [torch.full((n, loss.width), loss.width**-0.5, dtype=torch.float64)])) for n in SIZES]
    candidates = number_of_candidates(same)
    if not candidates:
        return not_run(f"the loss of {loss.first} and {loss.second} is no cross entropy over the examples of a batch")
    fields: dict[str, Any] = {"location": location_of(loss.loss)}
    if candidates == "2N":
        return failed(
            "a view is among its own candidates",
            expected="ln(2N - 1) for N examples whose embeddings are all one: the 2N - 1 other views",
            observed=f"{same[0]:.6g} for {SIZES[0]} examples, {same[1]:.6g} for {SIZES[1]}: ln(2N)",
            threshold=tolerance.why_other_order(),
            likely=("a view is its own negative: the diagonal of the similarities is not masked",),
            **fields,
        )
    n = SIZES[1]
    z = torch.randn(n, loss.width, generator=torch.Generator().manual_seed(33), dtype=torch.float64)
    z = z / z.norm(dim=1, keepdim=True)
    right = loss(z, z)
    others = {shift: loss(z, z.roll(shift, 0)) for shift in range(1, n)}
    best = min(others, key=lambda shift: others[shift])
    fields |= {
        "expected": f"least where row i of {loss.first} and of {loss.second} are one",
        "observed": f"{right:.6g} there, {others[best]:.6g} where row i meets row i + {best}",
        "threshold": tolerance.why_other_order(),
    }
    if right + tolerance.other_order(torch.tensor([right, others[best]])) < others[best]:
        return passed(f"a cross entropy over ln({candidates}) candidates, least for the right pairs", **fields)
    return failed("another pairing of the views costs as little as the right one", **fields)


def number_of_candidates(values: list[float]) -> str:
    """ "2N - 1", "N" or "2N" where the values at `SIZES` are a multiple of its logarithm, mean or sum; else ""."""
    for name, views, less in (("2N - 1", 2, 1), ("N", 1, 0), ("2N", 2, 0)):
        for sums in ([1, 1], [2, 2], SIZES, [2 * n for n in SIZES]):
            wanted = [times * math.log(views * n - less) for times, n in zip(sums, SIZES, strict=True)]
            if all(abs(a - b) <= tolerance.other_order(torch.tensor(b)) for a, b in zip(values, wanted, strict=True)):
                return name
    return ""
