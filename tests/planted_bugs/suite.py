"""Every planted bug and variant, met by the gates as a run meets them: in order, up to the first that fails."""

from __future__ import annotations

import contextlib
import tempfile
import time
from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml

from repro import phases
from repro.configuration.compose import Composed
from repro.contract.paper import Paper
from repro.errors import ComponentError
from repro.findings import Evidence, Finding, Gate
from repro.phases.context import PhaseContext
from repro.phases.fingerprints import COMPONENT, SECTIONS, acts
from repro.phases.runner import failed_component
from repro.tracking.run_folder import RunFolder

from . import catalogue, of_ppo, test_evaluation, test_training, vision
from .planting import OUTSIDE, Patch, Planted, failures, gate_of, is_outside, planted_settings, settings_of

HERE = Path(__file__).parent
#: The component that a file of the paper belongs to which is not one of its five; its phase's gate looks first.
FIRST = {"pieces": "model", "beam": "evaluation", "environments": "data", "signals": "data"}
#: Papers of the package, with why a listed bug has no place in one whose code holds no such line.
ELSEWHERE = {
    "transformer": {
        "X22": "the harness keeps the checkpoints, not the paper",
        "X27": "the paper has no squared error; (N, 1) against (N,) is tried on a piece",
        "X33": "the paper augments nothing",
        "X39": "the harness runs the loop; the schedule is driven to the last update",
    },
    "ppo": of_ppo.ELSEWHERE,
    "resnet": vision.ELSEWHERE,
    "mnist1d": vision.ELSEWHERE,
}


@dataclass(frozen=True)
class Case:
    """`listed` is the record of planted_bugs.yaml, None for a bug beyond it; `overrides` make a declared deviation."""

    name: str
    planted: Planted
    listed: dict[str, Any] | None = None
    overrides: tuple[str, ...] = ()
    missed: str = ""  # why no check can tell it, where that is so

    @property
    def words(self) -> str:
        """What one of the first three likely bugs must hold, "" where nothing more than the gate is claimed."""
        return str(self.listed["class"]) if self.listed else self.planted.likely

    @property
    def start(self) -> str:
        """The first phase whose evidence depends on what is patched or set; earlier gates see the correct paper."""
        if is_outside(self.planted.paper):  # small, and its files may hold pieces that any phase calls
            return phases.CHECKED[0]
        if acts(Paper.from_config(settings_of(paper=self.planted.paper))):  # whatever changes, it acts otherwise
            return phases.CHECKED[0]
        files = {FIRST.get(patch.file, patch.file) for patch in self.planted.patches}
        keys = {
            key.partition(".")[0] for key in (*self.planted.settings, *(o.partition("=")[0] for o in self.overrides))
        }
        touched = [
            phase for phase in phases.CHECKED if files & {phase, *COMPONENT[phase]} or keys & set(SECTIONS[phase])
        ]
        return touched[0] if touched else phases.CHECKED[0]


@dataclass(frozen=True)
class Met:
    """How one case ended: the gate that stopped it, None if all opened, and its first finding."""

    case: Case
    phase: str | None
    finding: Finding | None
    right_component: bool
    seconds: float

    @property
    def right_phase(self) -> bool:
        wanted = self.case.listed["component"] if self.case.listed else self.case.planted.phase
        return self.phase in (wanted, self.case.planted.phase)

    @property
    def right_class(self) -> bool | None:
        """Whether one of the first three likely bugs is the true one; None where no class is claimed."""
        if not self.case.words:
            return None
        likely = self.finding.likely[:3] if self.finding else ()
        return any(self.case.words.lower() in text.lower() for text in likely)


@lru_cache
def records() -> dict[str, dict[str, Any]]:
    """The listed bugs by id."""
    return {r["id"]: r for r in yaml.safe_load((HERE / "planted_bugs.yaml").read_text(encoding="utf-8"))}


def bugs(paper: str = "transformer") -> list[Case]:
    """Every bug that is planted into a paper, the listed ones with their record; each name once."""
    found: dict[str, Planted] = dict(catalogue.BUGS)
    for name, (component, replacements, settings, _, word) in test_training.BUGS.items():
        patches = tuple(Patch(component, before, after) for before, after in replacements)
        found.setdefault(name, Planted(patches, "training", word, settings))
    for name, (replacements, _, word) in test_evaluation.BUGS.items():
        patches = tuple(Patch("evaluation", before, after) for before, after in replacements)
        found.setdefault(name, Planted(patches, "evaluation", word))
    cases = [Case(name, planted, records().get(name.split()[0])) for name, planted in found.items()]
    cases += [of_ppo_case(name, planted) for name, planted in of_ppo.BUGS.items()]
    cases += [of_vision_case(*key, planted) for key, planted in vision.BUGS.items()]
    return [case for case in (*cases, *written("*_bugs.yaml")) if case.planted.paper == paper]


def of_ppo_case(name: str, planted: Planted) -> Case:
    """A bug or variant of PPO, whose settings are typed."""
    there = replace(planted, paper="ppo", settings={})
    return Case(name, there, records().get(name.split()[0]), of_ppo.typed(planted))


def of_vision_case(paper: str, name: str, planted: Planted) -> Case:
    """A bug or variant of one of the two vision papers, under the settings that can show it."""
    there = replace(planted, paper=paper)
    return Case(name, there, records().get(name.split()[0]), vision.overrides_of(paper, name))


def written(files: str) -> list[Case]:
    """The cases of YAML files beside this one, but for the two adopted lists; further_bugs.yaml says their keys."""
    found = []
    for path in sorted(HERE.glob(files)):
        if path.name in ("planted_bugs.yaml", "correct_variants.yaml"):
            continue
        for entry in yaml.safe_load(path.read_text(encoding="utf-8")):
            patches = tuple(Patch(*patch) for patch in entry["patches"])
            planted = Planted(
                patches,
                entry.get("phase", ""),
                entry.get("class", ""),
                entry.get("settings", {}),
                tuple(entry.get("components", ())),
                paper=entry["paper"],
            )
            listed = records().get(entry["id"].split()[0])
            overrides = tuple(entry.get("overrides", ()))
            missed = entry.get("missed", "")
            found.append(Case(f"{entry['id']} {entry['title']}", planted, listed, overrides, missed))
    return found


def variants(paper: str = "transformer") -> list[Case]:
    """Correct code that looks different, and deviations that the config declares."""
    found = [Case(name, planted) for name, planted in catalogue.VARIANTS.items()]
    for name, (component, replacements, settings) in test_training.VARIANTS.items():
        patches = tuple(Patch(component, before, after) for before, after in replacements)
        # settings alone are typed, so that all that refers to them follows
        typed = () if patches else tuple(f"{key}={value}" for key, value in settings.items())
        planted = Planted(patches, "training", settings={} if typed else settings)
        found.append(Case(f"training: {name}", planted, overrides=typed))
    for name, pairs in test_evaluation.VARIANTS.items():
        patches = tuple(Patch("evaluation", before, after) for before, after in pairs)
        found.append(Case(f"evaluation: {name}", Planted(patches, "evaluation")))
    found += [Case(name, Planted(()), overrides=overrides) for name, overrides in catalogue.DECLARED.items()]
    found += [replace(of_ppo_case(name, planted), listed=None) for name, planted in of_ppo.VARIANTS.items()]
    found += [replace(of_vision_case(*key, planted), listed=None) for key, planted in vision.VARIANTS.items()]
    return [case for case in (*found, *written("*_variants.yaml")) if case.planted.paper == paper]


def papers() -> list[str]:
    """The papers that bugs are planted into."""
    return sorted({*ELSEWHERE, *(case.planted.paper for case in written("*_bugs.yaml"))})


def not_planted(paper: str) -> dict[str, str]:
    """Listed bugs of the type of a paper of the package, and generic ones, that are not planted, with the reason."""
    if paper not in ELSEWHERE:
        return {}  # of papers outside only bugs of our own are claimed
    kind = type_of(paper)
    planted = {case.name.split()[0] for case in bugs(paper)}
    missing = [r["id"] for r in records().values() if r["type"] in (kind, "generic") and r["id"] not in planted]
    beside = [other for other in ELSEWHERE if other != paper and type_of(other) == kind]
    reasons = {}
    for name in missing:
        there = [other for other in beside if any(case.name.split()[0] == name for case in bugs(other))]
        reason = ELSEWHERE[paper].get(f"{name} {paper}") or ELSEWHERE[paper].get(name)
        reasons[name] = reason or (f"it is planted into {there[0]}" if there else "no reason is given")
    return reasons


def type_of(paper: str) -> str:
    return str(settings_of(paper=paper)["paper"]["type"])


class Silent:
    """A display that shows nothing."""

    def phase_started(self, name: str) -> None: ...

    def progress(self, *words: object) -> None: ...

    def finding(self, finding: Finding) -> None: ...

    def phase_finished(self, evidence: Evidence, reused: bool = False) -> None: ...

    def note(self, text: str) -> None: ...

    def close(self) -> None: ...


def gates(
    composed: Composed, folder: Path, wanted: Iterable[str] = phases.CHECKED, seed: int = 0
) -> Iterable[Evidence]:
    """The evidence of each gate, as a run concludes it, up to the first that fails."""
    paper = Paper.from_config(composed.config)
    with ExitStack() as stack:
        if is_outside(paper.name):
            stack.enter_context(contextlib.chdir(OUTSIDE / paper.name))
        context = PhaseContext(
            composed, paper, RunFolder(folder / "runs" / paper.name / "planted"), Silent(), stack=stack
        )
        context.bench().seed = seed
        for name in wanted:
            try:
                evidence = phases.load(name).run(context)
            except ComponentError as fault:
                evidence = failed_component(name, fault)
            yield evidence
            if evidence.outcome is Gate.FAILED:
                return


def meet(case: Case, only_its_gate: bool = False) -> Met:
    """Plant the case and run the gates from the first that can tell; `only_its_gate` leaves out all but its phase."""
    start = time.process_time()
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        composed = planted_settings(case.planted, folder, case.overrides)
        order = phases.CHECKED
        wanted = [case.planted.phase] if only_its_gate else order[order.index(case.start) :]
        for evidence in gates(composed, folder, wanted):
            if evidence.outcome is Gate.FAILED:
                first = next(f for f in evidence.findings if f.blocks)
                blamed = blames(case.planted, Paper.from_config(composed.config), first)
                return Met(case, evidence.phase, first, blamed, time.process_time() - start)
    return Met(case, None, None, False, time.process_time() - start)


def blames(planted: Planted, paper: Paper, finding: Finding) -> bool:
    """Whether a finding names the patched component, one of its pieces, tensors or stages, and points into its file."""
    if not planted.patches:
        return False
    file = planted.patches[0].file
    component = FIRST.get(file, file)
    stages = tuple(glob.partition(".*")[0] for glob in paper.stages)
    known = {component, planted.phase, *paper.tensors, *paper.pieces, *planted.components}
    name = finding.component.partition(" (")[0]  # of a paper with systems, without the system's name
    named = name in known or name.startswith(stages)
    # a file that is no component itself is met through the one that calls it
    place = any(f"{one}.py" in finding.location for one in (file, component))
    return named and (place or name in {component, *paper.pieces, *planted.components})


def alarms_over_seeds(seeds: int, name: str = "transformer") -> list[tuple[str, Finding]]:
    """Findings on the correct paper that would keep a gate shut: the checks of model and loss over `seeds` in float32
    and a fifth of them in float64, the whole gate set over at most three.
    """
    import torch

    composed = planted_settings(Planted((), paper=name), Path(tempfile.mkdtemp()))
    paper = Paper.from_config(composed.config)
    found: list[tuple[str, Finding]] = []
    for dtype, count in ((torch.float32, seeds), (torch.float64, max(1, seeds // 5))):
        for seed in range(count):
            for phase in ("model", "loss"):
                for finding in failures(gate_of(paper, phase, seed=seed, dtype=dtype)):
                    found.append((f"seed {seed}, {str(dtype).removeprefix('torch.')}", finding))
    for seed in range(min(3, seeds)):
        with tempfile.TemporaryDirectory() as place:
            for evidence in gates(composed, Path(place), seed=seed):
                found += [(f"seed {seed}, all gates", f) for f in evidence.findings if f.blocks]
    return found


def warm(papers: Iterable[str] = ("transformer",)) -> None:
    """Compose the settings and learn the pieces of the data once, so that forks of this process need not."""
    for name in papers:
        Paper.from_config(settings_of(paper=name)).build_data(0)


def chosen(cases: list[Case], names: list[str]) -> list[Case]:
    """The cases whose name or id is asked for; all without names."""
    return [case for case in cases if not names or case.name in names or case.name.split()[0] in names]


def picklable(met: Met) -> Met:
    """The result without tensors or other things of a finding's details, to travel between processes."""
    return replace(met, finding=met.finding.with_changes(details={}) if met.finding else None)
