"""Placement checks: where residuals, norms and scales stand, decided on the values that blocks take and return."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from repro.arithmetic import evaluate
from repro.checks import tolerance
from repro.checks.inputs import flat
from repro.checks.modules import capturing, eval_mode, first_tensor, match_modules, near
from repro.checks.registry import check, failed, not_run, passed, warned
from repro.contract.bench import Bench
from repro.contract.components import location_of
from repro.findings import Finding
from repro.oracles.normalisation import layer_norm
from repro.oracles.positions import distance_up_to_channels, positional_encoding, positional_encoding_tensor2tensor

#: Unit-variance numbers may differ by this much: layer norms add an eps of 1e-5 … 1e-3 to the variance, once per norm.
NORM_EPS = 1e-2


@contextmanager
def zeroed(modules: list[nn.Module]) -> Iterator[None]:
    """Within the block all parameters of these modules are zero."""
    kept = [(p, p.detach().clone()) for module in modules for p in module.parameters()]
    with torch.no_grad():
        for parameter, _ in kept:
            parameter.zero_()
    try:
        yield
    finally:
        with torch.no_grad():
            for parameter, value in kept:
                parameter.copy_(value)


def through(bench: Bench, model: Any, block: nn.Module, batch: Mapping[str, Tensor]) -> tuple[Tensor, Tensor] | None:
    """What the block takes first and returns first in a forward, or None when it is not called."""
    seen: list[tuple[Tensor, Tensor]] = []

    def hook(_: nn.Module, arguments: Any, keywords: Any, returned: Any) -> None:
        given, result = first_tensor(arguments or keywords), first_tensor(returned)
        if given is not None and result is not None:
            seen.append((given.detach().clone(), result.detach().clone()))

    handle = block.register_forward_hook(hook, with_kwargs=True)
    try:
        with torch.no_grad():
            bench.forward(model, batch)
    finally:
        handle.remove()
    return seen[-1] if seen else None


@check(phase="model", family="oracle", component="model")
def residual(
    bench: Bench,
    *,
    blocks: str | list[str] = "",
    sublayers: list[str] | None = None,
    norm: str = "post",
    source: str = "",
) -> list[Finding]:
    """Decides where residuals and norms stand: with its sub-layers zeroed, a post-norm block is LayerNorm(x), a
    pre-norm block x.

    `blocks` are module globs, `sublayers` names inside a block; `norm` is post, pre or none (no norm, as pre).
    Broken: the zeroed block returns something else, or forgets its input when one sub-layer is zeroed.
    Likely: residual connection missing around a sub-layer | Pre-LN used where the paper is post-LN | the norm inside
    the residual branch
    """
    globs = [blocks] if isinstance(blocks, str) else list(blocks)
    if not any(globs) or not sublayers:
        return [not_run("declare {property: residual, blocks: <glob>, sublayers: [<name>, …], norm: post or pre}")]
    model = eval_mode(bench, bench.model(dtype=torch.float64))
    batch = bench.synthetic(4)
    findings = []
    for owner, module in bench.modules(model).items():
        known = [name for name, _ in module.named_modules()]
        for glob in globs:
            found = match_modules(module, glob)
            if not found:
                findings.append(
                    not_run(f"properties: residual.blocks has {glob!r}, no module of {owner}. {near(glob, known)}")
                )
            for name in found:
                block = module.get_submodule(name)
                parts = {
                    part: dict(block.named_modules())[part] for part in sublayers if part in dict(block.named_modules())
                }
                findings.append(judge_block(bench, model, name, block, parts, norm, source, batch))
    return findings


def judge_block(
    bench: Bench,
    model: Any,
    name: str,
    block: nn.Module,
    parts: dict[str, nn.Module],
    norm: str,
    source: str,
    batch: Mapping[str, Tensor],
) -> Finding:
    if not parts:
        known = ", ".join(n for n, _ in block.named_children())
        return not_run(f"{name} holds none of the declared sub-layers; it holds {known}")
    expected = "LayerNorm(x)" if norm == "post" else "x"
    fields: dict[str, Any] = {
        "component": name,
        "expected": f"{expected} when the sub-layers {', '.join(parts)} are zeroed"
        + (f" ({source})" if source else ""),
        "threshold": f"{NORM_EPS:g} (the eps inside layer norms)",
        "location": location_of(block),
    }
    forgotten = []
    for part, module in parts.items():
        with zeroed([module]):
            values = through(bench, model, block, batch)
        if values is None:
            return not_run(f"{name} is not called in a forward", component=name)
        if values[1].dim() >= 2 and float(tokens(values[1]).std(dim=0).max()) <= 1e-6 * max(
            1.0, tolerance.largest(values[1])
        ):
            forgotten.append(part)
    if forgotten:
        return failed(
            f"no residual around {', '.join(forgotten)} of {name}",
            observed=f"with {forgotten[0]} zeroed, the block returns the same for every token: its input is lost",
            likely=(
                f"residual connection missing around {forgotten[0]}",
                "the sub-layer's output replaces x instead of being added",
            ),
            **fields,
        )
    with zeroed(list(parts.values())):
        values = through(bench, model, block, batch)
    assert values is not None
    given, result = values
    if not bool(result.isfinite().all()):
        return not_run(f"{name} returns values that are not finite: see outputs_declared", component=name)
    if given.shape != result.shape:
        return not_run(f"{name} returns {list(result.shape)} for {list(given.shape)}", component=name)
    normal = torch.from_numpy(layer_norm(given.double().numpy()))
    to_norm = float((result.double() - normal).abs().max())
    to_same = float((result - given).abs().max()) / max(1.0, tolerance.largest(given))
    seen = "post" if to_norm <= NORM_EPS else "pre" if to_same <= NORM_EPS else ""
    fields["observed"] = f"distance {to_norm:.4g} from LayerNorm(x), {to_same:.4g} from x"
    if seen == norm or (norm == "none" and seen == "pre"):
        return passed(f"{name}: residual around each sub-layer, {norm}-norm", **fields)
    if seen == "pre":
        return failed(
            f"{name} is pre-norm where the paper is {norm}-norm",
            likely=("Pre-LN used where the paper is post-LN", "the norm inside the residual branch", "norm missing"),
            **fields,
        )
    if seen == "post":
        return failed(
            f"{name} is post-norm where {norm} is declared",
            likely=("post-LN used where pre-LN is declared", "norm after the residual sum"),
            **fields,
        )
    return failed(
        f"{name} with its sub-layers zeroed is neither x nor LayerNorm(x)",
        likely=("residual scaled, or added twice", "another norm than layer norm", "norm over another axis"),
        **fields,
    )


def tokens(value: Tensor) -> Tensor:
    """[…, width] → [tokens, width]."""
    return value.reshape(-1, value.shape[-1])


@check(phase="model", family="initial value", component="model")
def embedding_scale(
    bench: Bench,
    *,
    stage: str = "",
    input: str = "",
    table: str = "",
    equals: str | float = 1.0,
    positions: str = "",
    hidden: str = "",
    output: str = "",
    source: str = "",
) -> list[Finding]:
    """Decides by which factor a stage multiplies the embedding, and what it adds for each position.

    `stage` returns factor · table[input] + position; `hidden` and `output`, if given, name the stage and the tensor
    between which the tied table projects, to see a factor that was moved there.
    Broken: another factor than declared; a positional term that depends on the token, or that is not the declared one.
    Likely: embedding not multiplied by sqrt(d_model) | positional code: one row added to every position | positions
    counted from 1
    """
    if not (stage and input and table):
        return [
            not_run("declare {property: embedding_scale, stage: …, input: …, table: <parameter>, equals: <expression>}")
        ]
    measured = measure_embedding(bench, stage, input, table, hidden, output)
    if isinstance(measured, Finding):
        return [measured]
    factor, position, out_factor, where = measured
    names = {k: v for k, v in flat(bench.paper.settings.get("model") or {}).items() if isinstance(v, (int, float))}
    wanted = float(evaluate(str(equals), names))
    fields: dict[str, Any] = {
        "component": stage,
        "expected": f"{stage} = {wanted:.4g} · {table}[{input}] + position" + (f" ({source})" if source else ""),
        "observed": f"factor {factor:.4g}"
        + (f", and {out_factor:.4g} before {output}" if out_factor is not None else ""),
        "threshold": "0.1 % of the factor (a least-squares fit without noise)",
        "location": where,
    }
    if math.isclose(factor, wanted, rel_tol=1e-3):
        first = passed(f"{stage} multiplies the embedding by {factor:.4g}", **fields)
    elif out_factor is not None and math.isclose(factor / out_factor, wanted, rel_tol=1e-2):
        first = warned(f"{stage} is not scaled, {output} is divided instead: the same ratio for tied weights", **fields)
    else:
        first = failed(
            f"{stage} multiplies the embedding by {factor:.4g}, not {wanted:.4g}",
            likely=(
                "embedding not multiplied by sqrt(d_model)",
                "multiplied by d_model or divided, instead of sqrt(d_model)",
                "multiplied twice",
            ),
            **fields,
        )
    findings = [first]
    if positions == "sinusoidal":
        findings.append(judge_positions(stage, position, where))
    return findings


def judge_positions(stage: str, term: Tensor, where: str) -> Finding:
    length, width = term.shape
    ours = term.double().numpy()
    bound = max(4 * length * tolerance.FLOAT32, 1e-4)
    gap = distance_up_to_channels(ours, positional_encoding(length, width))
    fields: dict[str, Any] = {
        "component": stage,
        "expected": "the sinusoids of the paper, position 0 first, up to the order of channels",
        "observed": f"largest difference {gap:.4g}",
        "threshold": f"{bound:.4g} (float32 rounding of the angle and of the table)",
        "location": where,
    }
    if gap <= bound:
        return passed(f"{stage} adds the paper's sinusoids", **fields)
    if distance_up_to_channels(ours, positional_encoding_tensor2tensor(length, width)) <= bound:
        return warned(f"{stage} adds tensor2tensor's sinusoids, which deviate from the paper's text", **fields)
    likely: tuple[str, ...] = (
        "wrong frequencies: the exponent counts channels, not pairs (d // 2 for d)",
        "positional code not added, or scaled with the embedding",
        "positions counted from 1",
    )
    if float((term - term[0]).abs().max()) <= bound:
        likely = ("positional code: one row added to every position", "positional code not added")
    elif distance_up_to_channels(ours, positional_encoding(length + 1, width)[1:]) <= bound:
        likely = ("positions counted from 1", *likely[:2])
    return failed(f"{stage} does not add the paper's positional code", likely=likely, **fields)


Measured = tuple[float, Tensor, "float | None", str]


def measure_embedding(
    bench: Bench, stage: str, input: str, table: str, hidden: str = "", output: str = ""
) -> Measured | Finding:
    """(factor, positional term [length, width], factor before the output or None, location), or why not."""
    model = eval_mode(bench, bench.model(dtype=torch.float64))
    module = next(iter(bench.modules(model).values()))
    weights = dict(module.named_parameters(remove_duplicate=False))
    known = dict(module.named_modules())
    for key, name, names in (("stage", stage, known), ("table", table, weights)):
        if name not in names:
            return not_run(f"properties: embedding_scale.{key} is {name!r}, which the model lacks. {near(name, names)}")
    if input not in bench.paper.tensors:
        return not_run(f"properties: embedding_scale.input is {input!r}, which `tensors:` does not declare")
    watch = [(stage, known[stage])] + ([(hidden, known[hidden])] if hidden in known else [])
    batch = bench.synthetic(6)
    with torch.no_grad(), capturing(watch) as captured:
        outputs = bench.forward(model, batch)
    if stage not in captured:
        return not_run(f"{stage} is not called in a forward", component=stage)
    ids, value = batch[input], captured[stage]
    if value.dim() != 3 or value.shape[:2] != ids.shape or weights[table].shape[-1] != value.shape[-1]:
        return not_run(f"{stage} returns {list(value.shape)}; need [batch, length, width] of {input}", component=stage)
    rows = weights[table].detach()[ids]  # [b, n, width]
    # the positional term cancels between two rows of the batch at the same position
    left, right = value - value[:1], rows - rows[:1]
    different = (ids != ids[:1]).unsqueeze(-1).expand_as(left)
    a, b = left[different], right[different]
    factor = float((a * b).sum() / (b * b).sum())
    rest = value - factor * rows
    spread = float((rest - rest[:1]).abs().max())
    if spread > 1e-3 * max(1.0, tolerance.largest(value)):
        return not_run(
            f"{stage} is not factor · embedding + position (it differs by {spread:.3g} between tokens)", component=stage
        )
    out_factor = None
    if hidden in captured and output in outputs and captured[hidden].shape[-1] == weights[table].shape[-1]:
        projected = captured[hidden] @ weights[table].detach().T
        if projected.shape == outputs[output].shape:
            ours = outputs[output]
            fit = float((ours * projected).sum() / (projected * projected).sum())
            if float((ours - fit * projected).abs().max()) <= 1e-3 * max(1e-6, tolerance.largest(ours)):
                out_factor = fit
    return factor, rest[0], out_factor, location_of(known[stage])


def embedding_factor(bench: Bench, parameters: list[str]) -> float:
    """How much wider an embedding may start because its scale was moved to the output; 1 where it was not."""
    for declared in bench.paper.properties:
        options = declared.options
        if declared.name != "embedding_scale" or options.get("table") not in parameters:
            continue
        keys = ("stage", "input", "table", "hidden", "output")
        measured = measure_embedding(bench, **{k: options[k] for k in keys if k in options})
        if isinstance(measured, Finding) or measured[2] is None:
            continue
        names = {k: v for k, v in flat(bench.paper.settings.get("model") or {}).items() if isinstance(v, (int, float))}
        wanted = float(evaluate(str(options.get("equals", 1.0)), names))
        factor, out_factor = measured[0], measured[2]
        if not math.isclose(factor, wanted, rel_tol=1e-3) and math.isclose(factor / out_factor, wanted, rel_tol=1e-2):
            return wanted / factor
    return 1.0
