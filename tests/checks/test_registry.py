"""The registry: a check that raises, hangs or is malformed is reported as such, never as passed."""

from __future__ import annotations

import importlib
import time
from collections.abc import Iterator
from typing import Any

import pytest

from repro.checks import registry
from repro.checks.registry import check, failed, not_run, passed, run_check
from repro.errors import ComponentError, ConfigError
from repro.findings import Outcome


class FakePaper:
    name = "fake"
    properties = ()


class FakeBench:
    paper = FakePaper()


BENCH: Any = FakeBench()


@pytest.fixture(autouse=True)
def keep_registry() -> Iterator[None]:
    before = dict(registry.load_all())  # what a test imports first would be forgotten with it
    yield
    registry.CHECKS.clear()
    registry.CHECKS.update(before)


def register(function: Any) -> registry.Check:
    return check(phase="model", family="trace", component="model")(function)


def test_findings_carry_name_family_likely_bugs_and_how_to_repeat() -> None:
    @register
    def two_findings(bench: Any, *, output: str) -> list[Any]:
        """Decides nothing.

        Broken: looks broken.
        Likely: first bug | second bug.
        """
        return [passed("fine"), failed("not fine", expected="1", observed="2")]

    good, bad = run_check("two_findings", BENCH, {"output": "logits"})
    assert (good.outcome, good.likely) == (Outcome.PASSED, ())
    assert (bad.outcome, bad.family, bad.component) == (Outcome.FAILED, "trace", "model")
    assert bad.likely == ("first bug", "second bug")
    assert bad.alone == f"from {__name__} import two_findings\ntwo_findings.show(\"fake\", output='logits')"


@pytest.mark.parametrize("raised", [ValueError("odd"), ComponentError("the model raised"), SystemExit(0)])
def test_a_check_that_raises_is_an_error_and_blocks(raised: BaseException) -> None:
    @register
    def raising(bench: Any) -> Any:
        """Decides nothing.

        Broken: looks broken.
        Likely: a bug.
        """
        raise raised

    (finding,) = run_check("raising", BENCH)
    assert finding.outcome is Outcome.ERROR
    assert finding.blocks
    assert str(raised) in finding.summary


def test_a_check_that_hangs_is_stopped_and_is_an_error() -> None:
    @register
    def hanging(bench: Any) -> Any:
        """Decides nothing.

        Broken: looks broken.
        Likely: a bug.
        """
        time.sleep(30)
        return passed("never")

    (finding,) = run_check("hanging", BENCH, limit_seconds=0.05)
    assert finding.outcome is Outcome.ERROR
    assert "longer than 0.05 s" in finding.summary


def test_not_run_never_passes() -> None:
    @register
    def unable(bench: Any) -> Any:
        """Decides nothing.

        Broken: looks broken.
        Likely: a bug.
        """
        return not_run("declare pieces.attention to get it")

    (finding,) = run_check("unable", BENCH)
    assert finding.outcome is Outcome.NOT_RUN
    assert finding.reason == "declare pieces.attention to get it"


def test_registration_refuses_a_wrong_signature_or_docstring() -> None:
    def no_bench(model: Any) -> Any:
        """Says."""

    def positional(bench: Any, output: str) -> Any:
        """Says.

        Broken: b.
        Likely: c.
        """

    def silent(bench: Any) -> Any:
        """Says only what it decides."""

    for function, message in [
        (no_bench, "first parameter must be `bench`"),
        (positional, "keyword-only"),
        (silent, "`Broken:`"),
    ]:
        with pytest.raises(ConfigError, match=message):
            register(function)
    with pytest.raises(ConfigError, match="phase is 'modle'"):
        check(phase="modle", family="trace", component="model")(silent)


def test_unknown_check_and_option_name_what_is_known() -> None:
    @register
    def causal_like(bench: Any, *, output: str) -> Any:
        """Decides nothing.

        Broken: looks broken.
        Likely: a bug.
        """
        return passed("fine")

    with pytest.raises(ConfigError, match="causal_like"):
        registry.find("causal_lik")
    with pytest.raises(ConfigError, match="unknown option outptu"):
        run_check("causal_like", BENCH, {"outptu": "logits"})


@pytest.mark.parametrize("name", ["causal", "standardised", "initialisation"])
def test_the_lines_to_test_a_check_alone_import_the_check(name: str) -> None:
    lines = registry.alone_lines(registry.find(name), BENCH, {})
    module = lines.split()[1]
    assert isinstance(getattr(importlib.import_module(module), name), registry.Check)


@pytest.mark.parametrize(
    "raised, first",
    [
        ("mat1 and mat2 must have the same dtype, but got Float and Double", "data give float64"),
        ("expected scalar type Double but found Float", "data give float64"),
        ("mat1 and mat2 shapes cannot be multiplied (2x3 and 4x5)", "a bug"),
        ("The size of tensor a (4) must match the size of tensor b (5)", "an axis of size 1"),
        (
            "expand(torch.FloatTensor{[4, 4]}, size=[4]): the number of sizes provided (1) must be …",
            "an axis of size 1",
        ),
    ],
)
def test_what_pytorch_says_is_traced_to_what_most_likely_causes_it(raised: str, first: str) -> None:
    @register
    def raising(bench: Any) -> Any:
        """Decides nothing.

        Broken: looks broken.
        Likely: a bug.
        """
        raise RuntimeError(raised)

    (finding,) = run_check("raising", BENCH)
    assert finding.likely[0].startswith(first)
