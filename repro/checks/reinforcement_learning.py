"""Pieces of papers that learn by acting: returns, advantages, log-probabilities, losses, and their directions."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch

from repro.checks.inputs import component_location, loss_inputs
from repro.checks.pieces import Case, compare, fields_of, gradients, is_zero, shown
from repro.checks.registry import check, failed, not_run, passed
from repro.contract.bench import Bench
from repro.findings import Finding
from repro.oracles import policies as policies_oracle
from repro.oracles import returns as returns_oracle

N, ACTIONS, DIMENSIONS = 7, 4, 3  # examples, discrete actions, dimensions of a continuous one: all different
GAMMA, LAM, CLIP = 0.9, 0.7, 0.2  # far from 1 and from each other: a forgotten one shows


# --- returns and advantages ---------------------------------------------------------------------------------------


@check(phase="training", family="oracle", component="returns")
def returns_oracle_agrees(bench: Bench) -> Finding:
    """Decides whether the piece `returns` discounts rewards from each step to the end of the episode.

    Broken: another result than the sum of gamma^k r_(t+k), for rewards of random size and for three ones.
    Likely: the discount is forgotten (ret = r + ret) | returns are in reverse order (append for insert(0, …)) | the
    return of the whole episode is given to every step
    """
    cases = []
    for rewards in (np.ones(3), np.random.default_rng(1).normal(size=N)):
        wrong = returns_oracle.returns_as_mistaken(rewards, GAMMA)
        cases.append(Case((rewards, GAMMA), returns_oracle.returns(rewards, GAMMA), wrong))
    what = f"returns discounted by {GAMMA}, earliest step first"
    return compare(bench, "returns", "(rewards [T], gamma) → [T]", cases, returns_oracle.RETURNS_MISTAKES, what)


def rollout(seed: int, steps: int, ends: dict[tuple[int, int], str]) -> tuple[Any, ...]:
    """Rewards, values, next values, terminated, truncated [T, 3]; next values follow the episode, not the row."""
    random = np.random.default_rng(seed)
    rewards, values, last = (random.normal(size=(steps, 3)) for _ in range(3))
    terminated, truncated = np.zeros((2, steps, 3), bool)
    for (step, environment), how in ends.items():
        (terminated if how == "terminated" else truncated)[step, environment] = True
    ended = terminated | truncated
    ended[-1] = True  # the state in which the rollout stopped has a value of its own
    after = np.concatenate([values[1:], values[:1]])
    return rewards, values, np.where(ended, last, after), terminated, truncated


@check(phase="training", family="oracle", component="gae")
def gae_oracle_agrees(bench: Bench) -> Finding:
    """Decides whether the piece `gae` is the sum of discounted deltas of each episode, cut off or terminated.

    Broken: another result than the O(T²) definition, with no episode ending, with terminated ones, with truncated
    ones.
    Likely: time-limit truncation is treated as termination | the done flag is read at the wrong index | gamma is
    missing in the decay of GAE | no bootstrap at the end of the rollout
    """
    cases = []
    for seed, ends in enumerate(
        (
            {},
            {(2, 0): "terminated", (5, 0): "terminated", (4, 1): "terminated"},
            {(1, 0): "truncated", (4, 0): "terminated", (3, 1): "truncated", (5, 2): "terminated", (7, 2): "truncated"},
        )
    ):
        arguments: tuple[Any, ...] = (*rollout(seed, 8, ends), GAMMA, LAM)
        cases.append(Case(arguments, returns_oracle.gae(*arguments), returns_oracle.gae_as_mistaken(*arguments)))
    signature = "(rewards, values, next_values, terminated, truncated [T, N], gamma, lam) → advantages [T, N]"
    what = f"sum of (gamma lam)^l delta, gamma {GAMMA}, lam {LAM}"
    return compare(bench, "gae", signature, cases, returns_oracle.GAE_MISTAKES, what)


@check(phase="training", family="oracle", component="normalise_advantages")
def normalise_advantages_agrees(bench: Bench) -> Finding:
    """Decides whether the piece `normalise_advantages` leaves mean 0 and standard deviation 1.

    Broken: another result than (A - mean) / std, with either variance, and with up to 1e-5 added to std.
    Likely: operator precedence: only the mean is divided (a - a.mean() / a.std()) | the mean is not subtracted |
    divided by the variance
    """
    advantages = np.random.default_rng(3).normal(loc=5, scale=20, size=60)
    wrong = returns_oracle.normalised_as_mistaken(advantages)
    accepted = {"with the biased variance": returns_oracle.normalised(advantages, 0)}
    case = Case((advantages,), returns_oracle.normalised(advantages), wrong, accepted)
    what = "mean 0 and standard deviation 1"
    signature = "(advantages [N]) → [N]"
    return compare(bench, "normalise_advantages", signature, [case], returns_oracle.NORMALISED_MISTAKES, what)


# --- distributions ------------------------------------------------------------------------------------------------


@check(phase="model", family="oracle", component="categorical_log_probability")
def categorical_oracle_agrees(bench: Bench) -> list[Finding]:
    """Decides whether the pieces `categorical_log_probability` and `categorical_entropy` are those of softmax(logits).

    Broken: another result than log softmax(logits)[action], or than - sum of p log p.
    Likely: softmax output passed as logits (normalised twice) | probabilities returned instead of log-probabilities |
    the sign of the entropy
    """
    random = np.random.default_rng(4)
    logits, actions = 2 * random.normal(size=(N, ACTIONS)), random.integers(0, ACTIONS, size=N)
    p = policies_oracle.probabilities(logits)
    right = policies_oracle.categorical_log_probability(logits, actions)
    words = {
        "twice": "softmax output passed as logits: probabilities are normalised a second time",
        "probabilities": "probabilities returned instead of log-probabilities",
        "logits": "logits are not normalised",
        "sign": "the sign is wrong (a cross entropy is returned)",
        "all": "log-probabilities of all actions, not of the one taken",
    }
    wrong = {
        "twice": policies_oracle.categorical_log_probability(p, actions),
        "probabilities": np.exp(right),
        "logits": logits[np.arange(N), actions],
        "sign": -right,
        "all": np.log(p),
    }
    case = Case((logits, actions), right, wrong)
    name = "categorical_log_probability"
    what = "log softmax(logits)[action]"
    findings = [compare(bench, name, "(logits [N, A], actions [N]) → [N]", [case], words, what)]
    entropy = policies_oracle.categorical_entropy(logits)
    words = {
        "twice": words["twice"],
        "sign": "the sign of the entropy is wrong",
        "averaged": "averaged over the actions instead of summed",
    }
    wrong = {"twice": policies_oracle.categorical_entropy(p), "sign": -entropy, "averaged": entropy / ACTIONS}
    case = Case((logits,), entropy, wrong, reduced=True)
    findings.append(compare(bench, "categorical_entropy", "(logits [N, A]) → [N]", [case], words, "- sum of p log p"))
    return findings


@check(phase="model", family="oracle", component="gaussian_log_probability")
def gaussian_policy_oracle_agrees(bench: Bench) -> list[Finding]:
    """Decides whether the pieces `gaussian_log_probability` and `gaussian_entropy` are those of a diagonal Gaussian.

    Broken: another shape than [N], or another result than the sum over the dimensions of an action.
    Likely: log-probabilities are not summed over the action dimensions | log_std is taken for the log of the variance
    | the logarithm of the standard deviation is missing
    """
    mean, log_std, actions = np.random.default_rng(5).normal(size=(3, N, DIMENSIONS))
    arguments = (mean, log_std, actions)
    right = policies_oracle.gaussian_log_probability(*arguments)
    case = Case(arguments, right, policies_oracle.log_probability_mistakes(*arguments))
    name, signature = "gaussian_log_probability", "(mean, log_std, actions [N, D]) → [N]"
    words = policies_oracle.LOG_PROBABILITY_MISTAKES
    findings = [compare(bench, name, signature, [case], words, "log density summed over D")]
    each = 0.5 * math.log(2 * math.pi * math.e) + log_std
    wrong = {
        "not summed": each,
        "averaged": each.mean(-1),
        "variance": (each - 0.5 * log_std).sum(-1),
        "sign": -each.sum(-1),
    }
    words = {
        "not summed": "entropies are not summed over the action dimensions",
        "averaged": "entropies are averaged over the action dimensions instead of summed",
        "variance": LOG_VARIANCE,
        "sign": "the sign of the entropy is wrong",
    }
    case = Case((log_std,), policies_oracle.gaussian_entropy(log_std), wrong, reduced=True)
    findings.append(
        compare(bench, "gaussian_entropy", "(log_std [N, D]) → [N]", [case], words, "entropy summed over D")
    )
    return findings


LOG_VARIANCE = policies_oracle.LOG_PROBABILITY_MISTAKES["variance"]


@check(phase="model", family="oracle", component="tanh_gaussian_log_probability")
def tanh_gaussian_oracle_agrees(bench: Bench) -> Finding:
    """Decides whether the piece `tanh_gaussian_log_probability` is the density of the squashed action.

    Broken: another result than log N(u) - sum of log(1 - tanh(u)²); up to 1e-6 inside the logarithm counts as the
    same.
    Likely: the Jacobian of tanh is missing | the sign of the Jacobian term is wrong | log-probabilities are not
    summed over the action dimensions
    """
    random = np.random.default_rng(6)
    mean, log_std, unsquashed = random.normal(size=(3, N, DIMENSIONS)) * 0.5
    arguments = (mean, log_std, unsquashed)
    right = policies_oracle.tanh_gaussian_log_probability(*arguments)
    plain = policies_oracle.gaussian_log_probability(*arguments)
    wrong = {
        "no Jacobian": plain,
        "sign": 2 * plain - right,
        "one dimension": plain - np.log(1 - np.tanh(unsquashed) ** 2).mean(-1),
        "not summed": policies_oracle.log_probability_mistakes(*arguments)["not summed"]
        - np.log(1 - np.tanh(unsquashed) ** 2),
        "at the mean": plain - np.log(1 - np.tanh(mean) ** 2).sum(-1),
    }
    words = {
        "no Jacobian": "the Jacobian term of tanh is missing",
        "sign": "the sign of the Jacobian term of tanh is wrong",
        "not summed": "log-probabilities are not summed over the action dimensions",
        "one dimension": "the Jacobian term is averaged over the action dimensions instead of summed",
        "at the mean": "the Jacobian is taken at the mean instead of the action",
    }
    squashed = np.tanh(unsquashed)
    accepted = {"with 1e-6 in the logarithm": plain - np.log(1 - squashed**2 + 1e-6).sum(-1)}
    name, signature = "tanh_gaussian_log_probability", "(mean, log_std, unsquashed [N, D]) → [N]"
    case = Case(arguments, right, wrong, accepted)
    return compare(bench, name, signature, [case], words, "log N(u) - sum of log(1 - tanh(u)²)")


# --- losses -------------------------------------------------------------------------------------------------------


@check(phase="loss", family="oracle", component="policy_gradient_loss")
def policy_gradient_oracle_agrees(bench: Bench) -> list[Finding]:
    """Decides whether the piece `policy_gradient_loss` is - log π(a) A - c H, and whether a step goes the right way.

    Broken: another value; or a small step with A = +1 makes the action less likely, or with A = 0 the policy less
    random.
    Likely: the sign of the policy gradient is wrong | the sign of the entropy bonus is wrong | advantages broadcast
    from (N, 1) against (N,)
    """
    name = "policy_gradient_loss"
    signature = "(logits [N, A], actions [N], advantages [N], entropy_coefficient) → loss"
    words = {
        "sign": "the sign of the policy gradient is wrong: it descends the return",
        "entropy": "the sign of the entropy bonus is wrong: it punishes exploration",
        "broadcast": "advantages broadcast from (N, 1) against (N,): every log-probability meets every advantage",
        "both": "the signs of policy gradient and entropy bonus are wrong: the objective itself is returned",
        "no entropy": "the entropy bonus is left out",
    }
    cases = []
    for seed, coefficient in ((7, 0.0), (8, 0.3)):
        random = np.random.default_rng(seed)
        logits, advantages = random.normal(size=(N, ACTIONS)), random.normal(size=N)
        actions = random.integers(0, ACTIONS, size=N)
        log_p = policies_oracle.categorical_log_probability(logits, actions)
        bonus = coefficient * policies_oracle.categorical_entropy(logits)
        wrong = {
            "sign": log_p * advantages - bonus,
            "entropy": -log_p * advantages + bonus,
            "both": log_p * advantages + bonus,
            "no entropy": -log_p * advantages,
            "broadcast": -np.outer(advantages, log_p) - bonus,
        }
        arguments = (logits, actions, advantages, coefficient)
        cases.append(Case(arguments, policies_oracle.policy_gradient_loss(*arguments), wrong, reduced=True))
    found = compare(bench, name, signature, cases, words, "- log π(a) A - c H")
    if found.outcome == "not_run":
        return [found]
    return [found, *directions(bench, name, signature, words)]


def directions(bench: Bench, name: str, signature: str, words: dict[str, str]) -> list[Finding]:
    """One small step down the gradient of the logits: does it raise log π(a) at A = 1, and the entropy at A = 0?"""
    random = np.random.default_rng(9)
    logits, actions = random.normal(size=(1, ACTIONS)), np.array([2])

    def log_p(z: np.ndarray) -> float:
        return float(policies_oracle.categorical_log_probability(z, actions)[0])

    def entropy(z: np.ndarray) -> float:
        return float(policies_oracle.categorical_entropy(z)[0])

    findings = []
    for advantage, coefficient, what, measure, suspect in (
        (
            1.0,
            0.0,
            "log π(a) rises when A = +1",
            log_p,
            "sign",
        ),
        (0.0, 1.0, "entropy rises when A = 0", entropy, "entropy"),
    ):
        arguments = (logits, actions, np.array([advantage]), coefficient)
        found = gradients(bench, name, signature, arguments, [0])
        if isinstance(found, Finding):
            return [found]
        slope = found[0]
        moved = 0.0 if is_zero(slope) else float(measure(logits - 1e-3 * slope.double().numpy()) - measure(logits))
        fields = fields_of(
            bench, name, expected=what, observed=f"changes by {moved:.3g} in a step of 1e-3", threshold="> 0"
        )
        if moved > 0:
            findings.append(passed(f"{what} by one step", **fields))
        else:
            suspects = (words[suspect], "the gradient does not reach the logits (detached)", words["both"])
            findings.append(failed(f"a step goes the wrong way: {what} is false", likely=suspects, **fields))
    return findings


@check(phase="loss", family="oracle", component="reinforce_loss")
def reinforce_oracle_agrees(bench: Bench) -> Finding:
    """Decides whether the piece `reinforce_loss` weighs each log-probability by the rewards that come after it.

    Broken: another value than - sum of log π(a_t) G_t; a reward moves the weight of a later action.
    Likely: the return of the whole episode is given to every step instead of the reward-to-go | the sign of the
    policy gradient is wrong | the discount is forgotten
    """
    random = np.random.default_rng(10)
    rewards, log_p = random.normal(size=N), -random.random(N)
    words = {
        "whole episode": returns_oracle.RETURNS_MISTAKES["whole episode"],
        "sign": "the sign of the policy gradient is wrong: it descends the return",
        **returns_oracle.RETURNS_MISTAKES,
        "rewards": "weighed by the reward of the step instead of the return",
    }
    wrong = {key: -log_p * value for key, value in returns_oracle.returns_as_mistaken(rewards, GAMMA).items()}
    wrong |= {"sign": log_p * returns_oracle.returns(rewards, GAMMA), "rewards": -log_p * rewards}
    case = Case((log_p, rewards, GAMMA), policies_oracle.reinforce_loss(log_p, rewards, GAMMA), wrong, reduced=True)
    signature = "(log_probabilities [T], rewards [T], gamma) → loss"
    return compare(bench, "reinforce_loss", signature, [case], words, "- log π(a_t) G_t summed over t")


@check(phase="loss", family="oracle", component="ppo_surrogate")
def ppo_oracle_agrees(bench: Bench) -> list[Finding]:
    """Decides whether the piece `ppo_surrogate` is - min(r A, clip(r) A), flat exactly where the clip is active.

    Broken: another value for ratios in {0.5, 1, 1.5} and advantages ± 1, or at random; a gradient where it must be 0.
    Likely: max instead of min of the two surrogates | the old log-probability is recomputed with the current policy:
    the ratio is always 1 | the sign of the surrogate is wrong | advantages broadcast from (N, 1) against (N,)
    """
    name, signature = "ppo_surrogate", "(log_probabilities, old_log_probabilities, advantages [N], clip) → loss"
    words = {
        "max": "max instead of min of the two surrogates (of the objective; of the loss it is max)",
        "ratio 1": "the old log-probability is recomputed with the current policy: the ratio is always 1",
        "sign": "the sign of the policy gradient is wrong: the objective is returned, not its negative",
        "broadcast": "advantages broadcast from (N, 1) against (N,): every ratio meets every advantage",
        "no clip": "the clipped surrogate is not used",
        "only clip": "only the clipped surrogate is used",
        "inverted": "the ratio is upside down (old over new)",
        "no exp": "the difference of log-probabilities is not exponentiated",
    }
    random = np.random.default_rng(11)
    table = [(ratio, advantage) for ratio in (0.5, 1.0, 1.5) for advantage in (-1.0, 1.0)]
    old = -random.random(len(table)) - 0.5
    inputs = [
        (
            old + np.log([ratio for ratio, _ in table]),
            old,
            np.array([a for _, a in table]) * (1 + random.random(len(table))),
        ),
        (random.normal(size=9) * 0.5 - 1, random.normal(size=9) * 0.5 - 1, random.normal(size=9)),
    ]
    cases = []
    for new, before, advantages in inputs:
        ratio = np.exp(new - before)
        plain, cut = ratio * advantages, ratio.clip(1 - CLIP, 1 + CLIP) * advantages
        matrix = [-np.minimum(ratio * a, ratio.clip(1 - CLIP, 1 + CLIP) * a) for a in advantages]
        wrong = {
            "max": -np.maximum(plain, cut),
            "ratio 1": -advantages,
            "sign": np.minimum(plain, cut),
            "broadcast": np.array(matrix),
            "no clip": -plain,
            "only clip": -cut,
            "inverted": policies_oracle.ppo_surrogate(before, new, advantages, CLIP),
            "no exp": -np.minimum((new - before) * advantages, (new - before).clip(1 - CLIP, 1 + CLIP) * advantages),
        }
        arguments = (new, before, advantages, CLIP)
        cases.append(Case(arguments, policies_oracle.ppo_surrogate(*arguments), wrong, reduced=True))
    found = compare(bench, name, signature, cases, words, "- min(r A, clip(r, 1 - ε, 1 + ε) A)")
    if found.outcome == "not_run":
        return [found]
    slopes = gradients(bench, name, signature, cases[0].arguments, [0, 1])
    if isinstance(slopes, Finding):
        return [found, slopes]
    ratio, advantages = np.array([r for r, _ in table]), np.array([a for _, a in table])
    flat = ((ratio > 1 + CLIP) & (advantages > 0)) | ((ratio < 1 - CLIP) & (advantages < 0))
    moves = np.zeros(len(table)) if slopes[0] is None else slopes[0].double().numpy()
    fields = fields_of(
        bench,
        name,
        expected=f"d loss / d log π of sign {(-np.sign(advantages) * ~flat).astype(int).tolist()}",
        observed=str(np.sign(moves).astype(int).tolist()),
        threshold="exact",
    )
    if (np.sign(moves) == -np.sign(advantages) * ~flat).all():
        return [found, passed("the surrogate pushes the right way, and not where it is clipped", **fields)]
    detached = "log-probabilities are detached, or recomputed as the old ones are"
    return [found, failed("the surrogate pushes the wrong way", likely=(*found.likely[:2], detached), **fields)]


@check(phase="loss", family="gradient", component="actor_loss")
def actor_loss_detached(bench: Bench) -> list[Finding]:
    """Decides whether the piece `actor_loss`, given values, takes the advantage as a constant.

    Broken: another value than - log π (R - V), or a gradient of the policy's loss that reaches the values.
    Likely: the advantage is not detached: the critic learns from the policy's loss | the sign of the policy gradient
    is wrong | value minus return for return minus value
    """
    log_p, values, targets = np.random.default_rng(12).normal(size=(3, N))
    arguments = (log_p, values, targets)
    name, signature = "actor_loss", "(log_probabilities, values, returns [N]) → loss"
    right = -log_p * (targets - values)
    words = {
        "sign": "the sign of the policy gradient is wrong (or value minus return for return minus value)",
        "broadcast": "advantages broadcast from (N, 1) against (N,)",
        "no baseline": "the value is not subtracted from the return",
    }
    wrong = {"sign": -right, "broadcast": -np.outer(targets - values, log_p), "no baseline": -log_p * targets}
    found = compare(bench, name, signature, [Case(arguments, right, wrong, reduced=True)], words, "- log π (R - V)")
    if found.outcome == "not_run":
        return [found]
    slopes = gradients(bench, name, signature, arguments, [0, 1])
    if isinstance(slopes, Finding):
        return [found, slopes]
    fields = fields_of(bench, name, expected="gradient for log π, none for the values", threshold="exact")
    if not is_zero(slopes[1]):
        fields["observed"] = f"d loss / d values = {shown(slopes[1].double().numpy())}"
        first = "the advantage is not detached: the critic learns from the policy's loss"
        more = (first, "returns are computed inside the graph of the critic", "values are shared and used undetached")
        return [found, failed("the policy's loss reaches the values", likely=more, **fields)]
    if is_zero(slopes[0]):
        more = ("log-probabilities are detached", "computed under no_grad", "the ratio of a policy to itself, detached")
        return [found, failed("the policy's loss does not reach log π", observed="no gradient", likely=more, **fields)]
    return [found, passed("the advantage is a constant of the policy's loss", observed="as expected", **fields)]


@check(phase="loss", family="oracle", component="value_loss")
def value_loss_oracle_agrees(bench: Bench) -> list[Finding]:
    """Decides whether the piece `value_loss` is (V - R)², clipped or not, and whether it trains the critic.

    Broken: another value (½ and the sum over examples count as the same), or no gradient to the values.
    Likely: dead critic: the loss uses the rollout's values instead of the critic's | min instead of max of clipped
    and unclipped | values broadcast from (N, 1) against (N,)
    """
    name, signature = "value_loss", "(values, old_values, targets [N], clip or None) → loss"
    words = {
        "dead": "dead critic: the loss uses the rollout's values instead of the critic's",
        "min": "min instead of max of the clipped and the unclipped loss",
        "broadcast": "values broadcast from (N, 1) against (N,): every value meets every return",
        "only clipped": "only the clipped loss is used",
        "not clipped": "the loss is not clipped",
        "sign": "the sign of the value loss is wrong",
        "clipped value": "the value is clipped around 0 instead of around the rollout's value",
    }
    values, old, targets = np.random.default_rng(13).normal(size=(3, N))
    cases = []
    for clip in (None, CLIP):
        moved = values if clip is None else old + (values - old).clip(-clip, clip)
        right = policies_oracle.value_loss(values, old, targets, clip)
        wrong = {
            "dead": (old - targets) ** 2,
            "min": np.minimum((values - targets) ** 2, (moved - targets) ** 2),
            "broadcast": np.array(
                [
                    policies_oracle.value_loss(np.full(N, v), np.full(N, o), targets, clip)
                    for v, o in zip(values, old, strict=True)
                ]
            ),
            "only clipped": (moved - targets) ** 2,
            "not clipped": (values - targets) ** 2,
            "clipped value": right
            if clip is None
            else np.maximum((values - targets) ** 2, (values.clip(-clip, clip) - targets) ** 2),
            "sign": -right,
        }
        wrong |= {f"half {key}": value / 2 for key, value in wrong.items()}
        cases.append(Case((values, old, targets, clip), right, wrong, {"times ½": right / 2}, reduced=True))
    words |= {f"half {key}": text for key, text in words.items()}
    found = compare(bench, name, signature, cases, words, "(V - R)², its maximum with the clipped one")
    if found.outcome == "not_run":
        return [found]
    slopes = gradients(bench, name, signature, cases[0].arguments, [0])
    if isinstance(slopes, Finding):
        return [found, slopes]
    fields = fields_of(bench, name, expected="a gradient for every value", threshold="exact")
    if slopes[0] is None or not bool((slopes[0] != 0).all()):
        likely = (words["dead"], "values are detached", "computed under no_grad")
        return [
            found,
            failed("the value loss does not reach the critic", observed="no gradient", likely=likely, **fields),
        ]
    return [found, passed("the value loss reaches every value", observed="as expected", **fields)]


# --- the paper's own loss -----------------------------------------------------------------------------------------


#: What people call the number that says how good an action was.
GOOD = ("advantage", "advantages", "adv", "return", "returns", "return_to_go", "returns_to_go")


def policy_tensors(bench: Bench) -> tuple[str, str, str]:
    """(scores of actions, action, advantage or return) that one loss takes, by what they index and are called."""
    tensors = bench.paper.tensors
    if isinstance(bench.loss(), dict):
        return "", "", ""
    taken = [tensors[name] for name in loss_inputs(bench)]
    for scores in (t for t in taken if t.output_of and len(t.axes) == 2 and t.is_floating):
        actions = [
            t.name for t in taken if not t.output_of and t.indexes == scores.axes[1] and t.axes == scores.axes[:1]
        ]
        good = [
            name for name in GOOD for t in taken if t.name == name and not t.output_of and t.axes == scores.axes[:1]
        ]
        if actions and good:
            return scores.name, actions[0], good[0]
    return "", "", ""


@check(phase="loss", family="step", component="loss")
def advantage_direction(bench: Bench, *, logits: str = "", action: str = "", advantage: str = "") -> Finding:
    """Decides whether the paper's loss makes an action of advantage +1 more likely, and one of -1 less likely.

    Without a declaration, it is what is called an advantage or a return, where the loss takes it with an action and
    the scores of actions.
    Broken: a small step down the gradient of the logits goes the other way for some example.
    Likely: the sign of the policy gradient is wrong | advantages broadcast from (N, 1) against (N,) | the loss has no
    path to the logits (detached)
    """
    guessed = not (logits or action or advantage)
    if guessed:
        logits, action, advantage = policy_tensors(bench)
    missing = [
        f"{key}: <tensor>"
        for key, name in (("logits", logits), ("action", action), ("advantage", advantage))
        if name not in bench.paper.tensors
    ]
    if missing:
        return not_run(f"properties: advantage_direction needs {', '.join(missing)}")
    model = bench.model()
    batch = bench.with_noise(bench.synthetic(4))
    with torch.no_grad():
        outputs = bench.forward(model, batch)
    at_hand = {**batch, **outputs}
    if any(name not in at_hand for name in (logits, action, advantage)):
        return not_run("the synthetic batch and the outputs lack one of the three tensors")
    fields: dict[str, Any] = {"location": component_location(bench, "loss"), "threshold": "sign"}
    # alternating ± 1 survives a normalisation inside the loss; the difference of the two cancels what ignores it
    shape = at_hand[advantage].shape
    signs = 1.0 - 2.0 * (torch.arange(at_hand[advantage].numel(), dtype=bench.dtype) % 2).reshape(shape)
    slopes = []
    for given in (signs, -signs):
        z = at_hand[logits].detach().clone().requires_grad_()
        total = bench.call_loss({**at_hand, logits: z, advantage: given})["total"]
        slope = torch.autograd.grad(total, z, allow_unused=True)[0] if total.requires_grad else None
        if slope is None:
            return failed("the loss does not reach the logits", expected="a gradient", observed="none", **fields)
        slopes.append(slope)
    if guessed and torch.equal(*slopes):
        return not_run(
            f"the gradient of {logits} does not depend on {advantage}: declare advantage_direction to get it"
        )
    taken = at_hand[action].long().unsqueeze(-1)
    pull = (slopes[0] - slopes[1]).gather(-1, taken).squeeze(-1) * signs
    fields["expected"] = "d loss / d logit of the action taken falls with its advantage"
    if bool((pull > 0).any()) or not bool((pull < 0).any()):
        observed = f"rises for {int((pull > 0).sum())}, falls for {int((pull < 0).sum())} of {pull.numel()} examples"
        return failed("the loss does not make good actions more likely", observed=observed, **fields)
    return passed("the loss makes an action more likely the larger its advantage", **fields)
