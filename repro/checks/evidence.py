"""Weigh findings together: several failures often have one cause, and the most local decision names it best."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from repro.findings import Finding, Outcome

#: How close a check looks at one piece of code; the lower, the better a failure names its cause. Of two failures the
#: later is often only a consequence: a model that draws random numbers fails every comparison of two forwards.
CLOSENESS = {
    "declared_tensors": 1,
    "modules_registered": 0,
    "deterministic": 0,
    "attention_oracle_agrees": 1,
    "multi_head_oracle_agrees": 1,
    "feed_forward_oracle_agrees": 1,
    "positions_oracle_agrees": 1,
    "masks_oracle_agrees": 1,
    "cross_entropy_oracle_agrees": 1,
    "shifted": 1,
    "end_marker": 1,
    "loss_terms": 1,
    "loss_finite_differences": 1,
    "train_mode": 1,
    "handed_over": 1,
    "train_examples_repeat": 2,
    "weights_differ": 2,
    "embedding_scale": 2,
    "position_sensitive": 2,
    "tied": 2,
    "gradient_reaches": 2,
    "batch_independent": 2,
    "targets_aligned": 2,
    "outputs_unnormalised": 2,
    "loss_batch_size": 2,
    "train_shuffled": 3,
    "residual": 3,
    "causal": 3,
    "padding_invariant": 4,
    "loss_value": 4,
    "stages": 5,
    "outputs_declared": 5,
    "initialisation": 5,
    "parameter_count": 5,
}
ELSE = 4


def weigh(findings: Iterable[Finding]) -> list[Finding]:
    """The findings with those that keep the gate shut in the order in which to read them, and suspects sharpened.

    What passed stays where it was; a check that raised comes after those that decided.
    """
    found = sharpen(list(findings))
    blocking = [f for f in found if f.blocks]
    blocking.sort(key=lambda f: (f.outcome is Outcome.ERROR, CLOSENESS.get(f.check, ELSE)))
    queue = iter(blocking)
    return [next(queue) if f.blocks else f for f in found]


def sharpen(findings: list[Finding]) -> list[Finding]:
    """Suspects that only several checks together can name, put first."""
    failed = {f.check for f in findings if f.outcome is Outcome.FAILED}
    warned = [f for f in findings if f.outcome is Outcome.WARNED]
    reads_opposite = any(f.check == "attention_oracle_agrees" and "may not attend" in f.summary for f in warned)
    builds_opposite = any(f.check == "masks_oracle_agrees" for f in warned)
    rules: list[tuple[set[str], str]] = []
    if reads_opposite != builds_opposite and failed & {"causal", "padding_invariant"}:
        rules.append(
            (
                {"causal", "padding_invariant", "outputs_declared"},
                "mask polarity inverted (masks are built true = may attend, and read the other way, or the reverse)",
            )
        )
    if "validation_repeats" in failed and "train_examples_repeat" in failed | {f.check for f in warned}:
        rules.append(({"validation_repeats", "train_examples_repeat"}, "in-place op changes the stored data set"))
    if "deterministic" in failed:
        follows = "a consequence: the model in eval mode is not a function of its input (see deterministic)"
        rules.append(({"causal", "padding_invariant", "batch_independent"}, follows))
    if "seeding" in failed:
        unseeded = "no seeding: the update draws from a generator that the seed does not reach (see seeding)"
        rules.append(({"gradient_of_this_batch", "clipping", "resume", "one_step_closed_form"}, unseeded))
    if "attention_oracle_agrees" in failed:
        follows = "a consequence: the attention inside of each head is wrong (see attention_oracle_agrees)"
        rules.append(({"multi_head_oracle_agrees"}, follows))
    if "position_sensitive" in failed:
        follows = "a consequence: positions are added wrongly (see position_sensitive)"
        rules.append(({"padding_invariant"}, follows))
    for checks, words in rules:
        findings = [
            f.with_changes(likely=first(words, f.likely)) if f.outcome is Outcome.FAILED and f.check in checks else f
            for f in findings
        ]
    return findings


def first(words: str, likely: Sequence[str]) -> tuple[str, ...]:
    """The suspects with `words` in front, each once, four at most."""
    return tuple(dict.fromkeys((words, *likely)))[:4]
