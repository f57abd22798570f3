"""Two inputs of the model that ought to differ, and are one."""

from __future__ import annotations

from itertools import combinations, islice

import torch

from repro.checks.inputs import forward_inputs
from repro.checks.registry import check, failed, not_run, passed
from repro.contract.bench import Bench
from repro.findings import Finding

BATCHES = 3


@check(phase="data", family="data", component="data")
def inputs_differ(bench: Bench) -> list[Finding]:
    """Decides whether two floating inputs of the same axes, such as two views or a state and the next, ever differ.

    Broken: they are equal in every number of every example of the first training batches.
    Likely: both views are one: the augmentation is drawn once and used twice | the next observation is stored as the
    observation | one variable is put into the batch under two names
    """
    tensors = bench.paper.tensors
    batches = list(islice(bench.batches("train"), BATCHES))
    if not batches:
        return [not_run("the training split yields no batch")]
    sources = {str(source) for t in tensors.values() for source in (t.given or {}).values()}
    taken = [
        name
        for name in batches[0]
        if name in tensors
        and tensors[name].is_floating
        and (name in sources or name in forward_inputs(bench, batches[0]))
    ]
    findings = []
    for a, b in combinations(taken, 2):
        if tensors[a].axes != tensors[b].axes or "batch" not in tensors[a].axes:
            continue
        pairs = [(batch[a], batch[b]) for batch in batches if a in batch and b in batch]
        same = sum(int(x.shape == y.shape and torch.equal(x, y)) for x, y in pairs)
        constant = all(float(x.std()) == 0 for x, _ in pairs if x.numel() > 1)
        if constant:
            findings.append(not_run(f"{a} and {b} hold one number"))
            continue
        fields = {
            "expected": f"{a} and {b} differ somewhere",
            "observed": f"equal in {same} of {len(pairs)} batches of training",
            "threshold": "exact",
        }
        if same == len(pairs):
            findings.append(failed(f"{a} and {b} are the same tensor", **fields))
        else:
            findings.append(passed(f"{a} and {b} differ", **fields))
    return findings or [not_run("no two floating inputs of the model have the same axes")]
