"""Pieces of diffusion models: the table of noise, forward process, posterior, timesteps, targets; moving averages."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from repro.checks.pieces import Case, compare, fields_of, result_of
from repro.checks.registry import check, failed, passed
from repro.contract.bench import Bench
from repro.findings import Finding, Outcome
from repro.oracles import diffusion as oracle

STEPS = 1000
SHORT = np.array([0.05, 0.3, 0.2, 0.4, 0.1, 0.25])
BETAS = np.linspace(1e-4, 0.02, STEPS)


@check(phase="model", family="oracle", component="alpha_bar")
def alpha_bar_oracle_agrees(bench: Bench) -> Finding:
    """Decides whether the piece `alpha_bar` is the cumulative product of 1 - beta.

    Broken: another table, for the first 200 steps of a linear schedule and for six uneven ones.
    Likely: the product of betas instead of 1 - betas | alpha instead of its cumulative product | shifted by one step
    """
    cases = [Case((b,), oracle.alpha_bar(b), oracle.alpha_bar_as_mistaken(b)) for b in (SHORT, BETAS[:200])]
    what = "product of (1 - beta) up to each step"
    return compare(bench, "alpha_bar", "(betas [T]) → [T]", cases, oracle.ALPHA_BAR_MISTAKES, what)


@check(phase="model", family="oracle", component="posterior_variance")
def posterior_oracle_agrees(bench: Bench) -> list[Finding]:
    """Decides whether the pieces `posterior_variance` and `posterior_mean` are those of q(x_(t-1) | x_t, x_0).

    Broken: another result; a variance other than 0 at the first step.
    Likely: alpha_bar_prev is padded on the wrong side | alpha_bar before the first step is 0 instead of 1 | beta is
    used for the posterior's variance
    """
    case = Case((SHORT,), oracle.posterior_variance(SHORT), oracle.posterior_variance_as_mistaken(SHORT))
    what = "(1 - alpha_bar_prev) / (1 - alpha_bar) · beta, 0 at the first step"
    words = oracle.POSTERIOR_MISTAKES
    findings = [compare(bench, "posterior_variance", "(betas [T]) → [T]", [case], words, what)]
    random = np.random.default_rng(31)
    x0, xt = random.normal(size=(2, len(SHORT), 3))
    t = np.arange(len(SHORT))
    now, before = oracle.alpha_bar(SHORT)[:, None], oracle.alpha_bar_previous(SHORT)[:, None]
    beta, after = SHORT[:, None], np.concatenate([oracle.alpha_bar(SHORT)[1:], [1.0]])[:, None]

    def mean(before: Any, first: Any = x0, second: Any = xt) -> Any:
        of_first = np.sqrt(before) * beta / (1 - now) * first
        return of_first + np.sqrt(1 - beta) * (1 - before) / (1 - now) * second

    wrong = {
        "wrong side": mean(after),
        "zero before": mean(np.concatenate([[[0.0]], before[1:]])),
        "exchanged": mean(before, xt, x0),
        "no square root": before * beta / (1 - now) * x0 + (1 - beta) * (1 - before) / (1 - now) * xt,
    }
    words = {key: words[key] for key in ("wrong side", "zero before")} | {
        "exchanged": "the coefficients of x_0 and x_t are exchanged",
        "no square root": "the square roots of the coefficients are missing",
    }
    case = Case((x0, xt, t, SHORT), oracle.posterior_mean(x0, xt, t, SHORT), wrong)
    signature = "(x0, xt [N, D], t [N] from 0, betas [T]) → [N, D]"
    return [*findings, compare(bench, "posterior_mean", signature, [case], words, "mean of q(x_(t-1) | x_t, x_0)")]


@check(phase="model", family="oracle", component="q_sample")
def q_sample_oracle_agrees(bench: Bench) -> list[Finding]:
    """Decides whether the piece `q_sample` mixes data and noise so that unit variance stays unit variance.

    Broken: another result than sqrt(alpha_bar) x_0 + sqrt(1 - alpha_bar) noise; squares of coefficients that sum to
    other than 1 at some step.
    Likely: the noise coefficient lacks its square root | coefficients exchanged | alpha_bar read one step early or
    late
    """
    random = np.random.default_rng(32)
    t = np.array([0, 2, 5, 3, 1])
    x0, noise = random.normal(size=(2, len(t), 3))
    table = oracle.alpha_bar(SHORT)
    name, signature = "q_sample", "(x0 [N, D], t [N] from 0, noise [N, D], alpha_bars [T]) → [N, D]"
    wrong = oracle.q_sample_as_mistaken(x0, t, noise, table)
    case = Case((x0, t, noise, table), oracle.q_sample(x0, t, noise, table), wrong)
    what = "sqrt(alpha_bar) x_0 + sqrt(1 - alpha_bar) noise"
    found = compare(bench, name, signature, [case], oracle.Q_SAMPLE_MISTAKES, what)
    if (
        found.outcome is Outcome.NOT_RUN
        or tuple(torch.as_tensor(result_of(bench, name, signature, *case.arguments)).shape) != x0.shape
    ):
        return [found]
    steps = np.arange(STEPS)
    long, ones, zeros = oracle.alpha_bar(BETAS), np.ones((STEPS, 1)), np.zeros((STEPS, 1))
    of_data = torch.as_tensor(result_of(bench, name, signature, ones, steps, zeros, long)).double()
    of_noise = torch.as_tensor(result_of(bench, name, signature, zeros, steps, ones, long)).double()
    variance = of_data**2 + of_noise**2
    gap = (variance - 1).abs().reshape(-1)
    worst = int(gap.argmax())
    observed = f"{float(variance.reshape(-1)[worst]):.4g} at step {worst}"
    fields = fields_of(
        bench, name, expected="variance 1 at every step for data of variance 1", observed=observed, threshold="1e-5"
    )
    if float(gap[worst]) <= 1e-5:
        return [found, passed("unit variance stays unit variance", **fields)]
    likely = tuple(found.likely[:3]) or tuple(oracle.Q_SAMPLE_MISTAKES.values())[:3]
    return [found, failed("the variance of x_t is not 1", likely=likely, **fields)]


@check(phase="training", family="statistical", component="draw_timesteps")
def timesteps_cover(bench: Bench) -> Finding:
    """Decides whether the piece `draw_timesteps` draws every step from 0 to T - 1, anew for every example.

    Broken: a step that never comes in 4,000 draws of 10 steps (chance below 1e-180), one step for a whole batch,
    another range, or frequencies five standard errors from uniform.
    Likely: the last step is never drawn (randint(0, T - 1)) | one timestep is drawn for the whole batch | the first
    step is never drawn (randint(1, T))
    """
    name, signature, steps, n = "draw_timesteps", "(n, T) → [n] int64, 0 … T - 1", 10, 4000
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(33)
        small = result_of(bench, name, signature, 64, steps)
        if isinstance(small, Finding):
            return small
        drawn = torch.cat(
            [torch.as_tensor(result_of(bench, name, signature, 50, steps)).reshape(-1) for _ in range(n // 50)]
        )
    expected = f"each of 0 … {steps - 1} about {n // steps} times in {n} draws, and different ones in a batch"
    fields = fields_of(bench, name, expected=expected, threshold="5 standard errors of a uniform count")
    last = "the last step is never drawn (randint(0, T - 1))"
    one = "one timestep is drawn for the whole batch"
    first = "the first step is never drawn (randint(1, T))"
    beyond = "steps count from 1 to T, which is beyond the table"
    if drawn.is_floating_point() or int(drawn.min()) < 0 or int(drawn.max()) >= steps:
        observed = f"{drawn.dtype}, {float(drawn.min()):.3g} to {float(drawn.max()):.3g}"
        return failed("timesteps leave the table", observed=observed, likely=(beyond, first, last), **fields)
    counts = torch.bincount(drawn, minlength=steps)
    distinct = len(torch.unique(torch.as_tensor(small)))
    fields["observed"] = f"counts {counts.tolist()}, {distinct} different ones in a batch of 64"
    missing = torch.nonzero(counts == 0).reshape(-1).tolist()
    suspects = [one] * (distinct == 1) + [last] * (steps - 1 in missing) + [first] * (0 in missing)
    if suspects or missing:
        likely = tuple(dict.fromkeys((*suspects, last, one, first)))[:3]
        return failed("timesteps are not all drawn, or not for every example", likely=likely, **fields)
    spread = 5 * (n / steps * (1 - 1 / steps)) ** 0.5
    if bool(((counts - n / steps).abs() > spread).any()):
        likely = ("steps are weighed (declare it as a deviation)", "one timestep is drawn for many examples")
        return failed("timesteps are not uniform", likely=likely, **fields)
    return passed("every timestep is drawn, anew for every example", **fields)


@check(phase="loss", family="oracle", component="noise_prediction_loss")
def noise_prediction_agrees(bench: Bench) -> list[Finding]:
    """Decides whether the piece `noise_prediction_loss` is 0 for a model that knows the noise, and only then.

    Broken: another value than the mean squared error between the noise and what the model returns.
    Likely: the noise-prediction model is trained against x_0 | the noise of the target is drawn anew | the model is
    given x_0 instead of x_t
    """
    name = "noise_prediction_loss"
    signature = "(model(xt, t), x0 [N, D], t [N], noise [N, D], alpha_bars [T]) → loss"
    random = np.random.default_rng(34)
    x0, noise = random.normal(size=(2, 6, 3))
    t, table = np.array([0, 5, 2, 1, 4, 3]), oracle.alpha_bar(SHORT)
    known = {"the noise": noise, "x_0": x0}
    values: dict[str, float] = {}
    given: list[Tensor] = []
    for what, answer in known.items():

        def model(xt: Tensor, t: Tensor, answer: Any = answer) -> Tensor:
            given.append(xt.detach().clone())
            return torch.from_numpy(answer).to(bench.dtype)

        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(35)
            value = result_of(bench, name, signature, model, x0, t, noise, table)
        if isinstance(value, Finding):
            return [value]
        values[what] = float(torch.as_tensor(value).double().mean())
    fields = fields_of(
        bench,
        name,
        expected="0 for a model that returns the noise, above 0 for one that returns x_0",
        observed=", ".join(f"{value:.4g} for {what}" for what, value in values.items()),
        threshold="1e-6",
    )
    target = "the noise-prediction model is trained against x_0"
    fresh = "the noise of the target is drawn anew, not the one in x_t"
    if abs(values["the noise"]) > 1e-6 or values["x_0"] <= 1e-6:
        order = (target, fresh) if abs(values["x_0"]) <= 1e-6 else (fresh, target)
        return [
            failed(
                "a model that knows the noise does not have loss 0", likely=(*order, "trained against x_t"), **fields
            )
        ]
    findings = [passed("a model that knows the noise has loss 0", **fields)]
    wanted = torch.from_numpy(oracle.q_sample(x0, t, noise, table))
    seen = given[0].double() if given else torch.zeros(0)
    gap = float((seen - wanted).abs().max()) if seen.shape == wanted.shape else float("inf")
    fields |= {"expected": "x_t as q_sample makes it", "observed": f"largest difference {gap:.3g}", "threshold": "1e-5"}
    if gap > 1e-5:
        likely = (
            "the model is given x_0 instead of x_t",
            "the noise in x_t is drawn anew",
            *oracle.Q_SAMPLE_MISTAKES.values(),
        )
        return [*findings, failed("the model is given something else than x_t", likely=likely[:3], **fields)]
    return [*findings, passed("the model is given x_t", **fields)]


@check(phase="model", family="oracle", component="timestep_embedding")
def timestep_embedding_distinguishes(bench: Bench) -> Finding:
    """Decides whether the piece `timestep_embedding` tells the first step from the last, and a step from the next.

    Broken: embeddings of steps 0 and 999 with a cosine similarity of 0.5 or more, or two steps with the same
    embedding.
    Likely: timesteps are divided by T before a code made for integers | angles of another base | the embedding is
    constant
    """
    name, signature, width = "timestep_embedding", "(t [N] int64 from 0, width) → [N, width]", 64
    ours = result_of(bench, name, signature, np.arange(STEPS), width)
    if isinstance(ours, Finding):
        return ours
    table = torch.as_tensor(ours).detach().double().reshape(STEPS, -1)
    norms = table.norm(dim=1).clamp_min(1e-12)
    similar = float((table[0] @ table[-1]) / (norms[0] * norms[-1]))
    # sinusoids of frequency 1 … 1e-4: the fastest pair alone moves by 2 sin(1/2) a step, of a norm of sqrt(width / 2)
    nearest = float(((table[1:] - table[:-1]).norm(dim=1) / norms[:-1]).min())
    fields = fields_of(
        bench,
        name,
        expected="cosine similarity of steps 0 and 999 below 0.5; neighbours 0.01 of their norm apart",
        observed=f"similarity {similar:.3f}; nearest neighbours {nearest:.2g} of their norm apart",
        threshold="0.5 and 0.01 (sinusoids of integer steps: about 0.2 and 0.2)",
    )
    if similar < 0.5 and nearest >= 0.01:
        return passed("timesteps are told apart", **fields)
    scaled = "timesteps are scaled to [0, 1] (t / T) before a sinusoidal code made for integers"
    likely = (scaled, "the base of the frequencies is too large", "the embedding is constant")
    return failed("timesteps can hardly be told apart", likely=likely, **fields)


@check(phase="training", family="oracle", component="exponential_moving_average")
def moving_average_oracle_agrees(bench: Bench) -> Finding:
    """Decides whether the piece `exponential_moving_average` is decay · average + (1 - decay) · weights.

    Broken: another result after one update from known numbers, whether in place or not.
    Likely: the coefficients are swapped | the weights are copied | the average never moves
    """
    average, weights = np.random.default_rng(36).normal(size=(2, 3, 4))
    cases = []
    for decay in (0.9, 0.999):
        wrong = {
            "swapped": (1 - decay) * average + decay * weights,
            "copied": weights,
            "still": average,
            "added": decay * average + weights,
        }
        right = oracle.exponential_moving_average(average, weights, decay)
        cases.append(Case((average, weights, decay), right, wrong))
    words = {
        "swapped": "the coefficients are swapped: the average forgets at once",
        "copied": "the weights are copied over the average",
        "still": "the average never moves (its change is not assigned)",
        "added": "the weights are added without 1 - decay",
    }
    signature = "(average, weights, decay) → new average"
    what = "decay · average + (1 - decay) · weights"
    return compare(bench, "exponential_moving_average", signature, cases, words, what)
