"""Same seed twice is identical; save → load into fresh objects → continue is identical to never having stopped."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch.optim.optimizer import register_optimizer_step_pre_hook

from repro.checks.registry import check, failed, not_run, passed
from repro.checks.watch import kept, named_parameters, seed_all
from repro.contract.bench import Bench, Tensors
from repro.contract.components import location_of, persons_errors, takes_model
from repro.errors import ComponentError
from repro.findings import Finding
from repro.training.checkpoint import packed, unpacked

EXAMPLES = 4  # of each real batch that updates are made with: the batches themselves are compared whole
BEFORE, AFTER = 3, 3  # updates before and after the save


@dataclass
class Trajectory:
    """What a few updates looked like: digests that are equal exactly if the tensors are, for all practical purposes."""

    start: dict[str, np.ndarray] = field(default_factory=dict)
    batches: list[dict[str, np.ndarray]] = field(default_factory=list)
    parameters: list[dict[str, np.ndarray]] = field(default_factory=list)
    rates: list[list[float]] = field(default_factory=list)
    saved: bytes = b""
    unsaved: str = ""  # what a checkpoint cannot hold, where there is such a thing


def digest(tensor: torch.Tensor) -> np.ndarray:
    """Shape, sum and up to 512 entries of a tensor, bit for bit."""
    flat = tensor.detach().reshape(-1)
    step = max(1, flat.numel() // 512)
    values = flat[::step].to(torch.float64)
    return np.array([*tensor.shape, float(flat.double().sum()), *values.tolist()])


def digests(parameters: Mapping[str, torch.Tensor]) -> dict[str, np.ndarray]:
    return {name: digest(p) for name, p in parameters.items()}


def equal(a: dict[str, np.ndarray], b: dict[str, np.ndarray]) -> list[str]:
    """Names whose digests differ (NaN equals NaN)."""
    return [n for n in a if n not in b or not np.array_equal(a[n], b[n], equal_nan=True)] + [n for n in b if n not in a]


def endless(data: Any, model: Any) -> Iterator[Tensors]:
    """The training stream as the harness reads it: one pass after the other."""
    acts = takes_model(data)
    while True:
        empty = True
        for batch in data.batches("train", model=model) if acts else data.batches("train"):
            empty = False
            yield batch
        if empty:
            return


class Session:
    """One training from a seed, or continued from saved bytes, in float32 with its dropout, as in a real run."""

    def __init__(self, bench: Bench, seed: int) -> None:
        seed_all(seed)
        self.bench = bench
        self.data = bench.data(fresh=True)
        self.model = bench.model(seed=seed, dtype=torch.float32)
        self.training = bench.training(self.model)
        self.parameters = named_parameters(bench.modules(self.model))
        self.buffers = {n: b for m in bench.modules(self.model).values() for n, b in m.named_buffers()}
        seed_all(seed)
        self.stream = endless(self.data, self.model)

    def run(self, updates: int, trajectory: Trajectory) -> None:
        rates: list[float] = []

        def read(optimiser: torch.optim.Optimizer, args: Any, kwargs: Any) -> None:
            rates.extend(float(group["lr"]) for group in optimiser.param_groups)

        handle = register_optimizer_step_pre_hook(read)
        try:
            for _ in range(updates):
                with persons_errors("data: batches('train') raised"):
                    batch = next(self.stream)
                trajectory.batches.append(digests({k: v for k, v in batch.items() if torch.is_tensor(v)}))
                rates.clear()
                with persons_errors("training: update raised"):
                    self.training.update(self.bench.take(batch, EXAMPLES))
                trajectory.rates.append(list(rates))
                trajectory.parameters.append(digests({**self.parameters, **self.buffers}))
        finally:
            handle.remove()

    def save(self) -> bytes:
        state: dict[str, Any] = {
            "model": {name: module.state_dict() for name, module in self.bench.modules(self.model).items()},
            "training": self.training.state_dict(),
            "torch": torch.get_rng_state(),
        }
        if has_state(self.data):
            state["data"] = self.data.state_dict()
        buffer = io.BytesIO()
        torch.save({part: packed(value, f"{part}.state_dict()") for part, value in state.items()}, buffer)
        return buffer.getvalue()

    def load(self, saved: bytes) -> None:
        state = unpacked(torch.load(io.BytesIO(saved), weights_only=True))
        for name, module in self.bench.modules(self.model).items():
            module.load_state_dict(state["model"][name])
        self.training.load_state_dict(state["training"])
        if "data" in state:
            self.data.load_state_dict(state["data"])
        torch.set_rng_state(state["torch"])


def has_state(thing: Any) -> bool:
    return callable(getattr(thing, "state_dict", None)) and callable(getattr(thing, "load_state_dict", None))


def unbroken(bench: Bench) -> Trajectory:
    """Six updates from the bench's seed, saved after the third."""

    def make() -> Trajectory:
        trajectory = Trajectory()
        session = Session(bench, bench.seed)
        trajectory.start = digests(session.parameters)
        session.run(BEFORE, trajectory)
        if has_state(session.training):
            try:
                trajectory.saved = session.save()
            except ComponentError as fault:
                trajectory.unsaved = fault.message
        session.run(AFTER, trajectory)
        return trajectory

    return kept(bench, "unbroken", make)


@check(phase="training", family="round trip", component="training")
def seeding(bench: Bench) -> Finding:
    """The same seed twice gives the same batches, initial weights and parameters after five updates, bit for bit.

    Broken: no run can be repeated, and every comparison of two settings is noise.
    Likely: a generator of its own is made without the seed (np.random.default_rng(), random.Random()) | the order
    of a set, dict of objects or directory listing enters | the seed is not passed on to the data
    """
    first = unbroken(bench)
    again = Trajectory()
    session = Session(bench, bench.seed)
    again.start = digests(session.parameters)
    threshold = "bit for bit: same seed, same machine, same number of threads"
    differing = equal(first.start, again.start)
    if differing:
        return failed(
            f"two models of one seed start differently: {', '.join(differing[:3])}",
            component="model",
            expected="identical initial weights",
            observed=f"{len(differing)} of {len(first.start)} parameters differ",
            threshold=threshold,
            location=location_of(session.model) if isinstance(session.model, torch.nn.Module) else "",
            likely=("initialisation draws from a generator that the seed does not reach",),
        )
    session.run(5, again)
    for number in range(5):
        differing = equal(first.batches[number], again.batches[number])
        if differing:
            return failed(
                f"batch {number + 1} of two runs of one seed differs in {', '.join(differing)}",
                component="data",
                expected="the same batches in the same order",
                observed=f"{len(differing)} tensors differ",
                threshold=threshold,
                location=location_of(session.data.batches),
                likely=(
                    "no seeding: the data shuffles with a generator that the seed does not reach",
                    "the order of a set or directory listing enters",
                ),
            )
        differing = equal(first.parameters[number], again.parameters[number])
        if differing:
            return failed(
                f"after update {number + 1} two runs of one seed differ in {len(differing)} parameters",
                expected="identical parameters from identical batches",
                observed=f"first {differing[0]}",
                threshold=threshold,
                location=location_of(session.training.update),
                likely=(
                    "no seeding: update, dropout or noise draws from a generator that the seed does not reach",
                    "a non-deterministic operation",
                ),
            )
    if seeds_itself(bench):
        return failed(
            "an update sets the global generator: what it draws is the same in every update and for every seed",
            expected="another state of PyTorch's generator after an update that began with another state",
            observed="the same state after one update from each of two seeds",
            threshold="bit for bit",
            location=location_of(session.training.update),
            likely=(
                "the generator is seeded anew in every update, so dropout and noise repeat",
                "torch.manual_seed stands in the loop instead of before it",
            ),
        )
    return passed("two runs of one seed agree bit for bit over 5 updates", threshold=threshold)


def seeds_itself(bench: Bench) -> bool:
    """Whether the state of the global generator after an update does not depend on its state before."""
    session = Session(bench, bench.seed)
    batch = bench.take(next(session.stream), EXAMPLES)
    after = []
    for seed in (101, 102):
        torch.manual_seed(seed)
        with persons_errors("training: update raised"):
            session.training.update(dict(batch))
        after.append(torch.get_rng_state())
    return torch.equal(*after)


@check(phase="training", family="round trip", component="training")
def resume(bench: Bench) -> Finding:
    """Saved after three updates and loaded into fresh objects, the next three updates are those of the unbroken run.

    Broken: the loss jumps after a restart, warm-up runs again, or batches are seen twice.
    Likely: the optimiser's state is not restored | the schedule's state (the step counter) is not restored | the
    position of the data is not restored
    """
    whole = unbroken(bench)
    session = Session(bench, bench.seed + 1)  # other weights and batches, so that nothing agrees unless it is loaded
    location = location_of(getattr(type(session.training), "load_state_dict", session.training.update))
    if not has_state(session.training):
        return failed(
            "training has no state_dict and load_state_dict, so a run cannot be resumed",
            expected="state_dict() with the optimiser's state and the step counter; load_state_dict(state)",
            observed=type(session.training).__name__,
            location=location_of(session.training.update),
        )
    if whole.unsaved:
        part = whole.unsaved.partition(".")[0]
        return failed(
            "a state_dict holds more than tensors, arrays and plain containers: a checkpoint cannot be loaded safely",
            component=part,
            expected="tensors, NumPy arrays, numbers, strings, and lists, tuples, sets or dicts of them",
            observed=whole.unsaved.splitlines()[0],
            location=location_of(session.model if part == "model" else getattr(session, part).state_dict),
            likely=(
                "a whole object (optimiser, scheduler, NumPy generator, deque) is put into state_dict instead of its "
                "state",
            ),
        )
    session.load(whole.saved)
    continued = Trajectory()
    session.stream = endless(session.data, session.model)
    session.run(AFTER, continued)
    threshold = "bit for bit: the generator's state is restored, so dropout repeats too"
    if not has_state(session.data):
        return not_run(
            "data has no state_dict and load_state_dict: its position cannot be saved",
            component="data",
        )
    for k in range(AFTER):
        n = BEFORE + k
        if equal(whole.batches[n], continued.batches[k]):
            return failed(
                f"update {n + 1}: the batch after save and load is another than without",
                component="data",
                expected="the training stream continues where it was saved",
                observed="tensors differ: " + ", ".join(equal(whole.batches[n], continued.batches[k])),
                threshold=threshold,
                location=location_of(session.data.load_state_dict),
                likely=(
                    "the position within the pass, or the order of the pass, is not restored",
                    "the generator's state is not saved",
                ),
            )
        if whole.rates[n] != continued.rates[k]:
            restart = continued.rates[k] == whole.rates[k]
            return failed(
                f"update {n + 1} has another learning rate after save and load than without",
                expected=f"{whole.rates[n][0]:.9g}",
                observed=f"{continued.rates[k][0]:.9g}"
                + (f", the rate of update {k + 1}: warm-up runs again" if restart else ""),
                threshold="equal",
                location=location,
                likely=(
                    "the schedule's state (the step counter) is not restored",
                    "load_state_dict is not called or ignored",
                ),
            )
        differing = equal(whole.parameters[n], continued.parameters[k])
        if differing:
            return failed(
                f"after update {n + 1}, {len(differing)} of {len(continued.parameters[k])} tensors"
                " differ from the unbroken run",
                expected="identical parameters: same weights, same batches, same learning rate, same random numbers",
                observed=f"first {differing[0]}",
                threshold=threshold,
                location=location,
                likely=(
                    "the optimiser's state (moments, momentum) is not restored",
                    "a running average or counter of training is missing in state_dict",
                ),
            )
    lost = not_taken_over(bench, whole.saved)
    if lost:
        return failed(
            f"load_state_dict does not take over {lost[0]}",
            expected="state_dict() right after load_state_dict(state) gives that state again",
            observed=f"{len(lost)} of its entries differ: {', '.join(lost[:4])}",
            threshold="equal",
            location=location,
            likely=(
                "the schedule's state (the step counter) is not restored",
                "a running average or counter of training is not restored",
            ),
        )
    lost = not_taken_over(bench, whole.saved, "data")
    if lost:
        return failed(
            f"load_state_dict of the data does not take over {lost[0]}",
            component="data",
            expected="state_dict() right after load_state_dict(state) gives that state again",
            observed=f"{len(lost)} of its entries differ: {', '.join(lost[:4])}",
            threshold="equal",
            location=location_of(session.data.load_state_dict),
            likely=(
                "the position within the pass, or within an episode, is not restored",
                "the generator's state is not restored",
            ),
        )
    return passed(f"saved after {BEFORE} updates and continued: {AFTER} identical updates", threshold=threshold)


def not_taken_over(bench: Bench, saved: bytes, component: str = "training") -> list[str]:
    """Entries of the state of training or data that a fresh one loads and then does not give back.

    A step counter may first show where a schedule drops the rate, far beyond a few watched updates.
    """
    session = Session(bench, bench.seed + 1)
    session.load(saved)
    state = unpacked(torch.load(io.BytesIO(saved), weights_only=True)[component])
    return different(state, getattr(session, component).state_dict(), "")


def different(a: Any, b: Any, path: str) -> list[str]:
    """Paths at which two states differ, numbers and tensors compared by value (NaN equals NaN)."""
    if isinstance(a, Mapping) and isinstance(b, Mapping):
        keys = [*a, *(key for key in b if key not in a)]
        found = [different(a.get(key), b.get(key), f"{path}.{key}" if path else str(key)) for key in keys]
        return [place for places in found for place in places]
    if isinstance(a, (list, tuple)) and isinstance(b, (list, tuple)) and len(a) == len(b):
        return [place for i, (x, y) in enumerate(zip(a, b, strict=True)) for place in different(x, y, f"{path}[{i}]")]
    if isinstance(a, np.ndarray) or isinstance(b, np.ndarray):
        same = np.array_equal(a, b, equal_nan=np.asarray(a).dtype.kind in "fc")
    elif torch.is_tensor(a) and torch.is_tensor(b):
        same = a.shape == b.shape and bool(torch.equal(torch.nan_to_num(a), torch.nan_to_num(b.to(a))))
    else:
        same = bool(a == b) or (isinstance(a, float) and isinstance(b, float) and a != a and b != b)
    return [] if same else [path]
