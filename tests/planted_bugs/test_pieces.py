"""Listed bugs of agents, generative models and vision: a piece's check passes the correct line and names the bug's."""

# ruff: noqa: E501 (each planted bug is one line of a table)

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from repro.checks.registry import load_all, run_check
from repro.contract.bench import Bench
from repro.contract.paper import Paper
from repro.findings import Finding, Outcome

from . import pieces_of_agents as agents
from . import pieces_of_generators as generators
from . import pieces_of_vision as vision

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
GENERATORS: dict[str, tuple[str, str, str, str]] = {
    "G01": ("gaussian_kl_oracle_agrees", "gaussian_kl", "kl", "sign of the KL divergence"),
    "G02": ("gaussian_kl_oracle_agrees", "gaussian_kl", "kl_mean", "averaged over latent dimensions"),
    "G03": ("negative_elbo_oracle_agrees", "negative_elbo", "elbo", "reconstruction is averaged over pixels"),
    "G04": ("reparameterise_agrees", "reparameterise", "sample", "used as the standard deviation"),
    "G05": ("reparameterise_agrees", "reparameterise", "sample_by_distribution", "reparameterisation is cut"),
    "G07": ("reparameterise_agrees", "reparameterise", "sample", "uniform noise instead of Gaussian"),
    "G08": ("bernoulli_oracle_agrees", "bernoulli_log_likelihood", "likelihood", "sigmoid applied twice"),
    "G13": ("kl_weight_agrees", "kl_weight", "warm_up", "wrong unit"),
    "G15": ("importance_weighted_oracle_agrees", "importance_weighted_bound", "bound", "replaced by the ELBO"),
    "G16": ("importance_weighted_oracle_agrees", "importance_weighted_bound", "bound", "log K is missing"),
    "G20": ("alpha_bar_oracle_agrees", "alpha_bar", "alpha_bar", "product of betas instead of 1 - betas"),
    "G21": ("posterior_oracle_agrees", "posterior_variance", "posterior_variance", "padded on the wrong side"),
    "G22": ("q_sample_oracle_agrees", "q_sample", "q_sample", "noise coefficient lacks its square root"),
    "G23": ("timesteps_cover", "draw_timesteps", "timesteps", "one timestep is drawn for the whole batch"),
    "G23_last": ("timesteps_cover", "draw_timesteps", "timesteps", "last step is never drawn"),
    "G24": ("noise_prediction_agrees", "noise_prediction_loss", "noise_loss", "trained against x_0"),
    "G30": ("timestep_embedding_distinguishes", "timestep_embedding", "embedding", "scaled to [0, 1]"),
    "G31": ("moving_average_oracle_agrees", "exponential_moving_average", "ema", "coefficients are swapped"),
    "G34": (
        "players_keep_apart",
        "discriminator_loss",
        "discriminator_loss",
        "not detached in the discriminator's step",
    ),
    "G35": ("players_keep_apart", "generator_loss", "generator_loss", "detached in the generator's step"),
}
VISION: dict[str, tuple[str, str, str, str]] = {
    "V01": ("preprocess_agrees", "preprocess", "preprocess", "statistics on the wrong scale"),
    "V02": ("preprocess_agrees", "preprocess", "preprocess", "test transform lacks the normalisation"),
    "V03": ("preprocess_agrees", "preprocess", "preprocess", "BGR"),
    "V04": ("preprocess_agrees", "preprocess", "preprocess", "reshaped instead of permuted"),
    "V13": ("shortcuts_agree", "shortcut_a", "option_a", "projection shortcut (option B"),
    "V15": ("residual_block_agrees", "residual_block", "block", "residual addition is missing"),
    "V22": ("class_cross_entropy_agrees", "cross_entropy", "cross_entropy", "softmax"),
    "V23": ("class_cross_entropy_agrees", "cross_entropy", "cross_entropy", "probabilities"),
    "augment_upside_down": ("augment_agrees", "augment", "augment", "upside down"),
    "augment_as_one": ("augment_agrees", "augment", "augment", "for the whole batch"),
    "per_channel": ("per_pixel_mean_agrees", "per_pixel_mean", "per_pixel", "mean of each channel"),
    "flipped_kernel": ("convolution_oracle_agrees", "convolution", "convolve", "kernel is flipped"),
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
GENERATOR_VARIANTS = [
    ("negative_elbo_oracle_agrees", "negative_elbo", "C19"),
    ("kl_weight_agrees", "kl_weight", "warm_up_from_zero"),
    ("moving_average_oracle_agrees", "exponential_moving_average", "ema_lerp"),
    ("posterior_oracle_agrees", "posterior_mean", "posterior_mean"),
]
VISION_VARIANTS = [
    ("convolution_oracle_agrees", "convolution", "C22"),
    ("preprocess_agrees", "preprocess", "unit_range"),
    ("shortcuts_agree", "shortcut_a", "option_a_behind"),
]
#: No piece holds them: what the whole component does over time decides, and the check that watches it.
PROTOCOL: dict[str, tuple[str, str]] = {
    "R29": (
        "evaluation_leaves_training_untouched",
        "the normaliser's statistics are state that evaluate() must leave alone",
    ),
    "R32": ("initialisation", "the declared gain of the policy's head against the weights themselves"),
    "G10": ("unit_interval", "the data in each split, whatever made them"),
    "G11": ("evaluation_mode", "the mode that evaluate() puts modules into"),
    "G33": (
        "evaluation_leaves_training_untouched",
        "the training parameters after evaluate(), which may swap them in between",
    ),
    "V07": ("validation_repeats", "the held-out batches of two passes"),
    "V11": ("evaluation_mode", "the mode that evaluate() puts modules into"),
    "V12": ("train_mode", "the mode at each update after an evaluation"),
    "V17": ("initialisation", "the declared spread against the weights themselves"),
    "V19": ("optimiser_declared", "the declared momentum and decay against the optimiser's groups"),
    "V20": ("schedule_driven", "the learning rate of every update up to the last"),
    "V24": ("pairs_stay_pairs", "inputs and labels of two passes"),
    "V26": ("splits_disjoint", "the examples of all splits"),
    "V27": ("evaluates_the_split", "the splits that evaluate() reads"),
    "V29": ("metric_independent_of_batch_size", "the metrics at several batch sizes"),
    "V32": ("batch_independent", "the outputs of a batch and of its examples alone"),
    "R33": ("optimiser_declared", "the declared eps against the optimiser's groups"),
}

BUGS = {
    name: (module, *entry)
    for module, table in ((agents, AGENTS), (generators, GENERATORS), (vision, VISION))
    for name, entry in table.items()
}
VARIANTS = [
    (module, *entry)
    for module, table in ((agents, AGENT_VARIANTS), (generators, GENERATOR_VARIANTS), (vision, VISION_VARIANTS))
    for entry in table
]


def run(module: Any, check: str, piece: str, function: str, dtype: torch.dtype = torch.float64) -> list[Finding]:
    """What the check says of a paper whose only piece is this function; pieces that it lacks are left out."""
    settings = {"paper": {"name": "pieces"}, "pieces": {piece: f"{module.__name__}.{function}"}}
    found = run_check(check, Bench(Paper.from_config(settings), dtype))
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


def test_every_listed_bug_has_a_piece_or_a_reason() -> None:
    listed = yaml.safe_load((Path(__file__).parent / "planted_bugs.yaml").read_text(encoding="utf-8"))
    ids = {entry["id"] for entry in listed if entry["id"][0] in "RGV"}
    assert ids == {name for name in BUGS if re.fullmatch(r"[RGV]\d\d", name)} | set(PROTOCOL)
    assert not set(BUGS) & set(PROTOCOL)


def test_checks_of_protocol_bugs_exist_and_those_of_pieces_gate_their_type() -> None:
    known = load_all()
    assert {check for check, _ in PROTOCOL.values()} <= set(known)
    folder = Path(__file__).parents[2] / "conf" / "type"
    for name, table in (("reinforcement_learning", AGENTS), ("generative", GENERATORS), ("vision", VISION)):
        gates = yaml.safe_load((folder / f"{name}.yaml").read_text(encoding="utf-8"))["checks"]
        for check, *_ in table.values():
            assert check in gates[known[check].phase], f"{check} is not among the {known[check].phase} checks of {name}"


@pytest.mark.parametrize("check", sorted({entry[1] for entry in BUGS.values()}))
def test_a_missing_piece_is_not_run_and_says_what_to_declare(check: str) -> None:
    found = run_check(check, Bench(Paper.from_config({"paper": {"name": "no pieces"}})))
    assert {f.outcome for f in found} == {Outcome.NOT_RUN}
    assert all("declare `pieces: {" in f.reason for f in found)


@pytest.mark.parametrize("name", BUGS)
def test_the_correct_line_passes_in_float32(name: str) -> None:
    module, check, piece, correct, _ = BUGS[name]
    found = run(module, check, piece, correct, torch.float32)
    assert {f.outcome for f in found} == {Outcome.PASSED}, found
