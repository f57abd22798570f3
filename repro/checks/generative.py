"""Pieces of generative models: divergence, likelihood, bounds, reparameterisation, and the gradients of two players."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from repro.checks.gradient import outputs_for_loss
from repro.checks.oracle import bound_piece
from repro.checks.pieces import Case, compare, fields_of, gradients, is_zero, result_of
from repro.checks.registry import check, failed, not_run, passed
from repro.contract.bench import Bench
from repro.contract.components import location_of, parameters_of, persons_errors
from repro.errors import ComponentError
from repro.findings import Finding, Outcome
from repro.oracles import latent_variables as oracle

N, PIXELS, LATENTS, SAMPLES = 5, 7, 3, 4  # all different: a mean over the wrong axis shows
DRAWS = 20_000
SIGMA = 5.0


@check(phase="loss", family="oracle", component="gaussian_kl")
def gaussian_kl_oracle_agrees(bench: Bench) -> list[Finding]:
    """Decides whether the piece `gaussian_kl` is KL(N(mean, exp(log_variance)) || N(0, 1)), summed over latents.

    Broken: another value, a value below 0, or one other than 0 for mean 0 and log-variance 0.
    Likely: the sign of the KL divergence is wrong | the KL divergence is averaged over latent dimensions instead of
    summed | log_variance is taken for log std
    """
    mean, log_variance = np.random.default_rng(21).normal(size=(2, N, LATENTS))
    name, signature = "gaussian_kl", "(mean, log_variance [N, L]) → [N], or its mean or sum"
    wrong = oracle.kl_as_mistaken(mean, log_variance)
    case = Case((mean, log_variance), oracle.gaussian_kl(mean, log_variance), wrong, reduced=True)
    found = compare(bench, name, signature, [case], oracle.KL_MISTAKES, "KL to the standard normal, summed over L")
    if found.outcome is Outcome.NOT_RUN:
        return [found]
    at_equality = result_of(bench, name, signature, np.zeros((N, LATENTS)), np.zeros((N, LATENTS)))
    of_random = result_of(bench, name, signature, mean, log_variance)
    largest, least = float(torch.as_tensor(at_equality).abs().max()), float(torch.as_tensor(of_random).min())
    observed = f"{largest:.3g} at equality, at least {least:.3g} elsewhere"
    fields = fields_of(bench, name, expected="0 at equality, above 0 elsewhere", observed=observed, threshold="1e-6, 0")
    if largest <= 1e-6 and least > 0:
        return [found, passed("the divergence is 0 at equality and above 0 elsewhere", **fields)]
    likely = tuple(found.likely[:3]) or tuple(oracle.KL_MISTAKES.values())[:3]
    return [found, failed("this is no divergence", likely=likely, **fields)]


@check(phase="loss", family="oracle", component="bernoulli_log_likelihood")
def bernoulli_oracle_agrees(bench: Bench) -> list[Finding]:
    """Decides whether the piece `bernoulli_log_likelihood` sums x log p + (1 - x) log(1 - p) over pixels.

    Broken: another value, or a log-likelihood far from 0 for logits of ± 20 that are right.
    Likely: the reconstruction is averaged over pixels, not summed | sigmoid applied twice | the sign is wrong: the
    loss is returned
    """
    random = np.random.default_rng(22)
    name, signature = "bernoulli_log_likelihood", "(logits, x in [0, 1], both [N, D]) → [N], or its mean or sum"
    cases = []
    binary = random.integers(0, 2, size=(N, PIXELS)).astype(np.float64)
    for logits, x in (
        (2 * random.normal(size=(N, PIXELS)), random.random((N, PIXELS))),
        (random.normal(size=(N, PIXELS)), binary),
    ):
        wrong = oracle.likelihood_as_mistaken(logits, x)
        cases.append(Case((logits, x), oracle.bernoulli_log_likelihood(logits, x), wrong, reduced=True))
    what = "x log p + (1 - x) log(1 - p) summed over D"
    found = compare(bench, name, signature, cases, oracle.LIKELIHOOD_MISTAKES, what)
    if found.outcome is Outcome.NOT_RUN:
        return [found]
    saturated = torch.as_tensor(result_of(bench, name, signature, 20 * (2 * binary - 1), binary))
    worst = float(saturated.abs().max())
    observed = f"{worst:.3g} nats"
    fields = fields_of(bench, name, expected="0 for logits of ± 20 that are right", observed=observed, threshold="1e-3")
    if worst <= 1e-3:
        return [found, passed("a certain and right model has likelihood 1", **fields)]
    likely = (oracle.LIKELIHOOD_MISTAKES["twice"], *found.likely[:2])
    return [found, failed("a certain and right model does not have likelihood 1", likely=likely, **fields)]


@check(phase="loss", family="oracle", component="negative_elbo")
def negative_elbo_oracle_agrees(bench: Bench) -> Finding:
    """Decides whether the piece `negative_elbo` sums both terms over their own axes and balances them so.

    Sum and mean over examples count as the same where both terms have it.
    Broken: another value than - log p(x | z) + KL.
    Likely: the reconstruction is averaged over pixels, and the KL divergence summed | the KL divergence is averaged
    over latent dimensions | the sign of the KL divergence is wrong
    """
    random = np.random.default_rng(23)
    logits, x = random.normal(size=(N, PIXELS)), random.integers(0, 2, size=(N, PIXELS)).astype(np.float64)
    mean, log_variance = random.normal(size=(2, N, LATENTS))
    arguments = (logits, x, mean, log_variance)
    case = Case(arguments, oracle.negative_elbo(*arguments), oracle.negative_elbo_as_mistaken(*arguments), reduced=True)
    signature = "(logits, x [N, D], mean, log_variance [N, L]) → loss"
    return compare(bench, "negative_elbo", signature, [case], oracle.ELBO_MISTAKES, "- log p(x | z) + KL")


@check(phase="loss", family="oracle", component="importance_weighted_bound")
def importance_weighted_oracle_agrees(bench: Bench) -> Finding:
    """Decides whether the piece `importance_weighted_bound` is the log of the mean weight of each example.

    Broken: another value for random weights, for constant ones (whose bound is the constant), or for one sample.
    Likely: the bound is replaced by the ELBO (mean of logs instead of log of the mean) | log K is missing | the mean
    runs over the batch
    """
    random = np.random.default_rng(24)
    cases = []
    for weights in (random.normal(size=(N, SAMPLES)) * 2 - 30, np.full((N, SAMPLES), -7.0)):
        wrong = oracle.bound_as_mistaken(weights)
        cases.append(Case((weights,), oracle.importance_weighted_bound(weights), wrong, reduced=True))
    signature = "(log_weights [N, K]) → [N], or its mean or sum"
    what = "log (1/K sum of w)"
    return compare(bench, "importance_weighted_bound", signature, cases, oracle.BOUND_MISTAKES, what)


@check(phase="training", family="oracle", component="kl_weight")
def kl_weight_agrees(bench: Bench) -> Finding:
    """Decides whether the piece `kl_weight` reaches 1 after `warm_up` updates, in a straight line.

    Broken: another weight than update / warm_up before the end, by more than one update, or than 1 after it.
    Likely: the warm-up is counted in epochs instead of updates | the weight never reaches 1 | it starts at 1
    """
    name, signature, warm_up = "kl_weight", "(update, warm_up) → weight", 1000
    seen: list[float] = []
    points = (1, 250, 500, 999, 1000, 1001, 5000)
    for update in points:
        weight = result_of(bench, name, signature, update, warm_up)
        if isinstance(weight, Finding):
            return weight
        seen.append(float(weight))
    wanted = [oracle.kl_weight(update, warm_up) for update in points]
    fields = fields_of(
        bench,
        name,
        expected=f"{[round(value, 3) for value in wanted]} at updates {list(points)}, warm-up of {warm_up}",
        observed=str([round(value, 3) for value in seen]),
        threshold=f"{2 / warm_up:g} (updates may count from 0 or 1, and the ramp may include its end)",
    )
    if all(abs(a - b) <= 2 / warm_up + 1e-12 for a, b in zip(seen, wanted, strict=True)):
        return passed("the divergence is weighed up over the declared updates", **fields)
    epochs = "the warm-up is counted in the wrong unit (epochs instead of updates, or the reverse)"
    rest = ("the weight never reaches 1", "the weight is not linear, or starts at 1")
    if seen[points.index(warm_up)] >= 1 - 2 / warm_up:
        return failed("the warm-up of the divergence is not linear", likely=(rest[1], epochs), **fields)
    return failed("the warm-up of the divergence does not end when it should", likely=(epochs, *rest), **fields)


@check(phase="model", family="statistical", component="reparameterise")
def reparameterise_agrees(bench: Bench) -> list[Finding]:
    """Decides whether the piece `reparameterise` draws from N(mean, exp(log_variance)) and lets gradients through.

    Broken: mean, spread or fourth moment further off than five standard errors, or no gradient to mean or
    log-variance.
    Likely: exp(log_variance) used as the standard deviation | uniform noise instead of Gaussian | the
    reparameterisation is cut (sample for rsample, or detached)
    """
    name, signature = "reparameterise", "(mean, log_variance [N, L]) → z [N, L]"
    mean = np.broadcast_to(np.array([0.0, 3.0, -1.0]), (DRAWS, 3)).copy()
    std = np.array([2.0, 0.5, 1.5])
    log_variance = np.broadcast_to(2 * np.log(std), (DRAWS, 3)).copy()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(25)
        drawn = result_of(bench, name, signature, mean, log_variance)
        if isinstance(drawn, Finding):
            return [drawn]
        slopes = gradients(bench, name, signature, (mean[:64], log_variance[:64]), [0, 1])
    if tuple(drawn.shape) != mean.shape:
        observed = f"shape {list(drawn.shape)}"
        return [
            failed(
                "z has another shape", expected=f"shape {list(mean.shape)}", observed=observed, **fields_of(bench, name)
            )
        ]
    return [judge_draws(bench, name, drawn.detach().double().numpy() - mean, std), judge_slopes(bench, name, slopes)]


def judge_draws(bench: Bench, name: str, noise: np.ndarray, std: np.ndarray) -> Finding:
    """Mean, standard deviation and kurtosis of centred draws [n, L], each within five standard errors of a normal's."""
    n = len(noise)
    means, spreads = noise.mean(0), noise.std(0)
    kurtosis = (noise**4).mean(0) / np.maximum((noise**2).mean(0) ** 2, 1e-300)
    fields = fields_of(
        bench,
        name,
        expected=f"mean 0, standard deviation {std.tolist()}, kurtosis 3 around the mean",
        observed=f"mean {means.round(3).tolist()}, standard deviation {spreads.round(3).tolist()}, "
        f"kurtosis {kurtosis.round(2).tolist()}",
        threshold=f"{SIGMA:g} standard errors of {n:,} draws",
    )
    words = {
        "variance": "exp(log_variance) is used as the standard deviation (0.5 is missing)",
        "uniform": "uniform noise instead of Gaussian (rand for randn)",
        "once": "noise is drawn once for the batch, not for every example and latent",
        "log": "log_variance is used as the standard deviation, without exp",
        "none": "no noise is added",
    }
    shift = np.abs(means) > SIGMA * std / math.sqrt(n)
    spread = np.abs(spreads - std) > SIGMA * std / math.sqrt(2 * n)
    tail = np.abs(kurtosis - 3) > SIGMA * math.sqrt(24 / n)
    if not (shift | spread | tail).any():
        return passed("z has the declared mean, spread and shape", **fields)
    first = ""
    if (spreads < 1e-6).all():
        first = "none" if (np.abs(means) < 1e-6).all() else "once"
    elif (np.abs(spreads - std**2) <= SIGMA * std**2 / math.sqrt(2 * n)).all():
        first = "variance"
    elif (np.abs(kurtosis[~shift] - 1.8) < 0.1).all() or (kurtosis < 2.5).all():
        first = "uniform"
    elif (np.abs(spreads - np.abs(2 * np.log(std))) < 0.05).all():
        first = "log"
    likely = tuple(dict.fromkeys(words[key] for key in (first, *words) if key))[:4]
    return failed("z is not drawn from the declared distribution", likely=likely, **fields)


def judge_slopes(bench: Bench, name: str, slopes: Any) -> Finding:
    if isinstance(slopes, Finding):
        return slopes
    dead = [what for what, slope in zip(("mean", "log_variance"), slopes, strict=True) if is_zero(slope)]
    expected = "d z / d mean and d z / d log_variance not 0"
    fields = fields_of(
        bench, name, expected=expected, observed=f"none for {', '.join(dead) or 'neither'}", threshold="exact"
    )
    if not dead:
        return passed("gradients reach mean and log-variance", **fields)
    likely = (
        "the reparameterisation is cut (sample instead of rsample)",
        "z or the spread is detached",
        "drawn under no_grad",
    )
    return failed(f"no gradient reaches {' and '.join(dead)}", likely=likely, **fields)


# --- two players --------------------------------------------------------------------------------------------------


class Player(nn.Sequential):
    """A small network with a first layer whose gradient can be looked at."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(nn.Linear(inputs, 6), nn.Tanh(), nn.Linear(6, outputs))


@check(phase="training", family="gradient", component="discriminator_loss")
def players_keep_apart(bench: Bench) -> list[Finding]:
    """Decides whether the pieces `discriminator_loss` and `generator_loss` send gradients to the right player.

    The discriminator given is called on samples [N, 2] and returns scores [N, 1]; the generator on noise [N, 3].
    Broken: the discriminator's loss gives the generator a gradient, or a loss gives its own player none.
    Likely: the fake batch is not detached in the discriminator's step | the fake batch is detached in the generator's
    step | fakes are made under no_grad
    """
    findings: list[Finding] = []
    for name, signature, extra in (
        ("discriminator_loss", "(discriminator, generator, real [N, 2], noise [N, 3]) → loss", 1),
        ("generator_loss", "(discriminator, generator, noise [N, 3]) → loss", 0),
    ):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(26)
            generator, discriminator = Player(3, 2).to(bench.dtype), Player(2, 1).to(bench.dtype)
            real, noise = torch.randn(N, 2, dtype=bench.dtype), torch.randn(N, 3, dtype=bench.dtype)
        arguments = (discriminator, generator, *([real] if extra else []), noise)
        piece = bound_piece(bench, name, signature, *arguments)
        if isinstance(piece, Finding):
            findings.append(piece)
            continue
        with persons_errors(f"pieces.{name} raised on {signature}"), bench.precision():
            loss = piece(*arguments)
            if not isinstance(loss, Tensor) or not loss.requires_grad:
                likely = (
                    "fakes and scores are computed under no_grad",
                    "the fake batch is detached",
                    "the loss is a number",
                )
                observed = "a loss without a graph"
                findings.append(
                    failed(
                        f"{name} reaches no player",
                        expected="a gradient",
                        observed=observed,
                        likely=likely,
                        **fields_of(bench, name),
                    )
                )
                continue
            torch.autograd.backward(loss.sum())
        findings.append(judge_players(bench, name, generator, discriminator))
    return findings


def judge_players(bench: Bench, name: str, generator: nn.Module, discriminator: nn.Module) -> Finding:
    """The discriminator's loss must leave the generator alone; the generator's must reach its first layer."""
    reached = {
        who: not is_zero(next(player.parameters()).grad)
        for who, player in (("generator", generator), ("discriminator", discriminator))
    }
    of_discriminator = name == "discriminator_loss"
    own = "discriminator" if of_discriminator else "generator"
    expected = (
        "a gradient for the discriminator, none for the generator"
        if of_discriminator
        else "a gradient for the generator"
    )
    observed = f"gradient for {' and '.join(who for who, yes in reached.items() if yes) or 'neither'}"
    fields = fields_of(bench, name, expected=expected, observed=observed, threshold="exact")
    leak = "the fake batch is not detached in the discriminator's step"
    cut = "the fake batch is detached in the generator's step"
    if of_discriminator and reached["generator"]:
        likely = (leak, "the generator is called inside the loss without no_grad", "one loss for both players")
        return failed("the discriminator's loss reaches the generator", likely=likely, **fields)
    if not reached[own]:
        first = "scores of the discriminator are detached" if of_discriminator else cut
        return failed(f"the {own}'s loss does not reach it", likely=(first, "computed under no_grad"), **fields)
    return passed(f"{name} reaches the {own}" + (" alone" if of_discriminator else ""), **fields)


@check(phase="loss", family="gradient", component="loss")
def players_opposed(bench: Bench) -> list[Finding]:
    """Decides whether two players that each have a loss move the score of made examples in opposite directions.

    A score is what a module says of another's output (`given`); each of the two has a loss of its own name that takes
    it. What makes one loss smaller must make the other larger, in whichever direction the paper counts.

    Broken: both losses fall, or both rise, as that score does.
    Likely: the sign of the discriminator's (critic's) loss is wrong | the sign of the generator's loss is wrong | the
    label of made examples is that of real ones
    """
    losses = bench.loss()
    tensors = bench.paper.tensors
    makers = {name: tensor.output_of for name, tensor in tensors.items() if tensor.output_of}
    found: list[Finding] = []
    for name, score in tensors.items():
        sources = {makers[source] for source in (score.given or {}).values() if source in makers} - {score.output_of}
        players = {score.output_of, *sources}
        if not isinstance(losses, dict) or len(players) != 2:
            continue
        if all(player in losses and name in parameters_of(losses[player]) for player in players):
            found.append(judge_opposition(bench, name, str(score.output_of), str(next(iter(sources)))))
    return found or [not_run("no two modules whose own losses both take what one says of the other's output")]


def judge_opposition(bench: Bench, name: str, judge: str, maker: str) -> Finding:
    """The finding on one score, at what the networks say and at values between: a squared or hinge loss is flat, or
    turns, beyond its labels, so one place where they pull apart is enough.
    """
    batch, outputs = outputs_for_loss(bench)
    scores = [outputs[name], *(torch.full_like(outputs[name], value) for value in (0.25, 0.75, -0.25, -0.75))]
    seen: list[tuple[float, float]] = []
    for score in scores:
        slopes = []
        for player in (judge, maker):
            at = score.detach().clone().requires_grad_()
            try:
                total = bench.call_loss({**batch, **outputs, name: at}, bench.loss(), player)["total"]
            except ComponentError:  # a loss of probabilities, which none of these values is
                continue
            grad = torch.autograd.grad(total, at, allow_unused=True)[0] if total.requires_grad else None
            slopes.append(0.0 if grad is None else float(grad.sum()))
        if len(slopes) == 2 and all(slopes) and all(map(math.isfinite, slopes)):
            seen.append((slopes[0], slopes[1]))
    if not seen:
        return not_run(f"the losses of {judge} and {maker} do not both move with {name}")
    fields: dict[str, Any] = {
        "expected": f"loss.{judge} and loss.{maker} pull {name} in opposite directions",
        "observed": f"d loss.{judge} / d {name} = {seen[0][0]:.4g}, d loss.{maker} / d {name} = {seen[0][1]:.4g}",
        "threshold": f"the sign, at {len(seen)} values of {name}",
        "location": location_of(bench.loss()[judge]),
    }
    if any(a * b < 0 for a, b in seen):
        return passed(f"{judge} and {maker} pull {name} apart", **fields)
    return failed(f"{judge} and {maker} both {'raise' if seen[0][0] < 0 else 'lower'} {name}", **fields)


@check(phase="data", family="data", component="data")
def unit_interval(bench: Bench, *, tensor: str = "") -> list[Finding]:
    """Decides whether the targets of a Bernoulli decoder lie between 0 and 1, in training, validation and test.

    Broken: a value below 0 or above 1, where the Bernoulli likelihood is none.
    Likely: targets are normalised to mean 0 (Normalize after ToTensor) | pixels of 0 to 255 | augmentation that
    overshoots
    """
    if tensor not in bench.paper.tensors:
        return [not_run("properties: unit_interval needs tensor: <name>")]
    findings = []
    for split in ("train", "validation", "test"):
        batch = next(iter(bench.batches(split)), {})
        if tensor not in batch:
            findings.append(not_run(f"the first batch of {split} has no {tensor}"))
            continue
        low, high = float(batch[tensor].min()), float(batch[tensor].max())
        observed = f"{low:.4g} to {high:.4g} in {split}"
        fields: dict[str, Any] = {"expected": "0 to 1", "observed": observed, "threshold": "exact", "component": tensor}
        if low >= 0 and high <= 1:
            findings.append(passed(f"{tensor} lies between 0 and 1 in {split}", **fields))
        else:
            findings.append(failed(f"{tensor} leaves the interval from 0 to 1", **fields))
    return findings
