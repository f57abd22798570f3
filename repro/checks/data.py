"""Data checks: declared tensors in every split, no leakage, order, shift, end markers, pairs that stay so, resuming."""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Mapping
from itertools import islice, pairwise
from typing import Any

import torch
from torch import Tensor

from repro.checks.inputs import component_location, forward_inputs, index_size, known_sizes, loss_inputs, split_masks
from repro.checks.modules import near
from repro.checks.passes import SECONDS, SPLITS, Pass, continues, needs_acting, passes, passes_of_seed, stream
from repro.checks.registry import CHECKS, check, failed, not_run, passed, warned
from repro.checks.stored import changed_in_place
from repro.contract.bench import Bench
from repro.contract.declarations import TensorDeclaration
from repro.findings import Finding

BATCHES = 20  # of each split, for what must hold in every batch
ACTING = "the data come from acting: two passes are two experiences"


@check(phase="data", family="declaration", component="data")
def declared_tensors(bench: Bench) -> list[Finding]:
    """Decides whether every batch, made up or real, holds the declared tensors: axes, dtype, range, padding at the end.

    Broken: a tensor missing or not declared, sizes of one axis that disagree, an index outside its table, padding
    inside.
    Likely: padding on the wrong side | an index beyond the vocabulary | labels counted from 1 | float where integers
    are needed
    """
    findings = []
    synthetic = [bench.synthetic(n, seed) for n, seed in ((1, 0), (4, 1))]
    findings.append(judge_batches(bench, "synthetic", synthetic))
    for split in SPLITS:
        batches = [dict(batch) for batch in islice(stream(bench, bench.data(fresh=True), split), BATCHES)]
        if not batches:
            findings.append(
                failed(
                    f"batches({split!r}) yields nothing",
                    expected="at least one batch",
                    observed="none",
                    threshold="exact",
                    location=component_location(bench, "data"),
                )
            )
        else:
            findings.append(judge_batches(bench, split, batches))
    return findings


def judge_batches(bench: Bench, origin: str, batches: list[dict[str, Tensor]]) -> Finding:
    faults: dict[str, str] = {}
    for batch in batches:
        for name, fault in faults_of(bench, batch):
            faults.setdefault(f"{name}: {fault.split(':')[0]}", f"{name}: {fault}")
    shapes = ", ".join(f"{n} {list(v.shape)}" for n, v in batches[0].items() if isinstance(v, Tensor))
    names = sorted({text.split(":")[0] for text in faults.values()})
    fields: dict[str, Any] = {
        "component": names[0] if len(names) == 1 and names[0] in bench.paper.tensors else "data",
        "expected": "tensors as declared",
        "threshold": "exact",
        "location": component_location(bench, "data"),
    }
    if not faults:
        return passed(f"{origin}: {len(batches)} batches as declared", observed=shapes, **fields)
    if all(": shape" in key for key in faults):
        lost = "an axis lost or gained in a reduction, an index or a squeeze (keepdim=True keeps it)"
        fields["likely"] = (lost, "the axes stand in another order than declared")
    elif all(": not declared" in key for key in faults):
        fields["likely"] = ("a tensor that the config does not declare yet", "a name misspelt in the batch")
    elif all(": dtype" in key for key in faults):
        fields["likely"] = ("whole numbers where floats are declared, or the reverse", "NumPy's float64 kept")
    return failed(f"{origin}: {'; '.join(list(faults.values())[:4])}", observed=shapes, **fields)


def faults_of(bench: Bench, batch: Mapping[str, Any]) -> list[tuple[str, str]]:
    """(tensor, fault) of one batch against the declarations."""
    declared = bench.paper.tensors
    faults = []
    for name in batch:
        if name not in declared:
            faults.append((name, f"not declared under `tensors:`. {near(name, declared)}".strip()))
    for name, declaration in declared.items():
        needed = declaration.output_of is None and not declaration.optional and declaration.random is None
        if needed and name not in batch:
            faults.append((name, "declared, but missing from the batch"))
    sizes: dict[str, int] = {}
    config = known_sizes(bench)
    for name, value in batch.items():
        if name not in declared:
            continue
        if not isinstance(value, Tensor):
            faults.append((name, f"a {type(value).__name__}, need a tensor"))
            continue
        faults += [(name, fault) for fault in tensor_faults(bench, declared[name], value, sizes, config)]
    return faults


def tensor_faults(
    bench: Bench, declaration: TensorDeclaration, value: Tensor, sizes: dict[str, int], config: Mapping[str, int]
) -> list[str]:
    if value.dim() != len(declaration.axes):
        return [f"shape: {list(value.shape)}, declared {list(declaration.axes)}"]
    faults = []
    for axis, size in zip(declaration.axes, value.shape, strict=True):
        need = axis if isinstance(axis, int) else sizes.setdefault(axis, size)
        if size != need:
            faults.append(f"axis {axis}: size {size}, elsewhere {need}")
    kind = str(value.dtype).removeprefix("torch.")
    if declaration.is_floating != value.is_floating_point() or (
        not declaration.is_floating and kind != declaration.dtype
    ):
        faults.append(f"dtype: {kind}, declared {declaration.dtype}")
    if value.is_floating_point() and not bool(value.isfinite().all()):
        faults.append("values: NaN or infinite")
    if value.numel() == 0:
        # a list of edges may be empty; a batch, a size of the config, or a row that padding could fill may not
        filled = declaration.padding is not None or "batch" in declaration.axes
        if filled or any(axis in config for axis, size in zip(declaration.axes, value.shape, strict=True) if size == 0):
            faults.append(f"shape: empty {list(value.shape)}")
        return faults
    low, high = float(value.min()), float(value.max())
    if declaration.indexes is not None and not declaration.is_floating:
        limit = index_size(declaration, {**config, **sizes})
        allowed_low = min(0, int(declaration.padding)) if declaration.padding is not None else 0
        if low < allowed_low or (limit is not None and high >= limit):
            faults.append(f"indexes: {low:.0f} … {high:.0f}, outside the {limit} of {declaration.indexes}")
    if declaration.range is not None and (low < declaration.range[0] or high > declaration.range[1]):
        faults.append(f"range: {low:.4g} … {high:.4g}, declared {declaration.range[0]} … {declaration.range[1]}")
    if ends_with_padding(declaration) and value.dim() == 2:
        real = value.ne(float(declaration.padding or 0))
        inside = bool((real[:, 1:] & ~real[:, :-1]).any())
        if inside:
            faults.append("padding: stands before real values, need it at the end only")
        if not bool(real.any(dim=1).all()):
            faults.append("padding: a whole row is padding")
    return faults


def ends_with_padding(declaration: TensorDeclaration) -> bool:
    """Whether rows are filled up with padding at their end. A negative one, such as -100, marks what does not count,
    wherever that stands.
    """
    return declaration.padding is not None and declaration.padding >= 0 and declaration.axes[0] == "batch"


def has_batch_axis(bench: Bench) -> bool:
    return any("batch" in declared.axes for declared in bench.paper.tensors.values())


@check(phase="data", family="data", component="data")
def splits_disjoint(bench: Bench) -> list[Finding]:
    """Decides whether validation and test hold examples of the training set.

    Broken: more exact copies than the training set has of its own examples.
    Likely: validation indices overlap the training ones | split made after augmentation or oversampling | the same file
    read for two splits
    """
    if needs_acting(bench):
        return [not_run(ACTING)]
    if split_masks(bench):
        return [masks_disjoint(bench)]
    splits = bench.paper.settings.get("splits") or {}
    if splits.get("by") == "none":
        return [not_run(f"the config declares that nothing is held out (splits): {splits['reason']}")]
    train = passes(bench, "train")[0]
    counts = Counter(train.examples)
    repeated = sum(n for n in counts.values() if n > 1)
    own = repeated / max(1, len(train.examples))
    findings = []
    held: dict[str, set[Any]] = {}
    for split in ("validation", "test"):
        other = passes(bench, split)[0]
        held[split] = set(other.examples)
        findings.append(
            judge_overlap(bench, f"{split} and train", other.examples, set(counts), own, other.said, train.said)
        )
    findings.append(
        judge_overlap(bench, "test and validation", passes(bench, "test")[0].examples, held["validation"], own, "", "")
    )
    return findings


def masks_disjoint(bench: Bench) -> Finding:
    """The finding on splits that are masks over the places of one axis: no place may stand in two of them."""
    names = split_masks(bench)
    for split in SPLITS:
        for batch in islice(stream(bench, bench.data(fresh=True), split), BATCHES):
            masks = [name for name in names if isinstance(batch.get(name), Tensor)]
            for place, one in enumerate(masks):
                for other in masks[place + 1 :]:
                    shared = int((batch[one].bool() & batch[other].bool()).sum())
                    if shared:
                        return failed(
                            f"{one} and {other} overlap: {shared} places are in both",
                            expected="no place in two of the masks that the config names under splits",
                            observed=f"{shared} of {int(batch[one].sum())} places of {one}",
                            threshold="none",
                            location=component_location(bench, "data"),
                        )
            missing = [name for name in names if name not in masks]
            if missing:
                return failed(
                    f"the batches of {split} hold no {', '.join(missing)}",
                    expected=f"the masks {', '.join(names)} in every batch (splits.tensors)",
                    observed=", ".join(batch),
                    threshold="exact",
                    location=component_location(bench, "data"),
                )
    return passed(f"{', '.join(names)} share no place", threshold="none")


def judge_overlap(
    bench: Bench, pair: str, examples: list[Any], others: set[Any], own: float, said: str, said_train: str
) -> Finding:
    shared = sum(example in others for example in examples)
    n = max(1, len(examples))
    # If splits were drawn at random, a held-out example has a copy in train as often as a training example has one.
    limit = own + 5 * math.sqrt(max(own * (1 - own), 1 / n) / n)
    fields: dict[str, Any] = {
        "expected": f"{pair} share no example, beyond the {own:.2%} of exact copies inside train",
        "observed": f"{shared} of {n} are shared" + (f" ({said}; train {said_train})" if said else ""),
        "threshold": f"{limit:.2%}: the share of copies inside train plus 5 standard errors",
        "location": component_location(bench, "data"),
    }
    if shared == 0:
        return passed(f"{pair} share nothing", **fields)
    if shared / n <= limit and own > 0:
        return warned(f"{pair} share {shared} exact copies, as common as copies inside train", **fields)
    if shared == n:
        nothing = "the paper holds nothing out: then declare splits: {by: none, reason: …}"
        fields["likely"] = (
            "the same file read for two splits, or both drawn with one seed",
            *CHECKS["splits_disjoint"].likely[:1],
            nothing,
        )
    return failed(f"{pair} overlap: {shared} of {n} examples", **fields)


@check(phase="data", family="round trip", component="data")
def validation_repeats(bench: Bench) -> list[Finding]:
    """Decides whether validation and test give the same examples in the same order each time.

    Broken: two passes differ.
    Likely: augmentation active on the validation split | validation shuffled | stored data changed in place by a pass
    """
    if needs_acting(bench):
        return [not_run(ACTING)]
    findings = []
    for split in ("validation", "test"):
        first, second = passes(bench, split, 2)
        fields: dict[str, Any] = {
            "expected": f"two passes over {split} are equal",
            "threshold": "exact",
            "location": component_location(bench, "data"),
        }
        if first.complete and second.complete and len(first.examples) != len(second.examples):
            findings.append(
                failed(
                    f"two passes over {split} differ in length",
                    observed=f"{len(first.examples)}, then {len(second.examples)} examples",
                    likely=("an iterator that is exhausted after one pass", "stored data changed in place by a pass"),
                    **fields,
                )
            )
            continue
        different = sum(a != b for a, b in zip(first.examples, second.examples, strict=False))
        if not different:
            findings.append(passed(f"{split} repeats: {first.said}", observed="no difference", **fields))
            continue
        shuffled = Counter(first.examples) == Counter(second.examples)
        likely = (
            ("validation shuffled",)
            if shuffled
            else ("augmentation active on the validation split", "stored data changed in place by a pass")
        )
        findings.append(
            failed(
                f"{split} gives other {'order' if shuffled else 'examples'} in a second pass",
                observed=f"{different} of {len(first.examples)} examples differ",
                likely=likely,
                **fields,
            )
        )
    return findings


@check(phase="data", family="data", component="data")
def train_shuffled(bench: Bench, *, order: str = "shuffled", source: str = "") -> Finding:
    """Decides whether training sees its examples in the declared order: another one each pass, unless `order` is fixed.

    A fixed order is the same in every pass, and not sorted by the target.
    Broken: two passes in the same order; of a declared fixed order, passes that differ or come class by class.
    Likely: training loader not shuffled on sorted labels (shuffle=False) | the generator is seeded anew at each pass
    """
    if needs_acting(bench):
        return not_run(ACTING)
    first, second = passes(bench, "train", 2)
    n = min(len(first.examples), len(second.examples))
    by = f" ({source})" if source else ""
    fields: dict[str, Any] = {
        "expected": f"two training passes in {'one fixed order' if order == 'fixed' else 'different orders'}{by}",
        "threshold": "half of the places: random orders of n examples agree in about one place",
        "location": component_location(bench, "data"),
    }
    if n < 10 or len(set(first.examples)) < 10:
        return not_run(f"the training set has {n} examples: too few to see an order")
    if first.batches == 1 and first.complete:
        return not_run(f"one batch holds all {n} examples: an update sees no order")
    changing = {p.options.get("tensor") for p in bench.paper.properties if p.name == "augmented"} & set(first.names)
    if changing:
        return order_of_the_rest(first, second, [x for x in first.names if x not in changing], order, fields)
    same = sum(a == b for a, b in zip(first.examples, second.examples, strict=False))
    fields["observed"] = f"{same} of {n} examples stand at the same place"
    if order == "fixed":
        return fixed_order(bench, first, same, n, fields)
    if same > n / 2 and continues(bench):
        text = f"each batch goes on where the one before it ends: streams are read in order ({first.said})"
        return passed(text, **fields)
    if same <= n / 2:
        return passed(f"training is shuffled anew each pass ({first.said})", **fields)
    inputs = forward_inputs(bench, {name: torch.empty(0) for name in first.names})
    copied = [
        f"{y} equals {x}: targets are not shifted, so the streams of the two do not go on"
        for x in inputs
        for y in loss_inputs(bench)
        if y in first.names and y not in inputs and not bench.paper.tensors[y].is_floating
        if first.column(x) == first.column(y)
    ]
    return failed(
        "two training passes have the same order", likely=(*copied, *CHECKS["train_shuffled"].likely), **fields
    )


def order_of_the_rest(first: Pass, second: Pass, names: list[str], order: str, fields: dict[str, Any]) -> Finding:
    """The finding where augmentation makes every example another one: the order is seen in what stays, the targets."""
    if not names or order == "fixed":
        return not_run("every tensor of an example is augmented, or the order is declared fixed: it cannot be seen")
    rows = [list(zip(*(read.column(name) for name in names), strict=True)) for read in (first, second)]
    n = min(map(len, rows))
    same = sum(a == b for a, b in zip(*rows, strict=False))
    chance = sum((count / len(rows[0])) ** 2 for count in Counter(rows[0]).values())  # of two random orders
    if chance > 0.9:
        return not_run(f"{', '.join(names)} are nearly all alike, so the order of augmented examples cannot be seen")
    fields |= {
        "observed": f"{', '.join(names)} agree at {same} of {n} places, in random orders at {chance:.0%}",
        "threshold": "half way between random orders and one order",
    }
    if same / n <= (1 + chance) / 2:
        return passed(f"training is shuffled anew each pass ({first.said})", **fields)
    likely = (
        "training loader not shuffled (shuffle=False)",
        "inputs shuffled without the labels, which keep their order",
    )
    return failed("two training passes have the same order", likely=likely, **fields)


def fixed_order(bench: Bench, read: Pass, same: int, n: int, fields: dict[str, Any]) -> Finding:
    """The finding on a declared fixed order, of which `same` of `n` places agree between two passes."""
    if same < n:
        changed = changed_in_place(bench)
        stored = (f"in-place op changes the stored data ({changed})",) if changed else ()
        fields |= {"threshold": "exact", "likely": (*stored, "the loader shuffles, where a fixed order is declared")}
        return failed("two training passes differ in a declared fixed order", **fields)
    inputs = forward_inputs(bench, {name: torch.empty(0) for name in read.names})
    for name in read.names:
        column = read.column(name)
        counts = Counter(column)
        if name in inputs or len(counts) > n / 10 or len(counts) < 2:
            continue
        neighbours = sum(a == b for a, b in pairwise(column)) / (n - 1)
        mixed = sum((count / n) ** 2 for count in counts.values())  # of a random order
        if neighbours > (mixed + 1) / 2:
            fields |= {
                "observed": f"{neighbours:.0%} of neighbours share their {name}, in a random order {mixed:.0%} would",
                "threshold": "half way between a random and a sorted order",
            }
            return failed(f"training comes sorted by {name}", **fields)
    return passed(f"training keeps one fixed order, as declared ({read.said})", **fields)


@check(phase="data", family="data", component="data")
def train_examples_repeat(bench: Bench) -> Finding:
    """Decides whether a second training pass holds the same examples as the first.

    Broken: examples that change from pass to pass although no augmentation is declared.
    Likely: in-place op changes the stored data set | examples dropped or doubled at the end of a pass | inputs shuffled
    without the labels
    """
    if needs_acting(bench):
        return not_run(ACTING)
    if any(p.name == "augmented" for p in bench.paper.properties):
        return not_run("training is declared augmented: its examples change by design")
    first, second = passes(bench, "train", 2)
    if not (first.complete and second.complete):
        return not_run(f"a pass takes longer than this check may read ({first.said})")
    a, b = Counter(first.examples), Counter(second.examples)
    lost, new = sum((a - b).values()), sum((b - a).values())
    fields: dict[str, Any] = {
        "expected": "two training passes hold the same examples",
        "observed": f"{lost} of {len(first.examples)} missing in the second pass, {new} new",
        "threshold": "exact",
        "location": component_location(bench, "data"),
    }
    if not lost and not new:
        return passed(f"two training passes hold the same {len(first.examples):,} examples", **fields)
    broken = [name for name in first.names if Counter(first.column(name)) != Counter(second.column(name))]
    if not broken:
        return failed(
            "examples are paired anew in a second pass", **{**fields, "likely": ("inputs shuffled without the labels",)}
        )
    if changed := changed_in_place(bench):
        stored = f"in-place op changes the stored data set ({changed})"
        return failed(
            f"{', '.join(broken)} change from one training pass to the next", **{**fields, "likely": (stored,)}
        )
    if lost == new:  # augmented, masked anew, cut at random places, drawn for each batch: all usual
        declare = f"declare {{property: augmented, tensor: {broken[0]}}} if so meant"
        return warned(f"{', '.join(broken)} change from pass to pass: {declare}", **fields)
    if len(second.examples) < len(first.examples) and lost <= len(first.examples) / max(1, first.batches):
        return warned("the last, smaller batch comes in one pass and not in the other", **fields)
    return failed(
        "training passes differ in their examples",
        **{
            **fields,
            "likely": ("examples dropped or doubled at the end of a pass", "in-place op changes the stored data set"),
        },
    )


@check(phase="data", family="data", component="data")
def pairs_stay_pairs(bench: Bench) -> list[Finding]:
    """Decides whether inputs keep their targets when the order changes: over two passes and another seed.

    Broken: the same input comes with another target.
    Likely: inputs shuffled without the labels | labels permuted once at loading with a random seed | an index shared by
    two differently sorted lists
    """
    if needs_acting(bench):
        return [not_run(ACTING)]
    first, second = passes(bench, "train", 2)
    other = passes_of_seed(bench, "train", 1)
    inputs = [n for n in forward_inputs(bench, {n: torch.empty(0) for n in first.names})]
    targets = [n for n in loss_inputs(bench) if n in first.names and n not in inputs]
    shifts = {(p.options.get("input"), p.options.get("output")) for p in bench.paper.properties if p.name == "shifted"}
    pairs = [(i, t) for i in inputs for t in targets if (i, t) not in shifts] + [
        (a, b) for a in inputs for b in inputs if a < b and any(b == i for i, _ in shifts)
    ]
    if not pairs:
        return [not_run("no batch tensor goes to the model and another to the loss")]
    findings = []
    for x, y in pairs:
        known: dict[bytes, set[bytes]] = {}
        for a, b in zip(first.column(x), first.column(y), strict=True):
            known.setdefault(a, set()).add(b)
        common = wrong = 0
        for later in (second, other):
            if x not in later.names or y not in later.names:
                continue
            for a, b in zip(later.column(x), later.column(y), strict=True):
                if a in known:
                    common += 1
                    wrong += b not in known[a]
        ambiguous = sum(len(found) > 1 for found in known.values()) / max(1, len(known))
        fields: dict[str, Any] = {
            "expected": f"each {x} keeps its {y} in a second pass and under another seed",
            "observed": f"{wrong} of {common} come with another {y}",
            "threshold": f"{ambiguous:.2%} of inputs have several targets by themselves, plus 5 standard errors",
            "location": component_location(bench, "data"),
        }
        limit = (
            ambiguous + 5 * math.sqrt(max(ambiguous, 1 / max(1, common)) / max(1, common))
            if ambiguous or not first.complete
            else 0.0
        )
        if drawn_anew(first, second, x) and drawn_anew(first, second, y):
            # two examples that are drawn may share their input, as hidden words do: only a share near chance tells
            alike = sum((n / len(first.examples)) ** 2 for n in Counter(first.column(y)).values())
            limit = max(limit, (1 - alike) / 2)
            fields["threshold"] = (
                f"{limit:.2%}: half of what random pairs give, for {x} and {y} are drawn anew each pass"
            )
        if moved := moved_alone(bench, x, y):
            findings.append(
                failed(
                    f"{x} is turned without its {y}",
                    **{
                        **fields,
                        "expected": f"{y} is flipped or turned as its {x} is",
                        "observed": moved,
                        "threshold": "none: the same values in another order",
                        "likely": (f"augmentation of {x} that leaves {y} as it is", *CHECKS["pairs_stay_pairs"].likely),
                    },
                )
            )
        elif common == 0:
            findings.append(not_run(f"no {x} comes twice (augmented, or drawn anew)"))
        elif wrong / common <= limit:
            findings.append(passed(f"{x} and {y} stay paired", **fields))
        else:
            findings.append(failed(f"{x} and {y} do not stay paired", **fields))
    return findings


def moved_alone(bench: Bench, x: str, y: str) -> str:
    """How an input comes flipped or turned in a second pass while its target of the same axes stays, "" if it does not.

    Examples are told by their target, if no other has it. Only what moves values exactly is seen, no noise.
    """
    declared, other = bench.paper.tensors[x], bench.paper.tensors[y]
    shared = [axis for axis in declared.axes if axis in other.axes and axis != "batch"]
    if len(shared) < 2 or "batch" not in declared.axes or "batch" not in other.axes:
        return ""
    data = bench.data(fresh=True)
    first, second = (by_target(bench, data, x, y) for _ in range(2))
    where, there = ([axes.index(axis) - 1 for axis in shared] for axes in (declared.axes, other.axes))
    seen: Counter[str] = Counter()
    for key in first.keys() & second.keys():
        (a, target), (b, _) = first[key], second[key]
        if torch.equal(a, b):
            continue
        for axis, place, at in zip(shared, where, there, strict=True):
            if torch.equal(a.flip(place), b) and not torch.equal(target.flip(at), target):
                seen[f"flipped along {axis}"] += 1
        if a.shape[where[0]] == a.shape[where[1]]:
            for turns in (1, 2, 3):
                if torch.equal(torch.rot90(a, turns, where[:2]), b) and not torch.equal(
                    torch.rot90(target, turns, there[:2]), target
                ):
                    seen[f"turned by {90 * turns}°"] += 1
    return "; ".join(f"{count} of {len(first)} {x} {how}, {y} unchanged" for how, count in seen.items())


def by_target(bench: Bench, data: Any, x: str, y: str, enough: int = 500) -> dict[bytes, tuple[Tensor, Tensor]]:
    """(input, target) of the examples of a training pass, as far as `enough`, whose target is no other's."""
    found: dict[bytes, tuple[Tensor, Tensor]] = {}
    counts: Counter[bytes] = Counter()
    for batch in stream(bench, data, "train"):
        if x not in batch or y not in batch or counts.total() >= enough:
            break
        inputs = batch[x].movedim(bench.paper.tensors[x].axes.index("batch"), 0)
        targets = batch[y].movedim(bench.paper.tensors[y].axes.index("batch"), 0)
        for a, b in zip(inputs, targets, strict=False):
            key = b.contiguous().cpu().numpy().tobytes()
            counts[key] += 1
            found[key] = (a.clone(), b.clone())
    return {key: pair for key, pair in found.items() if counts[key] == 1}


def drawn_anew(first: Pass, second: Pass, name: str) -> bool:
    """Whether a tensor has other values in the second pass, not only another order."""
    return Counter(first.column(name)) != Counter(second.column(name))


@check(phase="data", family="round trip", component="data")
def stream_resumes(bench: Bench) -> Finding:
    """Decides whether the training stream continues after load_state_dict with the batch it would have given.

    Broken: a fresh object with the saved state gives another next batch.
    Likely: the position in the pass is not saved | the order of the pass is drawn anew after loading | the generator's
    state is not saved
    """
    data = bench.data(fresh=True)
    if not callable(getattr(data, "state_dict", None)) or not callable(getattr(data, "load_state_dict", None)):
        return not_run("give data state_dict() and load_state_dict() to get it: a killed run resumes where it stood")
    if needs_acting(bench):
        return not_run(ACTING)
    expected, ours = resumed(bench, data, bench.seed + 1)  # another seed: everything must come from the state
    fields: dict[str, Any] = {
        "expected": "batches 4 and 5 after state_dict() and load_state_dict() into a fresh object",
        "threshold": "exact",
        "location": component_location(bench, "data"),
    }
    if not expected:
        return not_run("the training set has 3 batches or fewer")
    if same_batches(expected, ours):
        return passed("the training stream resumes at the right batch", observed="equal", **fields)
    # an order made of seed and pass needs no saved generator: a run resumes with its own seed
    if not same_batches(*resumed(bench, bench.data(fresh=True), bench.seed)):
        if changed := changed_in_place(bench):
            fields["likely"] = (f"in-place op changes the stored data ({changed})", *CHECKS["stream_resumes"].likely)
        return failed("the training stream resumes somewhere else", observed="other batches", **fields)
    again = bench.data(fresh=True)  # in the second pass a generator shows that has moved on and was not saved
    started = time.perf_counter()
    for _ in stream(bench, again, "train"):
        if time.perf_counter() - started > SECONDS:
            return not_run(f"a pass takes longer than {SECONDS:g} s, and its order may come from the seed alone")
    if same_batches(*resumed(bench, again, bench.seed)):
        return passed(
            "the training stream resumes at the right batch, in an order that the seed gives",
            observed="equal",
            **fields,
        )
    return failed("the training stream resumes somewhere else", observed="other batches", **fields)


def resumed(bench: Bench, data: Any, seed: int) -> tuple[list[dict[str, Tensor]], list[dict[str, Tensor]]]:
    """(batches 4 and 5 of the stream, what a fresh object of this seed gives after loading the state before them)."""
    reading = stream(bench, data, "train")
    for _ in islice(reading, 3):
        pass
    state = data.state_dict()
    expected = [dict(batch) for batch in islice(reading, 2)]
    other = bench.paper.build_data(seed)
    other.load_state_dict(state)
    return expected, [dict(batch) for batch in islice(stream(bench, other, "train"), 2)]


def same_batches(ours: list[dict[str, Tensor]], others: list[dict[str, Tensor]]) -> bool:
    return len(ours) == len(others) and all(
        a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a) for a, b in zip(ours, others, strict=True)
    )


@check(phase="data", family="data", component="data")
def shifted(bench: Bench, *, input: str = "", output: str = "", source: str = "") -> list[Finding]:
    """Decides whether the output sequence is the input shifted by one: position t must predict what t + 1 is given.

    Broken: the two are equal, or shifted by another amount.
    Likely: teacher forcing without the shift (input and target are the same) | language-model window without the shift
    | shifted twice | the target is cut at the wrong end
    """
    if not input or not output:
        return [not_run("declare {property: shifted, input: target_input, output: target_output} to get it")]
    findings = []
    for origin in ("synthetic", *SPLITS):
        if origin == "synthetic":
            batches = [bench.synthetic(8)]
        else:
            batches = [dict(b) for b in islice(stream(bench, bench.data(fresh=True), origin), BATCHES)]
        findings.append(judge_shift(bench, origin, batches, input, output, source))
    return findings


def judge_shift(
    bench: Bench, origin: str, batches: list[dict[str, Tensor]], input: str, output: str, source: str
) -> Finding:
    wrong = equal = total = 0
    for batch in batches:
        if input not in batch or output not in batch:
            return not_run(f"{origin}: no {input} and {output} in the batch")
        x, y = batch[input], batch[output]
        padding = bench.paper.tensors[input].padding
        end = bench.paper.tensors[output].padding
        real = x[:, 1:] != padding if padding is not None else torch.ones_like(x[:, 1:], dtype=torch.bool)
        wrong += int((x[:, 1:] != y[:, :-1])[real].sum()) if x.shape == y.shape else 1
        total += int(real.sum())
        if x.shape == y.shape:
            both = y != end if end is not None else torch.ones_like(y, dtype=torch.bool)
            equal += int((x == y)[both].all())
    fields: dict[str, Any] = {
        "component": output,
        "expected": f"{output}[t] = {input}[t + 1] at every real position" + (f" ({source})" if source else ""),
        "observed": f"{wrong} of {total} positions differ"
        + (f"; {equal} of {len(batches)} batches have {output} = {input}" if equal else ""),
        "threshold": "exact",
        "location": component_location(bench, "data"),
    }
    if not wrong and not equal:
        return passed(f"{origin}: {output} is {input} shifted by one", **fields)
    if equal:
        likely = (
            "teacher forcing without the shift (input and target are the same)",
            "language-model window without the shift",
            "the target is cut at the wrong end",
        )
        return failed(f"{origin}: {output} is {input} itself: the model only has to copy", likely=likely, **fields)
    return failed(
        f"{origin}: {output} is not {input} shifted by one",
        likely=("shifted twice", "the target is cut at the wrong end", "teacher forcing without the shift"),
        **fields,
    )


@check(phase="data", family="data", component="data")
def end_marker(bench: Bench, *, tensor: str = "", value: int | None = None) -> list[Finding]:
    """Decides whether every sequence ends with the end marker, so that the model can learn to stop.

    Broken: a last real token that is something else.
    Likely: EOS not appended to targets | EOS cut off by truncation | EOS appended after padding
    """
    if not tensor or tensor not in bench.paper.tensors:
        return [not_run("declare {property: end_marker, tensor: target_output, value: <id>} to get it")]
    padding = bench.paper.tensors[tensor].padding
    findings = []
    for origin in ("synthetic", *SPLITS):
        if origin == "synthetic":
            batches = [bench.synthetic(8)]
        else:
            batches = [dict(b) for b in islice(stream(bench, bench.data(fresh=True), origin), BATCHES)]
        last: Counter[int] = Counter()
        for batch in batches:
            rows = batch[tensor]
            real = rows != padding if padding is not None else torch.ones_like(rows, dtype=torch.bool)
            at = (real * torch.arange(1, rows.shape[1] + 1)).amax(dim=1) - 1
            last.update(rows.gather(1, at.clamp_min(0)[:, None]).flatten().tolist())
        marker = value if value is not None else last.most_common(1)[0][0]
        n, right = sum(last.values()), last[marker]
        fields: dict[str, Any] = {
            "component": tensor,
            "expected": f"the last real value of every {tensor} is {marker}",
            "observed": f"{n - right} of {n} end with something else",
            "threshold": "exact",
            "location": component_location(bench, "data"),
        }
        if right == n:
            findings.append(passed(f"{origin}: {n} of {n} {tensor} end with {marker}", **fields))
        else:
            findings.append(failed(f"{origin}: {n - right} of {n} {tensor} have no end marker", **fields))
    return findings


@check(phase="data", family="data", component="data")
def augmented(bench: Bench, *, tensor: str = "") -> Finding:
    """Decides whether training examples are augmented anew in each pass.

    Broken: two passes hold the same examples.
    Likely: augmentation RNG created once per data set object | augmentation not applied
    """
    if not tensor:
        return not_run("declare {property: augmented, tensor: …} to get it")
    first, second = passes(bench, "train", 2)
    if tensor not in first.names:
        return not_run(f"no tensor {tensor} in the training batches")
    shared = len(set(first.column(tensor)) & set(second.column(tensor))) / max(1, len(set(first.column(tensor))))
    fields: dict[str, Any] = {
        "expected": f"{tensor} differs between passes",
        "observed": f"{shared:.1%} of the first pass come again unchanged",
        "threshold": "50 %: a flip leaves half, a crop fewer",
        "location": component_location(bench, "data"),
    }
    if shared <= 0.75:
        return passed(f"{tensor} is augmented anew each pass", **fields)
    return failed(f"{tensor} is the same in every pass", **fields)


@check(phase="data", family="round trip", component="data")
def synthetic_repeats(bench: Bench) -> Finding:
    """Decides whether synthetic(n, seed) gives n examples that depend on the seed alone.

    Broken: the same seed gives two batches, or two seeds the same.
    Likely: random numbers from the global generator | the seed is not used
    """
    one, again, other = bench.synthetic(4, 1), bench.synthetic(4, 1), bench.synthetic(4, 2)
    sizes = {
        value.shape[bench.paper.tensors[name].axes.index("batch")]
        for name, value in one.items()
        if name in bench.paper.tensors and "batch" in bench.paper.tensors[name].axes
    }
    same = all(torch.equal(one[k], again[k]) for k in one)
    differs = any(one[k].shape != other[k].shape or not torch.equal(one[k], other[k]) for k in one)
    fields: dict[str, Any] = {
        "expected": "4 examples; the same seed gives the same batch, another seed another",
        "observed": (
            f"sizes {sorted(sizes)}; {'same' if same else 'different'} for one seed, "
            f"{'different' if differs else 'same'} for another"
        ),
        "threshold": "exact",
        "location": component_location(bench, "data"),
    }
    if same and differs and sizes <= {4} and (sizes or not has_batch_axis(bench)):
        return passed("synthetic batches depend on their seed alone", **fields)
    return failed("synthetic batches do not depend on n and the seed alone", **fields)
