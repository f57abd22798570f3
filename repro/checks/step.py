"""One update against the closed form of the declared optimiser: which tensors moved, by how much, by which settings."""

from __future__ import annotations

import time
from collections.abc import Mapping, Set
from dataclasses import replace
from fnmatch import fnmatchcase
from typing import Any

import numpy as np
import torch

from repro.checks.registry import check, failed, not_run, passed, warned
from repro.checks.schedule import formula
from repro.checks.trace import HAND_WRITTEN, changed, decay_in_gradient, tolerance
from repro.checks.watch import (
    NoDropout,
    Step,
    Update,
    Watched,
    kept,
    named_parameters,
    seed_all,
    watch,
    watched,
)
from repro.contract.bench import Bench
from repro.contract.components import location_of, persons_errors
from repro.findings import Finding
from repro.oracles.optimisers import STEPS, State

#: What PyTorch sets where the person gives nothing; the usual cause of a deviation.
DEFAULTS: dict[str, Any] = {"betas": (0.9, 0.999), "eps": 1e-8, "weight_decay": 0.0, "momentum": 0.0}


def same(a: Any, b: Any) -> bool:
    if isinstance(a, str) or isinstance(b, str):
        return bool(a == b)
    return bool(np.allclose(np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64), rtol=1e-6, atol=0.0))


#: Keys of `optimiser` that are no setting of a parameter group.
NOT_SETTINGS = ("kind", "clip", "source", "undecayed")


def is_undecayed(name: str, undecayed: Any, vectors: Set[str]) -> bool:
    """Whether the config takes a parameter out of the weight decay: `undecayed: vectors` (biases and gains of norms,
    which have one axis) or a list of globs.
    """
    if undecayed == "vectors":
        return name in vectors
    globs = [undecayed] if isinstance(undecayed, str) else list(undecayed or ())
    return any(fnmatchcase(name, glob) for glob in globs)


def decay_deviation(group: dict[str, Any], spec: dict[str, Any], vectors: Set[str]) -> str:
    """How a group's weight decay deviates: "" not at all, "vectors" where it only leaves out biases and gains of norms
    without a word of it in the config, else what is wrong.
    """
    got, need, undecayed = group["weight_decay"], spec["weight_decay"], spec.get("undecayed")
    out = [name for name in group["names"] if is_undecayed(name, undecayed, vectors)]
    rest = [name for name in group["names"] if name not in out]
    if out and got:
        return f"weight_decay={got} for {', '.join(out[:3])}, which the config takes out of it"
    if not rest or same(got, need):
        return ""
    if not got and undecayed is None and set(rest) <= vectors:
        return "vectors"
    return f"weight_decay={got} for {', '.join(rest[:3])}"


def decay_suspects(group: dict[str, Any], need: Any, deviation: str, kind: str) -> tuple[str, ...]:
    if "takes out of it" in deviation:
        return ("weight decay on biases and norms, which the paper leaves out",)
    if not group["weight_decay"]:
        return (
            "weight_decay of the paper not set: left at the library's default",
            "parameters are sorted into the wrong group (a name or a number of axes that does not match)",
        )
    if not need:
        adamw = ("AdamW, whose weight decay is 0.01 unless set, where the paper has Adam",) if kind == "adamw" else ()
        return (*adamw, "weight decay although the paper has none")
    return (f"weight_decay of the paper not set: it is {group['weight_decay']}",)


def held_twice(recording: Watched) -> bool:
    """Whether two optimisers of an update have a parameter in common."""
    names: dict[int, set[str]] = {}
    for _, step in recording.steps:
        names.setdefault(step.instance, set()).update(name for group in step.groups for name in group["names"])
    return sum(map(len, names.values())) > len(set().union(*names.values()))


def kind_of(step: Step) -> str:
    return {"adam": "adam", "adamw": "adamw", "sgd": "sgd"}.get(step.optimiser.lower(), step.optimiser.lower())


@check(phase="training", family="step", component="training")
def optimiser_declared(bench: Bench) -> list[Finding] | Finding:
    """The optimiser and the settings of its parameter groups (betas, eps, momentum, weight decay) are the paper's.

    Broken: a library default stands where the paper names a value.
    Likely: the setting was left at the library's default | Adam with L2 where the paper has AdamW, or the reverse |
    weight decay or momentum of the paper not set
    """
    spec = bench.paper.optimiser
    if not spec:
        return not_run("declare optimiser: {kind, betas, eps, weight_decay, momentum, clip, source}")
    recording = watched(bench)
    if not recording.steps:
        return not_run(HAND_WRITTEN)
    source = spec.get("source", "optimiser")
    if spec.get("weight_decay") and decay_in_gradient(bench, recording):
        spec = {**spec, "weight_decay": None}  # there already, see gradient_of_this_batch
    findings: list[Finding] = []
    for step in {s.instance: s for _, s in recording.steps}.values():
        findings += settings_faults(recording, spec, step, source)
    if any(f.blocks for f in findings):
        return findings
    step = recording.steps[0][1]
    return [passed(f"{step.optimiser} with the declared settings in {len(step.groups)} group(s)"), *findings]


def settings_faults(recording: Watched, spec: dict[str, Any], step: Step, source: str) -> list[Finding]:
    findings, location = [], recording.location
    kind, wanted_kind = kind_of(step), str(spec.get("kind", "")).lower()
    decay = float(spec.get("weight_decay") or 0.0)
    alike = {"adam", "adamw"}
    vectors = {name for name, dim in recording.dims.items() if dim < 2}
    undecayed = spec.get("undecayed")
    if wanted_kind and kind != wanted_kind and kind in STEPS and not ({kind, wanted_kind} == alike and not decay):
        findings.append(
            failed(
                f"the optimiser is {step.optimiser}, the paper's is {wanted_kind} ({source})",
                expected=wanted_kind,
                observed=step.optimiser,
                location=location,
                likely=(
                    "Adam with L2 regularisation where the paper has decoupled weight decay (AdamW)"
                    if {kind, wanted_kind} == alike
                    else f"another optimiser than the paper's: {step.optimiser} for {wanted_kind}",
                ),
                details={"declare": "optimiser.kind"},
            )
        )
    for name in (key for key in spec if key not in NOT_SETTINGS):
        if spec[name] is None:
            continue
        if not any(name in group for group in step.groups):
            findings.append(
                failed(
                    f"{step.optimiser} has no setting {name}, which the paper's config declares ({source})",
                    expected=f"{name}={spec[name]}",
                    observed=f"settings {', '.join(k for k in step.groups[0] if k not in ('names', 'lr'))}",
                    location=location,
                    likely=("another optimiser than the paper's", f"optimiser.{name} of the config is misspelt"),
                    details={"declare": f"optimiser.{name}"},
                )
            )
            continue
        for number, group in enumerate(step.groups):
            if name not in group:
                continue
            got, need = group[name], spec[name]
            if name == "weight_decay":
                deviation = decay_deviation(group, spec, vectors)
                if deviation == "vectors":
                    findings.append(
                        warned(
                            f"group {number} (biases and gains of norms) has no weight decay; the paper's is {need}",
                            expected=f"weight_decay={need}, or optimiser.undecayed: vectors where the paper says so",
                            observed="weight_decay=0 for " + ", ".join(group["names"][:3]),
                            location=location,
                        )
                    )
                elif deviation:
                    findings.append(
                        failed(
                            f"weight decay of group {number} deviates from the paper ({source})",
                            expected=f"weight_decay={need}" + (f", none of {undecayed}" if undecayed else ""),
                            observed=deviation,
                            threshold="1e-6 of the value: it is a setting, not a measurement",
                            location=location,
                            likely=decay_suspects(group, need, deviation, kind),
                            details={"declare": "optimiser.weight_decay"},
                        )
                    )
                    break
                continue
            if same(got, need):
                continue
            default = name in DEFAULTS and same(got, DEFAULTS[name])
            findings.append(
                failed(
                    f"{name} of {step.optimiser} deviates from the paper ({source})",
                    expected=f"{name}={need}",
                    observed=f"{name}={got}" + (" (the library's default)" if default else "") + f" in group {number}",
                    threshold="1e-6 of the value: it is a setting, not a measurement",
                    location=location,
                    likely=(
                        f"{name} of the paper not set: "
                        + ("left at the library's default" if default else f"it is {got}"),
                    ),
                    details={"declare": f"optimiser.{name}"},
                )
            )
            break
    return findings


# --- the closed form
# --------------------------------------------------------------------------------------------------


def tiny(bench: Bench) -> Watched:
    """Three updates whose gradient is about the size of eps, where the place of eps in the formula shows."""

    def make() -> Watched:
        first = watched(bench).updates[0]
        sizes = np.concatenate([np.abs(g) for g in first.fresh.values() if g is not None])
        typical = float(np.median(sizes[sizes > 0]))
        return watch(bench, updates=3, factor=10 * float(bench.paper.optimiser["eps"]) / typical)

    return kept(bench, "tiny", make)


@check(phase="training", family="step", component="training")
def one_step_closed_form(bench: Bench) -> Finding:
    """Parameters after each watched update are those of the declared optimiser's formula, from the gradient observed.

    Broken: the update rule differs: bias correction, order of eps, coupled weight decay, sign, momentum.
    Likely: Adam with L2 where the paper has AdamW, or the reverse | bias correction is missing or counts updates
    from 0 | the sign of the update is wrong | momentum or eps enters at another place of the formula
    """
    spec = bench.paper.optimiser
    kind = str(spec.get("kind", "")).lower()
    if kind not in STEPS:
        return not_run(
            "declare optimiser: {kind: adam|adamw|sgd, …}"
            if not kind
            else f"no oracle for optimiser.kind {kind!r} ({', '.join(STEPS)})"
        )
    recording = watched(bench)
    if any(len(update.steps) > 1 for update in recording.updates):
        return not_run("an update makes several optimiser steps; the closed form of the first one only is not enough")
    if not any(update.steps for update in recording.updates) and formula(bench.paper) is None:
        return not_run("a hand-written optimiser and no schedule.learning_rate: the rate of a step is not known")
    recordings = [recording]
    if (
        kind != "sgd"
        and spec.get("eps")
        and all(u.handed for u in recording.updates)
        and recording.updates[0].fresh_norm
    ):
        recordings.append(tiny(bench))
    for number, one in enumerate(recordings):
        wrong = compare_updates(bench, one, kind, epsilon_hat=False)
        if wrong and kind != "sgd" and not compare_updates(bench, one, kind, epsilon_hat=True):
            wrong = []
        if wrong:
            name, update, expected, observed, error = wrong[0]
            return failed(
                f"{name} after update {update} is not what {kind} makes of the gradient"
                + (" (gradient about the size of eps)" if number else "")
                + f"; {len(wrong)} parameter(s) differ",
                expected=f"change {expected:.9g} (float64 oracle of {kind}, repro/oracles/optimisers.py)",
                observed=f"change {observed:.9g}",
                threshold=f"{closed_form_limit(bench):.1e} of the largest change (half of the digits of {bench.dtype}),"
                f" plus rounding of the parameter; the largest difference is {error:.1e} of it",
                location=one.location,
                likely=step_pattern(bench, one, kind, number),
                details={"declare": "optimiser"},
            )
    return passed(f"{len(recording.updates)} updates follow {kind} in {len(recording.trainable)} parameters")


def closed_form_limit(bench: Bench) -> float:
    return tolerance(bench)


def observed_gradient(update: Update) -> dict[str, np.ndarray | None]:
    return update.steps[0].gradient if update.steps else update.left


def settings_of(spec: dict[str, Any], kind: str, group: dict[str, Any], lr: float) -> dict[str, Any]:
    """The declared settings of one group's step; a group without weight decay is the business of optimiser_declared."""
    decay = float(spec.get("weight_decay") or 0.0)
    if "weight_decay" in group and (spec.get("undecayed") or not group["weight_decay"]):
        decay = min(decay, float(group["weight_decay"]))
    if kind == "sgd":
        return {
            "lr": lr,
            "weight_decay": decay,
            "momentum": float(spec.get("momentum") or 0.0),
            "nesterov": bool(spec.get("nesterov", False)),
        }
    betas = spec.get("betas") or group.get("betas") or DEFAULTS["betas"]
    eps: Any = spec["eps"] if spec.get("eps") is not None else group.get("eps", DEFAULTS["eps"])
    return {"lr": lr, "weight_decay": decay, "betas": (float(betas[0]), float(betas[1])), "eps": float(eps)}


Difference = tuple[str, int, float, float, float]  # parameter, update, expected change, observed change, relative error


def compare_updates(bench: Bench, recording: Watched, kind: str, epsilon_hat: bool) -> list[Difference]:
    """Every parameter that leaves the formula, at its first such update."""
    spec, rate = bench.paper.optimiser, formula(bench.paper)
    states: dict[str, State] = {}
    wrong: dict[str, Difference] = {}
    for update in recording.updates:
        gradients = observed_gradient(update)
        groups: list[dict[str, Any]] = update.steps[0].groups if update.steps else [{"names": recording.trainable}]
        for group in groups:
            lr = float(group["lr"]) if "lr" in group else rate(update.number) if rate else 0.0
            settings = settings_of(spec, kind, group, lr)
            if epsilon_hat:
                settings["epsilon_hat"] = True
            for name in group["names"]:
                gradient = gradients.get(name)
                if gradient is None or name in wrong:
                    continue
                before, after = update.before[name], update.after[name]
                new, states[name] = STEPS[kind](before, gradient, states.get(name, {}), update.number, **settings)
                expected, observed = new - before, after - before
                scale = max(float(np.abs(expected).max()), float(np.abs(observed).max()))
                rounding = 8 * torch.finfo(bench.dtype).eps * float(np.abs(before).max())
                difference = np.abs(expected - observed)
                worst = int(difference.argmax())
                if difference[worst] > closed_form_limit(bench) * scale + rounding:
                    error = float(difference[worst]) / max(scale, 1e-300)
                    wrong[name] = (name, update.number, float(expected[worst]), float(observed[worst]), error)
    return sorted(wrong.values(), key=lambda d: (d[1], -d[4]))


def step_pattern(bench: Bench, recording: Watched, kind: str, tiny_pass: int) -> tuple[str, ...]:
    """Which other formula explains the observed updates."""
    spec = dict(bench.paper.optimiser)
    alternatives: list[tuple[str, str, dict[str, Any]]] = []
    if kind in ("adam", "adamw"):
        other = "adam" if kind == "adamw" else "adamw"
        name = "Adam with L2 where the paper has AdamW" if kind == "adamw" else "AdamW where the paper has Adam with L2"
        alternatives.append((name, other, spec))
        if spec.get("weight_decay"):
            alternatives.append(("weight decay of the paper not set", kind, {**spec, "weight_decay": 0.0}))
        alternatives.append(("eps left at the library's default", kind, {**spec, "eps": DEFAULTS["eps"]}))
        alternatives.append(("betas left at the library's default", kind, {**spec, "betas": DEFAULTS["betas"]}))
    else:
        alternatives.append(("momentum of the paper not set", kind, {**spec, "momentum": 0.0}))
        if spec.get("momentum"):
            nesterov = bool(spec.get("nesterov"))
            words = (
                "plain momentum where the paper has Nesterov's"
                if nesterov
                else "Nesterov's momentum where the paper has plain"
            )
            alternatives.append((words, kind, {**spec, "nesterov": not nesterov}))
        alternatives.append(("weight decay of the paper not set", kind, {**spec, "weight_decay": 0.0}))
    alternatives.append(("plain gradient descent instead of the paper's optimiser", "sgd", {"kind": "sgd"}))

    found = []
    for text, other, changed_spec in alternatives:
        altered = Bench(replace(bench.paper, optimiser=changed_spec), bench.dtype, bench.seed)
        if not compare_updates(altered, recording, other, epsilon_hat=False):
            found.append(text)
    if found:
        return tuple(found)
    if tiny_pass:
        return (
            "eps enters at another place of the formula, or has another value",
            "bias correction is missing",
        )
    return (
        "bias correction is missing or counts updates from 0",
        "the sign of the update is wrong",
        "weight decay is coupled where the paper decouples it (AdamW), or the reverse",
    )


# --- which tensors moved
# ----------------------------------------------------------------------------------------------


def with_gradient(gradients: Mapping[str, Any]) -> set[str]:
    """The parameters whose gradient is more than what rounding leaves where it is zero: a direction's along itself."""
    sizes = {name: float(np.abs(g).max(initial=0.0)) for name, g in gradients.items() if g is not None}
    # a zero computed as a difference keeps some roundings of its terms, which are no larger than other gradients
    negligible = 1000 * np.finfo(np.float64).eps * max(sizes.values(), default=0.0)
    return {name for name, size in sizes.items() if size > negligible}


def taken(update: Update) -> dict[str, Any]:
    """Of an update whose losses are several: the gradient of each parameter where its own optimiser takes it.

    What a later backward leaves, as the generator's does in the discriminator, is another's. An optimiser that finds
    nothing at all has lost its gradients: there, as without an optimiser, what the last backward left counts.
    """
    gradients: dict[str, Any] = {}
    for step in update.steps:
        moving = with_gradient(step.gradient)
        if moving:
            gradients |= {n: g for n, g in step.gradient.items() if n in moving or n not in gradients}
    return {**update.left, **gradients}


def without_gradient(recording: Watched) -> list[str]:
    """The parameters of an optimiser that steps, and of whose parameters none ever has a gradient."""
    held: dict[int, dict[str, bool]] = {}
    for _, step in recording.steps:
        moving = with_gradient(step.gradient)
        seen = held.setdefault(step.instance, {})
        seen.update({name: seen.get(name, False) or name in moving for name in step.gradient})
    return next((sorted(seen) for seen in held.values() if seen and not any(seen.values())), [])


@check(phase="training", family="step", component="training")
def all_parameters_updated(bench: Bench) -> Finding:
    """The optimiser holds every trainable parameter of this model; each with a gradient moves, frozen ones stay or
    follow: a frozen copy of trainable layers, a moving average or a target network, must move with them.

    Broken: the loss stays flat, part of the model never learns, or a copy keeps its first weights.
    Likely: the optimiser holds the parameters of another model object | parameters were created or replaced after
    the optimiser was built | part of the parameters was left out of the groups | the target network is never updated
    """
    recording = watched(bench)
    moved = {name for update in recording.updates for name in changed(update)}
    graded = {name for update in recording.updates for name in with_gradient(update.fresh or taken(update))}
    frozen_moved = sorted(moved & set(recording.frozen) - set(recording.following))
    if frozen_moved:
        return failed(
            f"{len(frozen_moved)} frozen parameters move in an update: {', '.join(frozen_moved[:3])}",
            expected="parameters with requires_grad=False stay",
            observed="they change",
            location=recording.location,
            likely=("weight decay or an average is applied to frozen parameters",),
        )
    held = {name for _, step in recording.steps for group in step.groups for name in group["names"]}
    strangers = max((step.strangers for _, step in recording.steps), default=0)
    if recording.steps:
        missing = sorted(set(recording.trainable) - held)
        if missing:
            everything = len(missing) == len(recording.trainable)
            return failed(
                ("none" if everything else f"{len(missing)}")
                + f" of {len(recording.trainable)} trainable parameters"
                + (" is" if everything else " are not")
                + " held by the optimiser"
                + ("" if everything else f": {', '.join(missing[:3])}"),
                expected="every trainable parameter of the model in a parameter group",
                observed=f"{len(held)} held, and {strangers} that belong to no module of this model",
                location=recording.location,
                likely=(
                    ("two optimisers hold the same parameters: one is built with another module's",)
                    if held_twice(recording)
                    else ("the optimiser holds the parameters of another model object",)
                    if strangers
                    else ("part of the parameters was left out of the groups",)
                )
                + ("parameters were created or replaced after the optimiser was built",),
            )
    stuck = sorted((graded & set(recording.trainable)) - moved)
    rates = [float(g["lr"]) for _, step in recording.steps for g in step.groups]
    if stuck:
        return failed(
            f"{len(stuck)} of {len(recording.trainable)} parameters have a gradient and do not move in"
            f" {len(recording.updates)} updates: {', '.join(stuck[:3])}",
            expected="every parameter with a gradient changes",
            observed=f"unchanged, bit for bit; learning rates {', '.join(f'{r:.3g}' for r in rates[:4]) or 'not seen'}",
            location=recording.location,
            likely=(
                ("the learning rate is 0",)
                if rates and not any(rates)
                else (
                    "the optimiser holds the parameters of another model object",
                    "gradients are cleared before the step",
                )
            ),
        )
    idle = without_gradient(recording)
    if idle:
        return failed(
            f"an optimiser finds no gradient in any of {len(recording.updates)} updates: it holds {idle[0]}"
            + (f" and {len(idle) - 1} more" if len(idle) > 1 else ""),
            expected="a gradient for what an optimiser holds, before its step",
            observed="None or zero for every one",
            location=recording.location,
            likely=(
                "made examples are detached (or made under no_grad) in the step that must train their maker",
                "gradients are cleared before the step",
                "the loss of another module is minimised",
            ),
        )
    first = changed(recording.updates[0])
    if rates and not first and graded:
        return failed(
            "the first update changes nothing",
            expected="a learning rate above 0 at update 1",
            observed=f"learning rate {rates[0]:g}",
            location=recording.location,
            likely=("warm-up off by one: the schedule counts updates from 0, so the first rate is 0",),
        )
    if recording.following:
        return copies_follow(bench, recording)
    return passed(
        f"{len(moved)} of {len(recording.trainable)} trainable parameters move,"
        f" {len(recording.frozen)} frozen ones stay"
    )


def copies_follow(bench: Bench, recording: Watched, seconds: float = 5.0) -> Finding:
    """The finding on frozen copies of trainable layers, moving averages and target networks: they must follow them.

    They may neither keep their first weights through a whole training, nor take more of the new weights than of their
    own in every update, which is no average. At most `seconds` are spent on updates that wait for a copy to move.
    """
    name, source = next(iter(recording.following.items()))
    fields: dict[str, Any] = {"location": recording.location}
    shares = [share_kept(update, recording.following) for update in recording.updates]
    known = [share for share in shares if share is not None]
    # an average that warms up keeps little at first and more in each update; a copy keeps nothing
    constant = len(known) == len(shares) > 1 and max(known) - min(known) < 1e-3
    if constant and 1e-3 < known[0] < 0.5:
        return failed(
            f"{name} keeps only {known[0]:.4g} of itself in an update and takes the rest from {source}",
            expected="an average that keeps most of itself, or a copy",
            observed=f"{known[0]:.4g} of its own, {1 - known[0]:.4g} of the new ones, in each of {len(known)} updates",
            threshold="a half",
            likely=("decay and 1 - decay are exchanged in the moving average", "the decay is that of another average"),
            **fields,
        )
    if any(set(changed(update)) & set(recording.following) for update in recording.updates):
        return passed(f"{len(recording.following)} frozen parameters follow those that they copy", **fields)
    return follows_later(bench, name, source, seconds, fields)


def share_kept(update: Update, following: Mapping[str, str]) -> float | None:
    """The d of: after = d · before + (1 - d) · source after. None where that does not hold, or nothing tells it."""
    before, after, source = (
        np.concatenate([np.asarray(values[name]) for name in names])
        for values, names in (
            (update.before, following),
            (update.after, following),
            (update.after, following.values()),
        )
    )
    away = before - source
    if not float(away @ away):
        return None
    kept_share = float((after - source) @ away / (away @ away))
    misfit = float(np.linalg.norm(after - source - kept_share * away))
    return kept_share if misfit <= 1e-6 * float(np.linalg.norm(away)) else None


def follows_later(bench: Bench, name: str, source: str, seconds: float, fields: dict[str, Any]) -> Finding:
    """The finding on copies that a few updates leave: they may be made anew after many."""
    wanted = int((bench.paper.settings.get("reproduction") or {}).get("updates") or 0)
    seed_all(bench.seed)
    model = bench.model()
    training = bench.training(model)
    parameters = named_parameters(bench.modules(model))
    first = {key: parameters[key].detach().clone() for key in (name, source)}
    start = time.perf_counter()
    with bench.precision():
        batches = [bench.synthetic(4, seed=bench.seed * 1000 + 700 + k) for k in range(8)]
        for made in range(wanted):
            if time.perf_counter() - start > seconds:
                return not_run(f"{name} stays in {made} updates, which are not all of a training: it may follow later")
            with persons_errors("training: update raised"):
                training.update(dict(batches[made % len(batches)]))
            if not torch.equal(parameters[name], first[name]):
                return passed(f"frozen copies follow: {name} moves in update {made + 1}", **fields)
    if not wanted or torch.equal(parameters[source], first[source]):
        return not_run(f"neither {name} nor {source} moves")
    return failed(
        f"{name} keeps its first weights through all {wanted} updates of a training",
        expected=f"the copy follows {source}: made anew now and then, or averaged in every update",
        observed="unchanged, bit for bit",
        threshold="bit for bit",
        likely=("the target network (or the moving average) is never updated", "it is updated from itself"),
        **fields,
    )


@check(phase="training", family="step", component="training")
def loss_falls(bench: Bench, *, updates: int = 20) -> Finding:
    """On one batch, repeated, the total falls below its start within a few updates (dropout off, train mode).

    Broken: the update climbs, or moves nothing that the loss depends on.
    Likely: the sign of the loss or of the update is wrong | the optimiser holds the parameters of another model
    object | the learning rate is 0 or far too high
    """
    seed_all(bench.seed)
    model, loss = bench.model(), bench.loss()
    if not isinstance(model, torch.nn.Module) or isinstance(loss, dict):
        return not_run("several modules or losses: which total should fall is not declared")
    training = bench.training(model, loss)
    batch = bench.synthetic(4)
    totals: list[float] = []
    with bench.precision(), NoDropout():
        for number in range(updates + 1):
            model.train()
            with torch.no_grad():
                totals.append(float(bench.terms(model, batch, loss)["total"]))
            if number and totals[-1] < totals[0] and number >= 3:
                break
            if number < updates:
                training.update(dict(batch))
    if min(totals[1:]) < totals[0]:
        return passed(f"total {totals[0]:.6g} → {min(totals):.6g} in {len(totals) - 1} updates of one batch")
    return failed(
        f"the total does not fall in {len(totals) - 1} updates of one batch",
        expected=f"below {totals[0]:.9g}",
        observed=f"lowest {min(totals[1:]):.9g}, last {totals[-1]:.9g}",
        threshold="any fall counts: no noise, the batch is the same and dropout is off",
        location=location_of(training.update),
    )


@check(phase="training", family="step", component="model")
def tied_after_update(bench: Bench) -> Finding:
    """Weights that start as copies of each other are one tensor: they are still equal after an update.

    Broken: tied weights were copied once instead of shared, and drift apart with the first update.
    Likely: weight tying lost: the weight is copied instead of shared | the model was moved or wrapped in a way that
    unties parameters
    """
    recording = watched(bench)
    seed_all(bench.seed)
    parameters = {
        n: p for n, p in named_parameters(bench.modules(bench.model())).items() if p.requires_grad and p.dim() > 1
    }
    twins = [
        (a, b)
        for i, a in enumerate(parameters)
        for b in list(parameters)[i + 1 :]
        if parameters[a].shape == parameters[b].shape
        and float(parameters[a].detach().std()) > 0
        and torch.equal(parameters[a], parameters[b])
    ]
    drifted = [
        pair
        for pair in twins
        if not np.array_equal(recording.updates[0].after[pair[0]], recording.updates[0].after[pair[1]])
    ]
    if not drifted:
        return passed("no two random weights start equal and drift apart")
    a, b = drifted[0]
    aliases = a.rsplit(".", 2)[-2:] == b.rsplit(".", 2)[-2:]  # layer 0 and layer 1: cloned, not meant to be tied
    text = f"{a} and {b} start equal and differ after one update"
    fields: dict[str, Any] = {
        "expected": "one tensor under two names (tied), or two independent draws",
        "observed": "two tensors with the same initial values",
        "location": recording.location,
    }
    if aliases:
        return warned(text + " (layers cloned with their initial weights?)", **fields)
    return failed(text, **fields)
