"""Bugs of evaluation planted into the real Transformer: each stops the gate of its phase, named and explained."""

# ruff: noqa: E501 (each planted bug is one line of a table)

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from repro.checks.registry import run_check
from repro.oracles.beam_search import exhaustive_search, length_penalty

from .planting import failures, gate_of, planted_bench, settings_of

RETURN = "    loss = nll_sum / pieces\n"
BLEU = '"bleu": bleu(hypotheses, references, tokenize)[0],'
COUNT = "            pieces += int((targets != PAD).sum())\n"

# name: (replacements, check that stops it, word among the first three likely bugs)
BUGS: dict[str, tuple[list[tuple[str, str]], str, str]] = {
    "T38 lower-cased": ([(BLEU, '"bleu": bleu([h.lower() for h in hypotheses], [r.lower() for r in references], tokenize)[0],')],
                        "bleu_of_raw_text", "lower-cased"),
    "T38 sub-words": ([(BLEU, '"bleu": bleu([" ".join(h) for h in hypotheses], [" ".join(r) for r in references], tokenize)[0],')],
                      "bleu_of_raw_text", "sub-word"),
    "T40": ([(COUNT, COUNT + "            batches = [*locals().get('batches', []), nll_sum / pieces - 0.0]\n            per_batch = [*locals().get('per_batch', []), math.exp(F.cross_entropy(logits.flatten(0, 1).double(), targets.flatten(), ignore_index=PAD).item())]\n"),
             ('"perplexity": math.exp(min(loss, 700.0)),', '"perplexity": sum(per_batch) / len(per_batch),')],
            "metric_independent_of_batch_size", "mean of the batches' perplexities"),
    "V29": ([(COUNT, COUNT + "            per_batch = [*locals().get('per_batch', []), F.cross_entropy(logits.flatten(0, 1).double(), targets.flatten(), ignore_index=PAD).item()]\n"),
             (RETURN, "    loss = sum(per_batch) / len(per_batch)\n")],
            "metric_independent_of_batch_size", "mean of per-batch values"),
    "V11": ([("    model.eval()\n", "")], "evaluation_mode", "model.eval() is not called"),
    "padding counted": ([(", ignore_index=PAD, reduction", ", reduction"), (COUNT, "            pieces += targets.numel()\n")],
                        "perplexity_from_logits", "padding"),
    "V27 wrong split": ([("for batch in data.batches(split):", 'for batch in data.batches("test"):')], "evaluates_the_split", "split"),
    "loop ends early": ([(COUNT, COUNT + "            if hypotheses: break\n"), ("zip(hypotheses, references, strict=True)", "zip(hypotheses, references)"), ("bleu(hypotheses, references, tokenize)[0]", "bleu(hypotheses, references[: len(hypotheses)], tokenize)[0]")],
                        "evaluates_the_split", "ends early"),
    "G33": ([("    model.eval()\n", "    model.eval()\n    for p in model.parameters():\n        p.mul_(0.999)\n")],
            "evaluation_leaves_training_untouched", "averaged"),
    "gradients stay off": ([("    was_training = model.training\n", "    was_training = model.training\n    torch.set_grad_enabled(False)\n"), ("@torch.no_grad()\ndef evaluate(", "def evaluate(")],
                           "evaluation_leaves_training_untouched", "set_grad_enabled"),
    "shifted references": ([("h == r for h, r in zip(hypotheses, references", "h == r for h, r in zip(hypotheses, references[1:] + references[:1]")],
                           "oracle_predictions", "not aligned"),
    "decoding stops early": ([("    return target[:, 1:]\n", "    return target[:, 1:-2]\n")], "oracle_predictions", "decoding"),
    "trivial positions": ([("h == r for h, r in zip(hypotheses, references", "r == r for h, r in zip(hypotheses, references")],
                          "untrained_is_at_chance", "compared with themselves"),
}  # fmt: skip


@pytest.mark.parametrize("name", BUGS)
def test_bug_is_stopped(name: str, tmp_path: Path) -> None:
    replacements, check, word = BUGS[name]
    findings = gate_of(planted_bench(tmp_path, "evaluation", replacements).paper, "evaluation", stop=True)
    stopped = failures(findings)
    assert stopped, f"{name} passes the gate"
    first = stopped[0]
    assert first.check == check, first
    assert first.component == "evaluation"
    assert any(word in likely for likely in first.likely[:3]), first.likely


VARIANTS: dict[str, list[tuple[str, str]]] = {
    "as it is": [],
    "without cache": [("cached: bool = True", "cached: bool = False")],
    "inference mode": [("@torch.no_grad()\ndef evaluate(", "@torch.inference_mode()\ndef evaluate(")],
    "stays in eval mode": [("        model.train(was_training)\n", "        pass\n")],
    "float32 logits": [(".double(), targets.flatten()", ".float(), targets.flatten()")],
}


@pytest.mark.parametrize("name", VARIANTS)
def test_correct_code_is_not_stopped(name: str, tmp_path: Path) -> None:
    findings = gate_of(planted_bench(tmp_path, "evaluation", VARIANTS[name]).paper, "evaluation")
    assert not failures(findings), failures(findings)


# --- pieces that the Transformer here does not have: declared by another paper -------------------------------------------


def divided(scores: torch.Tensor, lengths: torch.Tensor, alpha: float) -> torch.Tensor:
    return scores / ((5 + lengths) / 6) ** alpha


def multiplied(scores: torch.Tensor, lengths: torch.Tensor, alpha: float) -> torch.Tensor:
    return scores * ((5 + lengths) / 6) ** alpha


def full_beam(log_probabilities: Any, end: int, beam: int, longest: int, alpha: float) -> list[int]:
    return search(log_probabilities, end, beam, longest, lambda score, n: score / length_penalty(n, alpha))


def wrong_beam(log_probabilities: Any, end: int, beam: int, longest: int, alpha: float) -> list[int]:
    return search(log_probabilities, end, beam, longest, lambda score, n: score * length_penalty(n, alpha))


def search(log_probabilities: Any, end: int, beam: int, longest: int, rank: Any) -> list[int]:
    """A plain beam search: finished hypotheses are kept beside the beam."""
    alive: list[tuple[tuple[int, ...], float]] = [((), 0.0)]
    done: list[tuple[tuple[int, ...], float]] = []
    for _ in range(longest):
        grown = [((*p, c), s + v) for p, s in alive for c, v in enumerate(log_probabilities(p))]
        done += [h for h in grown if h[0][-1] == end]
        alive = sorted((h for h in grown if h[0][-1] != end), key=lambda h: -h[1])[:beam]
    best = max(done + alive, key=lambda h: rank(h[1], len(h[0])))
    return list(best[0])


def bench_with_piece(tmp_path: Path, name: str, function: str) -> Any:
    return planted_bench(tmp_path, settings={"pieces": {**settings_of()["pieces"], name: f"{__name__}.{function}"}})


@pytest.mark.parametrize(
    ("check", "piece", "right", "wrong"),
    [
        ("length_penalty_piece", "length_penalty", "divided", "multiplied"),
        ("beam_search_piece", "beam_search", "full_beam", "wrong_beam"),
    ],
)
def test_search_pieces_are_told_apart(tmp_path: Path, check: str, piece: str, right: str, wrong: str) -> None:
    assert run_check(check, bench_with_piece(tmp_path, piece, right))[0].outcome == "passed"
    found = run_check(check, bench_with_piece(tmp_path, piece, wrong))[0]
    assert found.outcome == "failed"
    assert found.component == piece
    assert "multiplied" in found.likely[0]


def test_exhaustive_search_of_two_pieces() -> None:
    # p(end) = 0.3 first, then 0.9: end at once 0.3, after one piece 0.7 · 0.9 = 0.63
    import math

    def log_p(prefix: Any) -> list[float]:
        return [math.log(0.9), math.log(0.1)] if prefix else [math.log(0.3), math.log(0.7)]

    assert exhaustive_search(log_p, 0, 2, 2)[0] == (1, 0)
