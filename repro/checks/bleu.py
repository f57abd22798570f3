"""BLEU: of which text, against which references, and recomputed independently."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from repro.checks.held_out import EXAMPLES, NO_EXAMPLES, arranged, evaluated
from repro.checks.inputs import component_location
from repro.checks.registry import check, failed, not_run, passed
from repro.contract.bench import Bench
from repro.findings import Finding
from repro.oracles import bleu as bleu_oracle

LOWERED = "BLEU on lower-cased text instead of cased text"


@contextmanager
def recorded_bleu() -> Iterator[list[tuple[Any, list[str], list[list[str]]]]]:
    """Every call of sacrebleu's corpus BLEU: (the metric object, hypotheses, references)."""
    from sacrebleu.metrics.bleu import BLEU

    calls: list[tuple[Any, list[str], list[list[str]]]] = []
    original = BLEU.corpus_score

    def corpus_score(self: Any, hypotheses: Any, references: Any, *args: Any, **kwargs: Any) -> Any:
        if references is not None:
            calls.append((self, list(hypotheses), [list(stream) for stream in references]))
        return original(self, hypotheses, references, *args, **kwargs)

    BLEU.corpus_score = corpus_score  # type: ignore[method-assign]
    try:
        yield calls
    finally:
        BLEU.corpus_score = original  # type: ignore[method-assign]


def mixed_case(text: str) -> str:
    """The text with every second letter large: lower-casing it anywhere shows."""
    return "".join(c.upper() if i % 2 else c for i, c in enumerate(text))


@check(phase="evaluation", family="data", component="evaluation")
def bleu_of_raw_text(bench: Bench) -> Finding:
    """BLEU is taken of detokenised, cased text against untouched references, and agrees with an independent one.

    Broken: BLEU of sub-word pieces or lower-cased text, which is one to ten points too high.
    Likely: BLEU on sub-word or lower-cased text instead of detokenised, cased text | references are tokenised or
    normalised before | hypotheses and references are exchanged
    """
    data = arranged(bench, [EXAMPLES], change=mixed_case)
    if data is None:
        return not_run(NO_EXAMPLES)
    with recorded_bleu() as calls:
        metrics = evaluated(bench, bench.model(), data)
    if "bleu" not in metrics:
        return not_run(f"evaluate returns no bleu, only {', '.join(metrics)}")
    if not calls:
        return not_run("evaluate computes BLEU without sacrebleu, so its sentences are not seen")
    metric, hypotheses, streams = calls[-1]
    raw = data.references("validation") if hasattr(data.data, "references") else None
    location = component_location(bench, "evaluation")
    if fault := text_fault(metric, hypotheses, streams[0], raw, location):
        return fault
    tokens = [[metric.tokenizer(line.rstrip()).split() for line in lines] for lines in (hypotheses, streams[0])]
    ours = bleu_oracle.bleu(tokens[0], tokens[1])
    if len(streams) == 1 and abs(ours - float(metrics["bleu"])) > 1e-6 * max(1.0, ours):
        return failed(
            f"bleu is {metrics['bleu']:.6g}, the same sentences give {ours:.6g}",
            expected=f"{ours:.9g} (repro/oracles/bleu.py)",
            observed=f"{metrics['bleu']:.9g}",
            threshold="1e-6 of the value",
            location=location,
            likely=(
                "BLEU of single sentences is averaged instead of taken over the corpus",
                "the value is scaled to 0 … 1",
            ),
        )
    return passed("BLEU sees raw, cased text and agrees with an independent one", observed=str(metric.get_signature()))


def text_fault(
    metric: Any, hypotheses: list[str], references: list[str], raw: Sequence[str] | None, location: str
) -> Finding | None:
    """The finding on text that BLEU should not have been given; `raw` are the references before anybody touched them.

    Every text that the data gave has capital letters: where none is left, it was lower-cased on the way.
    """
    fields: dict[str, Any] = {"threshold": "character by character", "location": location}
    if getattr(metric, "lowercase", False):
        return failed(
            "BLEU is computed case-insensitively",
            expected="case:mixed in the signature",
            observed=str(metric.get_signature()),
            likely=(LOWERED,),
            **fields,
        )
    if raw is not None and list(raw) != references:
        number = next((i for i, (a, b) in enumerate(zip(raw, references, strict=False)) if a != b), 0)
        wanted = raw[number] if number < len(raw) else ""
        got = references[number] if number < len(references) else ""
        likely: tuple[str, ...] = (
            "BLEU on sub-word pieces instead of detokenised text",
            "references are normalised before",
        )
        if list(raw) == hypotheses:
            likely = ("hypotheses and references are exchanged",)
        elif got == wanted.lower():
            likely = (LOWERED,)
        return failed(
            "the references that BLEU is computed against are not the raw ones",
            expected=repr(wanted),
            observed=repr(got),
            likely=likely,
            **fields,
        )
    if raw is None and references and not any(c.isupper() for r in references for c in r):
        return failed(
            "no reference that BLEU sees has a capital letter, though every text was given with some",
            expected="cased text",
            observed=repr(references[0]),
            likely=(LOWERED,),
            **fields,
        )
    letters = [h for h in hypotheses if any(c.isalpha() for c in h)]
    if letters and all(h == h.lower() for h in letters) and any(len(h) > 3 for h in letters):
        return failed(
            "hypotheses are lower-cased before BLEU",
            expected="the text as decoded",
            observed=repr(letters[0]),
            likely=(LOWERED,),
            **fields,
        )
    return None
