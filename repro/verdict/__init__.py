"""Verdicts: pure functions from arrays to frozen results; what a run is judged by and how that is said.

Names are imported on first use, so that reading a report loads no statistics library.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from repro.verdict.claim import decide_claim as decide_claim
    from repro.verdict.curve import decide_curve as decide_curve
    from repro.verdict.fact import decide_fact as decide_fact
    from repro.verdict.methods import Scale as Scale
    from repro.verdict.outcome import CurveVerdict as CurveVerdict
    from repro.verdict.outcome import ValueVerdict as ValueVerdict
    from repro.verdict.outcome import Verdict as Verdict
    from repro.verdict.rows import Measured as Measured
    from repro.verdict.rows import Measurement as Measurement
    from repro.verdict.rows import Row as Row
    from repro.verdict.rows import judge as judge
    from repro.verdict.sentence import exit_code as exit_code
    from repro.verdict.sentence import first_sentence as first_sentence
    from repro.verdict.sentence import sentences as sentences
    from repro.verdict.sequential import plan as plan
    from repro.verdict.value import decide_value as decide_value

WHERE = {
    "decide_claim": "claim",
    "decide_curve": "curve",
    "decide_fact": "fact",
    "Scale": "methods",
    "CurveVerdict": "outcome",
    "ValueVerdict": "outcome",
    "Verdict": "outcome",
    "Measured": "rows",
    "Measurement": "rows",
    "Row": "rows",
    "judge": "rows",
    "exit_code": "sentence",
    "first_sentence": "sentence",
    "sentences": "sentence",
    "plan": "sequential",
    "decide_value": "value",
}
__all__ = sorted(WHERE)


def __getattr__(name: str) -> Any:
    if name not in WHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{WHERE[name]}"), name)
