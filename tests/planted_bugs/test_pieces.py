"""Listed bugs of agents, generative models and vision: a piece's check passes the correct line and names the bug's."""

# ruff: noqa: E501 (each planted bug is one line of a table)

from __future__ import annotations

from typing import Any

import pytest

from repro.checks.registry import run_check
from repro.contract.bench import Bench
from repro.contract.paper import Paper
from repro.findings import Finding, Outcome

from . import pieces_of_agents as agents

# bug: (check, piece, correct function, a text that one of the first three likely bugs holds); the buggy one has the bug's id
AGENTS: dict[str, tuple[str, str, str, str]] = {
    "R01": ("policy_gradient_oracle_agrees", "policy_gradient_loss", "policy_gradient", "sign of the policy gradient"),
    "R02": ("policy_gradient_oracle_agrees", "policy_gradient_loss", "policy_gradient", "sign of the entropy bonus"),
    "R03": ("ppo_oracle_agrees", "ppo_surrogate", "ppo", "max instead of min"),
    "R05": ("ppo_oracle_agrees", "ppo_surrogate", "ppo", "recomputed with the current policy"),
    "R06": (
        "gaussian_policy_oracle_agrees",
        "gaussian_log_probability",
        "gaussian",
        "not summed over the action dimensions",
    ),
    "R09": (
        "tanh_gaussian_oracle_agrees",
        "tanh_gaussian_log_probability",
        "tanh_gaussian",
        "Jacobian term of tanh is missing",
    ),
    "R10": ("gae_oracle_agrees", "gae", "gae", "truncation is treated as termination"),
    "R11": ("gae_oracle_agrees", "gae", "gae", "wrong index"),
    "R13": ("gae_oracle_agrees", "gae", "gae", "no bootstrap at the end of the rollout"),
    "R15": ("gae_oracle_agrees", "gae", "gae", "gamma is missing in the decay"),
    "R17": ("normalise_advantages_agrees", "normalise_advantages", "normalise", "operator precedence"),
    "R18": ("ppo_oracle_agrees", "ppo_surrogate", "ppo", "broadcast from (N, 1)"),
    "R19": ("actor_loss_detached", "actor_loss", "actor", "not detached"),
    "R20": ("value_loss_oracle_agrees", "value_loss", "C13", "dead critic"),
    "R23": ("returns_oracle_agrees", "returns", "returns", "discount is forgotten"),
    "R24": ("returns_oracle_agrees", "returns", "returns", "reverse order"),
    "R26": ("reinforce_oracle_agrees", "reinforce_loss", "reinforce", "instead of the reward-to-go"),
    "R27": ("collect_agrees", "collect", "collect", "reward is stored one step late"),
    "R35": ("collect_agrees", "collect", "collect", "same seed is given at every reset"),
    "R37": ("flatten_agrees", "flatten_rollout", "flatten", "different orders"),
    "R38": (
        "categorical_oracle_agrees",
        "categorical_log_probability",
        "categorical",
        "softmax output passed as logits",
    ),
}
#: Correct though different: (check, piece, function).
AGENT_VARIANTS = [
    ("ppo_oracle_agrees", "ppo_surrogate", "C11"),
    ("value_loss_oracle_agrees", "value_loss", "C13"),
    ("gae_oracle_agrees", "gae", "C14"),
    ("gae_oracle_agrees", "gae", "C16"),
    ("actor_loss_detached", "actor_loss", "C17"),
    ("normalise_advantages_agrees", "normalise_advantages", "normalise_biased"),
    ("tanh_gaussian_oracle_agrees", "tanh_gaussian_log_probability", "tanh_gaussian_stable"),
    ("categorical_oracle_agrees", "categorical_entropy", "entropy"),
    ("gaussian_policy_oracle_agrees", "gaussian_entropy", "gaussian_entropy"),
    ("flatten_agrees", "flatten_rollout", "flatten_by_environment"),
]
#: No piece holds them: what the whole component does over time decides, and the check that watches it.
PROTOCOL: dict[str, tuple[str, str]] = {
    "R29": (
        "evaluation_leaves_training_untouched",
        "the normaliser's statistics are state that evaluate() must leave alone",
    ),
    "R32": ("initialisation", "the declared gain of the policy's head against the weights themselves"),
    "R33": ("optimiser_declared", "the declared eps against the optimiser's groups"),
}

MODULES = {"R": agents}
BUGS = {name: (agents, *entry) for name, entry in AGENTS.items()}
VARIANTS = [(agents, *entry) for entry in AGENT_VARIANTS]


def run(module: Any, check: str, piece: str, function: str) -> list[Finding]:
    """What the check says of a paper whose only piece is this function; pieces that it lacks are left out."""
    settings = {"paper": {"name": "pieces"}, "pieces": {piece: f"{module.__name__}.{function}"}}
    found = run_check(check, Bench(Paper.from_config(settings)))
    assert all("declare" in f.reason for f in found if f.outcome is Outcome.NOT_RUN), found
    return [f for f in found if f.outcome is not Outcome.NOT_RUN]


@pytest.mark.parametrize("name", BUGS)
def test_a_bug_is_told_from_the_correct_line(name: str) -> None:
    module, check, piece, correct, likely = BUGS[name]
    before = run(module, check, piece, correct)
    assert before, "the check did not run"
    assert {f.outcome for f in before} == {Outcome.PASSED}, before
    after = [f for f in run(module, check, piece, name) if f.outcome is not Outcome.PASSED]
    assert after, f"{name} passes"
    assert after[0].outcome is Outcome.FAILED, after[0]
    assert after[0].component == piece
    assert f"{module.__name__.rpartition('.')[2]}.py" in after[0].location
    assert any(likely in text for text in after[0].likely[:3]), after[0]


@pytest.mark.parametrize(
    ("module", "check", "piece", "function"), VARIANTS, ids=lambda v: v if isinstance(v, str) else ""
)
def test_a_variant_passes(module: Any, check: str, piece: str, function: str) -> None:
    found = run(module, check, piece, function)
    assert found, "the check did not run"
    assert {f.outcome for f in found} == {Outcome.PASSED}, found
