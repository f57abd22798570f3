"""The two terms of a variational bound as the loss composes them: each against its oracle, and their balance."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from repro.checks.gradient import no_graph, outputs_for_loss
from repro.checks.inputs import component_location, loss_inputs
from repro.checks.modules import near
from repro.checks.registry import check, failed, not_run, passed, warned
from repro.contract.bench import Bench, Tensors
from repro.errors import ComponentError
from repro.findings import Finding
from repro.oracles import latent_variables as oracle

#: Names under which outputs are taken for the mean and the log variance of the approximate posterior where no property
#: names them.
MEANS = ("mean", "mu", "z_mean", "mean_z", "latent_mean", "posterior_mean", "loc")
LOG_VARIANCES = (
    *("log_variance", "log_var", "logvar", "logvariance", "z_log_variance", "z_log_var", "z_logvar"),
    *("latent_log_variance", "posterior_log_variance"),
)
#: Keys of the loss's config that are taken for the weight of the divergence where no property names it.
WEIGHTS = ("beta", "kl_weight", "weight_of_the_divergence")
ASK = (
    "declare {property: variational_bound, mean: …, log_variance: …, reconstruction: …, data: …, weight: 1}"
    " with the names of the tensors that the loss takes"
)
#: Largest relative distance of a value from its oracle. Values are sums of float64 numbers; a loss that computes part
#: of them in float32 is off by some 1e-6, a mistake by a factor of at least the number of latents or pixels.
AGREE = 1e-4
Change = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Roles:
    """The names of the tensors of a bound; `weight` of the divergence is None where nothing says it."""

    mean: str
    log_variance: str
    reconstruction: str
    data: str
    weight: float | None
    declared: bool


def roles_of(bench: Bench, options: dict[str, Any]) -> Roles | str:
    """The roles as declared, or by the names and axes of the tensors that the loss takes; else what to declare."""
    tensors, taken = bench.paper.tensors, loss_inputs(bench)
    declared = bool(options["mean"] or options["log_variance"])
    found = {
        "mean": options["mean"] or next((n for n in taken if n.lower() in MEANS), ""),
        "log_variance": options["log_variance"] or next((n for n in taken if n.lower() in LOG_VARIANCES), ""),
    }
    for name in ("reconstruction", "data"):
        found[name] = options[name]
    outputs = [n for n in taken if tensors[n].output_of is not None and n not in found.values()]
    if not found["reconstruction"] or not found["data"]:
        pairs = [
            (o, d)
            for o in outputs
            for d in taken
            if tensors[d].output_of is None and tensors[d].random is None and tensors[d].axes == tensors[o].axes
        ]
        if len(pairs) == 1:
            found["reconstruction"] = found["reconstruction"] or pairs[0][0]
            found["data"] = found["data"] or pairs[0][1]
    for name, value in found.items():
        if not value:
            return ASK
        if value not in tensors:
            return f"properties: variational_bound.{name} is {value!r}, not declared. {near(value, tensors)}"
        if value not in taken:
            return f"the loss does not take {value}; {ASK}"
    weight = options["weight"]
    if weight is None:
        settings = bench.paper.settings.get("loss") or {}
        weight = next((settings[key] for key in WEIGHTS if isinstance(settings.get(key), (int, float))), None)
    return Roles(**found, weight=None if weight is None else float(weight), declared=declared)


@check(phase="loss", family="oracle", component="loss")
def variational_bound(
    bench: Bench,
    *,
    mean: str = "",
    log_variance: str = "",
    reconstruction: str = "",
    data: str = "",
    weight: float | None = None,
    source: str = "",
) -> list[Finding]:
    """Decides whether the total is a reconstruction term plus the divergence from N(0, 1), both summed over their own
    axes, balanced as declared (`weight`, 1 unless declared), and both with their gradient.

    Broken: with other means and log variances the total moves by something else than the divergence's closed form;
    one term is averaged where the other is summed; a term is detached.
    Likely: the KL divergence is averaged over latent dimensions instead of summed | the reconstruction is averaged over
    pixels, and the KL divergence summed | the sign of the KL divergence is wrong | sigmoid applied twice
    """
    if isinstance(bench.loss(), dict):
        return [not_run("several losses: which outputs each takes is the paper's own `update`")]
    given = {"mean": mean, "log_variance": log_variance, "reconstruction": reconstruction, "data": data}
    roles = roles_of(bench, {**given, "weight": weight})
    if isinstance(roles, str):
        return [not_run(roles)]
    bound = Bound(bench, roles)
    divergence = bound.divergence()
    if isinstance(divergence, Finding):
        return [divergence]
    likelihood = bound.reconstruction()
    if isinstance(likelihood, Finding):
        return [bound.divergence_alone(divergence), likelihood]
    return [bound.balance(divergence, *likelihood)]


@check(phase="model", family="gradient", component="model")
def code_reaches_decoder(bench: Bench) -> Finding:
    """Decides whether the reconstruction sends gradient to the mean and the log variance that it is sampled from.

    The outputs are found by the names and axes of what the loss takes, as `variational_bound` finds them.
    Broken: the encoder learns from the divergence alone.
    Likely: the code is detached before the decoder | it is sampled under no_grad (sample instead of rsample)
    """
    if isinstance(bench.loss(), dict):
        return not_run("several losses: which outputs each takes is the paper's own `update`")
    roles = roles_of(bench, dict.fromkeys(("mean", "log_variance", "reconstruction", "data"), "") | {"weight": None})
    if isinstance(roles, str):
        return not_run(roles)
    model = bench.model()
    batch = bench.with_noise(bench.synthetic(6))
    outputs = bench.forward(model, batch)
    names = (roles.mean, roles.log_variance)
    made = outputs[roles.reconstruction]
    fields: dict[str, Any] = {
        "component": roles.reconstruction,
        "expected": f"d {roles.reconstruction} / d {roles.mean} and / d {roles.log_variance} are not 0",
        "threshold": "exactly zero: no path in the graph",
        "location": component_location(bench, "model"),
    }
    if not all(outputs[name].requires_grad for name in names):
        return not_run(f"{' and '.join(names)} come without a graph")
    slopes = (
        torch.autograd.grad(made.pow(2).sum(), [outputs[name] for name in names], allow_unused=True)
        if made.requires_grad
        else (None, None)
    )
    cut = [name for name, slope in zip(names, slopes, strict=True) if slope is None or not bool(slope.any())]
    if len(cut) == 2:
        return failed("the reconstruction does not train the encoder", observed="no gradient reaches either", **fields)
    if cut == [roles.log_variance]:
        return failed(
            "the reconstruction does not train the spread of the code", observed=f"none at {cut[0]}", **fields
        )
    return passed("the reconstruction trains the encoder", observed="gradient at both", **fields)


class Bound:
    """The loss of one batch as a function of the tensors in the four roles."""

    def __init__(self, bench: Bench, roles: Roles) -> None:
        self.bench, self.roles = bench, roles
        batch, outputs = outputs_for_loss(bench, n=5)
        self.tensors: Tensors = {**batch, **outputs}
        self.outputs = outputs
        self.generator = torch.Generator().manual_seed(31)
        self.where: dict[str, Any] = {"component": "loss", "location": component_location(bench, "loss")}

    def random(self, name: str) -> Tensor:
        return torch.randn(self.tensors[name].shape, generator=self.generator, dtype=torch.float64)

    def total(self, **changed: Tensor) -> Tensor:
        named = {getattr(self.roles, role): value for role, value in changed.items()}
        return self.bench.call_loss({**self.tensors, **named})["total"]

    def value(self, **changed: Tensor) -> float:
        return float(self.total(**changed).detach())

    def at_prior(self) -> dict[str, Tensor]:
        """Mean 0 and log variance 0, where the divergence is 0."""
        return {role: torch.zeros_like(self.random(getattr(self.roles, role))) for role in ("mean", "log_variance")}

    def divergence(self) -> float | Finding:
        """By what number the closed form, summed over latents and averaged over examples, enters the total."""
        nothing = self.value(**self.at_prior())
        draws = [{"mean": self.random(self.roles.mean), "log_variance": self.random(self.roles.log_variance)}]
        draws += [{"mean": 0.3 * d["mean"].roll(1, 0), "log_variance": 1 - d["log_variance"]} for d in draws]
        moved = [self.value(**draw) - nothing for draw in draws]
        flat = [(d["mean"].flatten(1).numpy(), d["log_variance"].flatten(1).numpy()) for d in draws]
        factors = [m / float(oracle.gaussian_kl(*f).mean()) for m, f in zip(moved, flat, strict=True)]
        fields: dict[str, Any] = {
            "expected": "a total that grows by the divergence of N(mean, exp(log_variance)) from N(0, 1), in nats",
            "observed": f"by {factors[0]:.5g} and {factors[1]:.5g} times as much for two random posteriors",
            "threshold": f"{AGREE:g} relative",
            **self.where,
        }
        if math.isclose(factors[0], factors[1], rel_tol=AGREE, abs_tol=AGREE):
            return self.slopes(draws[0], factors[0], fields)
        wrong = [oracle.kl_as_mistaken(*f) for f in flat]
        for mistake, words in oracle.KL_MISTAKES.items():
            named = [m / float(np.mean(w[mistake])) for m, w in zip(moved, wrong, strict=True) if np.mean(w[mistake])]
            if len(named) == 2 and math.isclose(*named, rel_tol=AGREE):
                return failed("the divergence in the total is another function", likely=(words,), **fields)
        if not self.roles.declared:
            return not_run(
                "the total is no sum with the divergence of N(mean, exp(log_variance)) from N(0, 1)"
                " (free bits, or another prior?); " + ASK
            )
        likely = ("log_variance is taken for log std", "the KL divergence is clamped, or of another prior")
        return failed("the divergence in the total is another function", likely=likely, **fields)

    def slopes(self, draw: dict[str, Tensor], factor: float, fields: dict[str, Any]) -> float | Finding:
        """The factor, if the gradient of the total is the divergence's as well: one that is detached has none."""
        leaves = {role: value.clone().requires_grad_() for role, value in draw.items()}
        total = self.total(**leaves)
        if not total.requires_grad:
            return no_graph({**self.where, "expected": "gradient at the mean", "threshold": "exact"})
        n = len(draw["mean"])
        wanted = {"mean": draw["mean"] / n, "log_variance": 0.5 * (draw["log_variance"].exp() - 1) / n}
        got = torch.autograd.grad(total, list(leaves.values()), allow_unused=True)
        for (role, value), gradient in zip(wanted.items(), got, strict=True):
            seen = torch.zeros_like(value) if gradient is None else gradient
            if float((seen - factor * value).abs().max()) > AGREE * abs(factor) * float(value.abs().max()):
                name = getattr(self.roles, role)
                observed = "none" if not bool(seen.any()) else "another one"
                return failed(
                    f"the gradient of the total at {name} is not the divergence's",
                    likely=("the divergence is detached, or computed under no_grad", "the loss clamps the divergence"),
                    **{**fields, "expected": f"d divergence / d {name}", "observed": observed},
                )
        return factor

    def reconstruction(self) -> tuple[float, str] | Finding:
        """(by what number the term, summed over its axes and averaged over examples, enters the total; its kind)."""
        shape = self.tensors[self.roles.reconstruction].shape
        if self.tensors[self.roles.data].shape != shape:
            return not_run(f"{self.roles.reconstruction} and {self.roles.data} have other shapes")
        x = self.tensors[self.roles.data].double()
        draws = [2 * self.random(self.roles.reconstruction) for _ in range(3)]
        prior = self.at_prior()
        binary = bool((x >= 0).all() and (x <= 1).all())
        kinds: list[tuple[str, Change, Change, bool]] = [
            ("bernoulli", lambda r: r, lambda r: bernoulli(r, x), True),
            ("bernoulli of probabilities", torch.sigmoid, lambda r: bernoulli(r, x), True),
            ("sigmoid twice", lambda r: r, lambda r: bernoulli(torch.sigmoid(r), x), True),
            ("exchanged", lambda r: r, lambda r: bernoulli(x, r), True),
            ("squared error", lambda r: r, lambda r: 0.5 * ((r - x) ** 2).flatten(1).sum(1).mean(), False),
            ("absolute error", lambda r: r, lambda r: (r - x).abs().flatten(1).sum(1).mean(), False),
        ]
        for kind, handed, term, alone in kinds:
            if "error" not in kind and not binary:
                continue
            try:
                seen = [self.value(reconstruction=handed(r), **prior) for r in draws]
            except ComponentError:  # a loss of probabilities refuses scores
                continue
            wanted = [float(term(r)) for r in draws]
            if not all(map(math.isfinite, (*seen, *wanted))):
                continue
            slope = (seen[0] - seen[1]) / (wanted[0] - wanted[1])
            rest = seen[0] - slope * wanted[0]
            straight = math.isclose(seen[2], slope * wanted[2] + rest, rel_tol=AGREE)
            if straight and slope and (not alone or abs(rest) <= AGREE * abs(seen[0])):
                return self.judged_kind(slope, kind)
        return not_run("the reconstruction term is neither a Bernoulli likelihood nor a squared or absolute error")

    def judged_kind(self, slope: float, kind: str) -> tuple[float, str] | Finding:
        """The term as it was found, unless scores, probabilities and data are mixed up."""
        if kind == "exchanged":
            return failed(
                "the reconstruction term takes the data for scores, and the scores for data",
                expected=f"- log p({self.roles.data}) of scores {self.roles.reconstruction}",
                observed=f"the same with the two exchanged: it falls without end along {self.roles.reconstruction}",
                threshold=f"{AGREE:g} relative",
                likely=("scores and data are exchanged where the likelihood is called",),
                **self.where,
            )
        scores = self.outputs[self.roles.reconstruction]
        already = kind == "bernoulli" and bool((scores >= 0).all() and (scores <= 1).all())
        if kind != "sigmoid twice" and not already:
            return slope, kind
        return failed(
            "the reconstruction term applies a sigmoid to what already went through one",
            expected="scores into a term that applies its own sigmoid, or probabilities into one that does not",
            observed=f"outputs between {float(scores.min()):.3g} and {float(scores.max()):.3g}"
            if already
            else "the value of a Bernoulli likelihood of sigmoid(scores)",
            threshold=f"{AGREE:g} relative",
            likely=("sigmoid applied twice (probabilities handed to binary_cross_entropy_with_logits)",),
            **self.where,
        )

    def divergence_alone(self, factor: float) -> Finding:
        """The verdict on the divergence where the other term is not known: its sign and presence alone."""
        fields = {"expected": "a factor above 0", "observed": f"{factor:.5g}", "threshold": "exact", **self.where}
        if factor < -AGREE:
            return failed("the total falls with the divergence", likely=("the sign of the KL divergence",), **fields)
        return passed(f"the divergence enters the total {factor:.5g} times", **fields)

    def balance(self, divergence: float, likelihood: float, kind: str) -> Finding:
        """How the divergence is weighed against the reconstruction."""
        roles = self.roles
        n = len(self.tensors[roles.mean])
        latents = self.tensors[roles.mean][0].numel()
        pixels = self.tensors[roles.data][0].numel()
        ratio = divergence / likelihood
        weight = 1.0 if roles.weight is None else roles.weight
        fields: dict[str, Any] = {
            "expected": f"the divergence weighs {weight:g} times the reconstruction ({kind}), both summed over axes",
            "observed": f"{ratio:.5g} times; {divergence:.5g} of the one and {likelihood:.5g} of the other"
            f" for {latents} latents, {pixels} values and {n} examples",
            "threshold": f"{AGREE:g} relative",
            **self.where,
        }
        if likelihood < 0:
            return failed("the total grows with the likelihood", likely=("the sign of the reconstruction",), **fields)
        if math.isclose(ratio, weight, rel_tol=AGREE):
            scale = "" if math.isclose(likelihood, 1, rel_tol=AGREE) else f", both times {likelihood:.4g}"
            return passed(f"{kind} plus {weight:g} times the divergence{scale}", **fields)
        known = {
            -weight: "the sign of the KL divergence is wrong",
            weight / latents: "the KL divergence is averaged over latent dimensions instead of summed",
            weight * n: "the KL divergence is summed over the batch, and the reconstruction averaged",
            weight / n: "the reconstruction is summed over the batch, and the KL divergence averaged",
            weight * pixels / latents: "both terms are averaged over their own axes, which are not of one size",
            weight / 2: "a factor of one half too much in the divergence",
            weight * 2: "the factor of one half is missing in the divergence",
        }
        if "error" not in kind:  # of an error the variance of the decoder scales the term
            known[weight * pixels] = "the reconstruction is averaged over pixels, and the KL divergence summed"
        if self.weighed_elsewhere():
            return passed(
                f"{kind} plus {ratio:.4g} times the divergence; its weight is the piece kl_weight's", **fields
            )
        if abs(ratio) <= AGREE * weight:
            return failed(
                "the divergence is not in the total",
                likely=("the KL divergence is left out of the total", "its weight is 0 at the start"),
                details={"declare": "variational_bound.weight"},
                **fields,
            )
        exactly = [words for value, words in known.items() if math.isclose(ratio, value, rel_tol=AGREE)]
        if exactly:
            return failed("the two terms of the bound are out of balance", likely=tuple(exactly), **fields)
        if "error" in kind:  # half the squared error over the variance: any factor is a variance
            return passed(f"{kind} plus the divergence, as for a decoder of variance {ratio:.4g}", **fields)
        words = "the divergence is weighed by another number than declared"
        if roles.declared or roles.weight is not None:
            details = {"declare": "variational_bound.weight"}
            return failed(words, likely=("the weight of the divergence",), details=details, **fields)
        return warned(words + ": variational_bound.weight says how much is meant", **fields)

    def weighed_elsewhere(self) -> bool:
        return self.bench.piece("kl_weight") is not None


def bernoulli(logits: Tensor, x: Tensor) -> Tensor:
    """- log p(x) summed over all axes but the first, and averaged over it, by the oracle."""
    return torch.tensor(-oracle.bernoulli_log_likelihood(logits.flatten(1).numpy(), x.flatten(1).numpy()).mean())
