"""Ablation debug: take declared parts away until one batch is memorised, add them back, name the one that breaks."""

from __future__ import annotations

import re
import shlex
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from repro.configuration.deltas import leaves_of
from repro.errors import ConfigError, ExitCode
from repro.findings import SYMPTOMS, Evidence, Finding, Gate, Outcome
from repro.phases.context import PhaseContext

if TYPE_CHECKING:
    from repro.commands.display import Display
    from repro.configuration.compose import Composed

MEMORISES = SYMPTOMS[0]
#: The gates in which a check may name a culprit without any training.
GATES = ("data", "model", "loss", "training")
PHASE = "debug"


@dataclass(frozen=True)
class Trial:
    """One batch memorised, or not, with some declared parts taken away."""

    step: str
    without: tuple[str, ...]
    finding: Finding

    @property
    def memorised(self) -> bool:
        return self.finding.outcome is Outcome.PASSED

    @property
    def reached(self) -> float | None:
        """The total at the end, None where no update was made."""
        totals = self.finding.details.get("totals")
        return float(totals[-1][1]) if totals else None

    @property
    def floor(self) -> float | None:
        floor = self.finding.details.get("floor")
        return None if floor is None else float(floor)

    @property
    def words(self) -> str:
        """ "3.1 (floor 0.81)", or why there is no number."""
        if self.reached is None or self.floor is None:
            return self.finding.reason or self.finding.summary.splitlines()[0]
        return f"{self.reached:.3g} (floor {self.floor:.3g})"

    def to_json(self) -> dict[str, Any]:
        return {
            "step": self.step,
            "without": list(self.without),
            "memorised": self.memorised,
            "outcome": self.finding.outcome,
            "reached": self.reached,
            "floor": self.floor,
            "summary": self.finding.summary,
        }


@dataclass
class Search:
    """The trials of one ablation debug, in the order in which they were made."""

    context: PhaseContext
    options: dict[str, Any]
    trials: list[Trial] = field(default_factory=list)

    def attempt(self, step: str, without: Sequence[str]) -> Trial:
        """Memorise one batch without these parts. What cannot be composed or raises is a trial that failed."""
        self.context.progress(PHASE, step, len(self.trials))
        made = next((t for t in self.trials if set(t.without) == set(without)), None)
        finding = made.finding if made is not None else self.memorise(without)
        self.trials.append(Trial(step, tuple(without), finding))
        return self.trials[-1]

    def memorise(self, without: Iterable[str]) -> Finding:
        from repro.checks.registry import run_check
        from repro.contract.bench import Bench
        from repro.contract.paper import Paper

        ablations = self.context.paper.ablations
        changes = {key: value for name in without for key, value in leaves_of(ablations[name].changes).items()}
        try:
            paper = Paper.from_config(self.context.composed.with_changes(changes).config)
        except ConfigError as fault:
            return Finding(MEMORISES, "training", Outcome.ERROR, fault.message.splitlines()[0])
        whole = self.context.bench()
        bench = Bench(paper, seed=whole.seed)
        if paper.settings.get("data") == whole.paper.settings.get("data"):
            bench.shared_data = whole.data()
        return run_check(MEMORISES, bench, self.options)[0]


@dataclass(frozen=True)
class Found:
    """What the search ended with; `culprits` in the order in which they were added back."""

    culprits: tuple[str, ...]
    removed: tuple[str, ...]
    skipped: dict[str, str]


def debug(composed: Composed, *, display: Display) -> ExitCode:
    """Run the gates up to training; where they only say that nothing is learned, find the part that breaks it.

    Returns `GATE_FAILED` when a check or the search names a culprit, `OK` when nothing is broken, `UNDECIDED` else.
    """
    from repro.contract.paper import Paper
    from repro.phases.folder import open_folder
    from repro.phases.runner import run_phase
    from repro.tracking.files import write_json

    paper = Paper.from_config(composed.config)
    folder = open_folder(composed, paper, "debug")
    with folder.lock():
        context = PhaseContext(composed, paper, folder, display)
        for name in GATES:
            evidence = run_phase(name, context)
            context.evidence[name] = evidence
            if evidence.outcome is Gate.TO_DO:
                return ExitCode.UNDECIDED
            named = next((f for f in evidence.findings if f.blocks and f.check not in SYMPTOMS), None)
            if named is not None:
                again = shlex.join(["python", "-m", "repro", "debug", f"paper={paper.name}", *folder.typed])
                display.note(
                    f"{named.component}/{named.check} names what is wrong (above), so no part was taken away.\n"
                    f"To take parts away all the same: {again} check.only={MEMORISES}"
                )
                return ExitCode.GATE_FAILED
        evidence, trials = conclude(context)
        write_json(folder.root / "debug.json", evidence.to_json())
        for line in table(trials):
            display.note(line)
        display.phase_finished(evidence)
    codes = {Gate.PASSED: ExitCode.OK, Gate.FAILED: ExitCode.GATE_FAILED}
    return codes.get(evidence.outcome, ExitCode.UNDECIDED)


def conclude(context: PhaseContext) -> tuple[Evidence, list[Trial]]:
    """The search and what it says."""
    from repro.phases.gate import planned_checks

    start = time.perf_counter()
    context.display.phase_started(PHASE)
    options = next((options for name, options in planned_checks("training", context) if name == MEMORISES), {})
    search = Search(context, options)
    gate = context.evidence.get("training")
    whole = next((f for f in (gate.findings if gate else ()) if f.check == MEMORISES), None)
    first = Trial("everything", (), whole or search.memorise(()))
    search.trials.append(first)
    if first.memorised:
        finding = Finding(
            PHASE, "training", Outcome.PASSED, f"nothing is broken: one batch is memorised, {first.words}"
        )
        outcome = Gate.PASSED
    elif first.finding.outcome is Outcome.NOT_RUN:
        finding = Finding(PHASE, "training", Outcome.NOT_RUN, "not run", reason=first.finding.reason)
        outcome = Gate.NOT_RUN
    else:
        found = look(search)
        finding = named(context, search.trials, found) if found.culprits else unnamed(search.trials, found)
        outcome = Gate.FAILED if found.culprits else Gate.NOT_RUN
    seconds = round(time.perf_counter() - start, 3)
    data = {"trials": [trial.to_json() for trial in search.trials]}
    summary = finding.summary if finding.outcome is not Outcome.NOT_RUN else f"undecided: {finding.reason}"
    return Evidence(PHASE, outcome, summary, (finding,), seconds=seconds, data=data), search.trials


def look(search: Search) -> Found:
    """Take parts away, in the order of the config, until one batch is memorised; then add them back one at a time.

    Of several ablations of one key the first counts. Where even all together do not help (one may harm), each is tried
    alone before nothing is said.
    """
    ablations = search.context.paper.ablations
    removed: list[str] = []
    skipped: dict[str, str] = {}
    taken: dict[str, str] = {}
    working = False
    for name, ablation in ablations.items():
        twin = next((taken[key] for key in leaves_of(ablation.changes) if key in taken), None)
        if twin is not None:
            skipped[name] = f"changes what {twin} changes"
            continue
        trial = search.attempt(f"− {name}", [*removed, name])
        if trial.finding.outcome is Outcome.ERROR:
            skipped[name] = "cannot be taken away with the others: " + trial.finding.summary.splitlines()[0]
            continue
        removed.append(name)
        taken.update(dict.fromkeys(leaves_of(ablation.changes), name))
        if trial.memorised:
            working = True
            break
    if not working:
        alone = next((name for name in ablations if search.attempt(f"only − {name}", [name]).memorised), None)
        return Found((alone,) if alone else (), (alone,) if alone else tuple(removed), skipped)
    culprits: list[str] = []
    for name in list(removed):
        rest = [other for other in removed if other != name]
        # with all else in place the first trial already says that it does not work
        if search.attempt(f"+ {name}", rest).memorised:
            removed = rest
        else:
            culprits.append(name)
    return Found(tuple(culprits), tuple(removed), skipped)


def named(context: PhaseContext, trials: Sequence[Trial], found: Found) -> Finding:
    """The finding about the first part that breaks memorising when it comes back."""
    name = found.culprits[0]
    ablation = context.paper.ablations[name]
    key = next(iter(leaves_of(ablation.changes)))
    with_it = next(t for t in reversed(trials) if not t.memorised and name not in t.without)
    without = next(t for t in reversed(trials) if t.memorised and name in t.without)
    others = [other for other in found.removed if other != name]
    beside = f" (also taken away: {', '.join(others)})" if others else ""
    return Finding(
        check=PHASE,
        component=key,
        outcome=Outcome.FAILED,
        summary=f"{name} is the culprit: without it one batch is memorised, with it not{beside}",
        expected=f"with it as without it: {without.words}",
        observed=f"with it: {with_it.words}",
        threshold=with_it.finding.threshold,
        location=", ".join(uses(context, key)),
        likely=(
            f"what {key}={setting(context, key)} switches on is wrong: {ablation.says}",
            *with_it.finding.likely[:2],
        ),
        family="overfit",
        details={"culprits": list(found.culprits), "skipped": found.skipped},
    )


def unnamed(trials: Sequence[Trial], found: Found) -> Finding:
    first = trials[0]
    away = ", ".join(found.removed) or "none: the paper declares no ablation that can be taken away"
    return Finding(
        check=PHASE,
        component="training",
        outcome=Outcome.NOT_RUN,
        summary="undecided",
        reason=f"one batch is not memorised, {first.words}, with or without any declared part (taken away: {away}); "
        "the fault lies in what no ablation removes: declare more under `ablations:`, "
        "such as one less layer or a plain loss",
        likely=first.finding.likely,
        details={"skipped": found.skipped},
    )


def setting(context: PhaseContext, key: str) -> Any:
    """The value of a dotted key in the configuration as it stands."""
    node: Any = context.settings
    for part in key.split("."):
        node = node[part]
    return node


def uses(context: PhaseContext, key: str, most: int = 4) -> list[str]:
    """ "model.py:327" of the lines of the component that branch on a key, or else that name it."""
    from repro.contract.components import relative
    from repro.phases.fingerprints import module_file

    component, _, name = key.rpartition(".")
    target = context.paper.targets().get(component.partition(".")[0], "")
    file = module_file(target.rpartition(".")[0]) if target else None
    if file is None:
        return []
    lines = list(enumerate(file.read_text(encoding="utf-8", errors="replace").splitlines(), 1))
    naming = [(number, line) for number, line in lines if re.search(rf"\b{re.escape(name)}\b", line)]
    branching = [(number, line) for number, line in naming if re.search(r"\bif\b", line)]
    return [f"{relative(str(file))}:{number}" for number, line in (branching or naming)[:most]]


def table(trials: Sequence[Trial]) -> list[str]:
    """One line a trial: what was taken away or added back, what was reached, whether that is memorised."""
    width = max(len(trial.step) for trial in trials)
    lines = [f"   {'':<{width}}  one batch          reached"]
    for trial in trials:
        words = (
            "memorised" if trial.memorised else "raised" if trial.finding.outcome is Outcome.ERROR else "not memorised"
        )
        lines.append(f"   {trial.step:<{width}}  {words:<17}  {trial.words}")
    return lines
