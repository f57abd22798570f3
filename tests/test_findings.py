from __future__ import annotations

from repro.findings import Finding, Outcome, outcomes_of_checks
from repro.phases.gate import counts


def finding(check: str, outcome: Outcome, alone: str = "") -> Finding:
    return Finding(check=check, component="data", outcome=outcome, summary="", alone=alone)


def test_a_check_that_decides_several_things_is_one_check() -> None:
    found = [
        finding("declared_tensors", Outcome.PASSED),
        finding("declared_tensors", Outcome.FAILED),
        finding("declared_tensors", Outcome.FAILED),
        # the same property of two tensors is two checks
        finding("causal", Outcome.PASSED, 'causal.show("mine", output="a")'),
        finding("causal", Outcome.WARNED, 'causal.show("mine", output="b")'),
        finding("shifted", Outcome.NOT_RUN),
        finding("shifted", Outcome.PASSED),
        finding("seeding", Outcome.NOT_RUN),
        finding("resume", Outcome.ERROR),
    ]
    assert outcomes_of_checks(found) == ["failed", "passed", "warned", "passed", "not_run", "error"]
    assert counts(found) == "5 checks, 1 failed, 1 raised, 1 warned, 1 not run"
    assert counts([]) == ""
