"""Metrics of a split that a mask cuts out of one graph: they must not see the labels of the others."""

from __future__ import annotations

from typing import Any

import torch

from repro.checks.held_out import HeldOut, evaluated
from repro.checks.inputs import component_location, forward_inputs, known_sizes, loss_inputs, other_values, split_masks
from repro.checks.metrics import differing, shown
from repro.checks.registry import check, failed, not_run, passed
from repro.contract.bench import Bench
from repro.findings import Finding

SPLITS = ("train", "validation", "test")


@check(phase="evaluation", family="metamorphic", component="evaluation")
def metric_of_its_mask(bench: Bench) -> list[Finding]:
    """Decides of splits by mask whether the metrics of a split depend on the labels of its own places alone.

    Broken: other labels outside of the split's mask give other metrics, or other labels inside give the same.
    Likely: the metric is taken over all places, not those of the mask | the mask of another split is used
    """
    masks = split_masks(bench)
    if len(masks) < 2:
        return [not_run("splits are not declared by mask: `splits: {by: mask, tensors: [train, validation, test]}`")]
    model = bench.model()
    findings = []
    for split, mask in list(zip(SPLITS, masks, strict=False))[1:]:
        batch = next(iter(bench.batches(split)), {})
        inputs = forward_inputs(bench, batch)
        tensors = bench.paper.tensors
        labels = [
            name
            for name in loss_inputs(bench)
            if name in batch
            and name not in inputs
            and name not in masks
            and tensors[name].output_of is None
            and mask in batch
            and batch[name].shape[:1] == batch[mask].shape[:1]
        ]
        if not labels:
            findings.append(not_run(f"{split} has no labels with an entry for each of {mask}"))
            continue
        sizes = known_sizes(bench, batch)
        inside = batch[mask].bool()
        metrics = []
        for changed in (None, ~inside, inside):
            given = dict(batch)
            for name in labels if changed is not None else ():
                other = other_values(bench, tensors[name], batch[name], sizes, 36)
                place = changed.view(-1, *[1] * (batch[name].dim() - 1)) if changed is not None else inside
                given[name] = torch.where(place, other, batch[name])
            metrics.append(evaluated(bench, model, HeldOut(bench.data(), [given], 0, 0), split))
        seen, others, own = metrics
        fields: dict[str, Any] = {
            "expected": f"metrics of {split} that depend on {', '.join(labels)} where {mask} is true, and nowhere else",
            "threshold": "exact: the predictions are the same",
            "location": component_location(bench, "evaluation"),
        }
        if names := differing(seen, others):
            observed = f"with other labels outside {shown(others, names)}, before {shown(seen, names)}"
            findings.append(
                failed(f"labels outside of {mask} count in {', '.join(names)} of {split}", observed=observed, **fields)
            )
        elif not differing(seen, own):
            findings.append(not_run(f"the metrics of {split} do not move with its labels"))
        else:
            findings.append(passed(f"the metrics of {split} are those of {mask}", observed="as expected", **fields))
    return findings
