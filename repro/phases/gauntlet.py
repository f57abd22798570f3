"""The debugging gauntlet: memorise, gradients, which learning rates learn, and what each part buys."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import Any

from repro.findings import Evidence, Finding, Outcome
from repro.phases.context import PhaseContext
from repro.phases.gate import conclude, run_gate

PHASE = "gauntlet"
NO_PARAMETER = (
    "no key is known that sets the learning rate: declare "
    "gauntlet: {learning_rate: {parameter: training.learning_rate}} to get it"
)


def run(context: PhaseContext) -> Evidence:
    """The checks first; the sweeps, which cost most, only when they hold or the run is told to keep going."""
    checked = run_gate(PHASE, context)
    findings = list(checked.findings)
    only = (context.settings.get("check") or {}).get("only")
    if only or (any(f.blocks for f in findings) and not context.settings.get("keep_going")):
        return checked
    settings = context.settings[PHASE]
    parts: list[str] = []
    data: dict[str, Any] = {}
    rates, parts_left_out = settings.get("learning_rate") or {}, settings.get("ablations") or {}
    missing = not_comparable(context)
    if rates.get("trials") and not rates.get("parameter"):
        findings.append(skipped("learning_rate", NO_PARAMETER))
    elif rates.get("trials") and missing and not rates.get("objective"):
        findings.append(skipped("learning_rate", missing))
    elif rates.get("trials"):
        record = learning_rates(context)
        command = shlex.join(["sweep", "learning_rate", f"paper={context.paper.name}", *context.folder.typed])
        findings.append(learning_rate_finding(record, memorised(context), f"python -m repro {command}"))
        data["learning_rate"] = {key: record.get(key) for key in ("usable", "paper_value", "paper_inside", "best_rate")}
        parts.append(str(record.get("summary", "")))
    if parts_left_out.get("names") and missing:
        findings.append(skipped("ablations", missing))
    elif parts_left_out.get("names"):
        record = ablations(context)
        more, words = ablation_findings(record)
        findings += more
        parts.append(words)
    for finding in findings[len(checked.findings) :]:
        context.display.finding(finding)
    return conclude(PHASE, context, findings, summary=" · ".join(part for part in parts if part), data=data)


def not_comparable(context: PhaseContext) -> str:
    """Why runs cannot be compared by their training loss, from what the training phase saw; "" where they can."""
    from repro.sweeps.training_task import loss_name

    evidence = context.evidence.get("training")
    seen = [f.details.get("returned") for f in (evidence.findings if evidence else ()) if f.check == "update_returns"]
    if not seen or seen[0] is None or loss_name(seen[0]):
        return ""
    return f"update returns {', '.join(seen[0])}: return the minimised loss too, as 'total' or 'loss', to get it"


def skipped(check: str, reason: str) -> Finding:
    return Finding(
        check=check, component="training", outcome=Outcome.NOT_RUN, summary="not run", reason=reason, family="trace"
    )


def learning_rates(context: PhaseContext) -> dict[str, Any]:
    from repro.sweeps.learning_rate import learning_rate_study

    return learning_rate_study(
        context.composed,
        context.folder,
        context.pool(),
        lambda text, done, total, eta: context.progress(PHASE, text, done, total, eta),
    )


def ablations(context: PhaseContext) -> dict[str, Any]:
    from repro.sweeps.ablation import ablation_study

    return ablation_study(
        context.composed,
        context.folder,
        context.pool(),
        names=context.settings[PHASE]["ablations"]["names"],
        progress=lambda text, done, total, eta: context.progress(PHASE, text, done, total, eta),
    )


def memorised(context: PhaseContext) -> bool:
    """Whether the training phase of this run saw the model memorise a batch, so that it can learn."""
    evidence = context.evidence.get("training")
    findings = evidence.findings if evidence is not None else ()
    return any(f.check == "overfit_one_batch" and f.outcome is Outcome.PASSED for f in findings)


def learning_rate_finding(
    record: Mapping[str, Any], memorised: bool = False, command: str = "python -m repro sweep learning_rate"
) -> Finding:
    """A model that learns at no rate is broken; a paper's rate outside the usable range is said, and fails nothing.

    Of a model that has `memorised` a batch, trials in which nothing falls clearly were too short. `command` sweeps
    anew, which with longer trials is a study of its own beside this run; a longer gate would be another run.
    """
    usable, inside = record.get("usable"), record.get("paper_inside")
    errors = [f"trial {trial['number']}: {trial['error']}" for trial in record["trials"] if trial["state"] == "failed"]
    common: dict[str, Any] = {
        "check": "learning_rate",
        "component": "training",
        "family": "trace",
        "summary": str(record.get("summary", "")),
        "expected": "a range of rates in which the loss falls, the paper's own among them",
    }
    if errors:
        return Finding(outcome=Outcome.ERROR, observed="\n".join(errors), **common)
    if usable is None and memorised:
        return Finding(
            outcome=Outcome.WARNED,
            observed="no trial shows a clear fall, though a batch is memorised: more updates a trial would tell:"
            f" {command} sweep.updates={10 * int(record.get('updates') or 100)}",
            **common,
        )
    if usable is None and record.get("needed_updates"):
        return Finding(
            outcome=Outcome.WARNED,
            observed="the loss of an update varies by more than it could fall; trials of about"
            f" {record['needed_updates']:,} updates would tell:"
            f" {command} sweep.updates={record['needed_updates']}",
            **common,
        )
    blown = [str(trial["error"]) for trial in record["trials"] if trial["state"] == "diverged"]
    if usable is None and blown and len(blown) == len(record["trials"]):
        return Finding(
            outcome=Outcome.FAILED,
            observed=blown[0].partition("\n")[0],
            likely=(
                "the logarithm of zero or a division by zero, for values that come now and then",
                "0 · infinity in a gradient: torch.where and xlogy guard the value, not always its gradient",
                "a sum over an empty set, such as a batch that is masked entirely",
            ),
            alone="import torch\ntorch.autograd.set_detect_anomaly(True)  # names the operation, in an update of yours",
            **common,
        )
    if usable is None:
        likely: tuple[str, ...] = (
            "the optimiser does not hold the model's parameters",
            "gradients are cut or have the wrong sign",
            "the loss does not depend on the model",
        )
        return Finding(outcome=Outcome.FAILED, observed="no rate learns", likely=likely, **common)
    outcome = Outcome.WARNED if inside is False else Outcome.PASSED
    likely = (
        ("a loss summed where the paper averages, or the reverse", "another warm-up or batch size than the paper's")
        if inside is False
        else ()
    )
    return Finding(outcome=outcome, observed=f"usable {usable[0]:.3g} … {usable[1]:.3g}", likely=likely, **common)


def ablation_findings(record: Mapping[str, Any]) -> tuple[list[Finding], str]:
    """One finding for each run that could not be made; effects themselves are measurements, not failures."""
    findings = []
    names = [run["name"] for run in record["runs"] if run["name"] != "baseline"]
    for run in record["runs"]:
        if run["state"] in ("failed", "diverged"):
            baseline = run["name"] == "baseline"
            findings.append(
                Finding(
                    check=f"ablation {run['name']}",
                    component="training",
                    family="trace",
                    # an ablation that diverges is a result; the full model must not
                    outcome=Outcome.ERROR
                    if run["state"] == "failed"
                    else Outcome.FAILED
                    if baseline
                    else Outcome.WARNED,
                    summary=f"{run['name']} {run['state']}",
                    observed=str(run["error"]),
                )
            )
    if not findings:
        findings.append(
            Finding(
                check="ablations",
                component="training",
                family="statistical",
                outcome=Outcome.PASSED,
                summary=f"{len(names)} parts left out over {len(record['seeds'])} paired seeds, "
                f"{record['updates']:,} updates each",
                details={"names": names},
            )
        )
    return findings, f"{len(names)} ablation{'s' if len(names) != 1 else ''}"
