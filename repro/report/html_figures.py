"""Gaps, trajectories, learning rates and ablations: one section each, left out where nothing was measured."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

from repro.report import plots, strips, tree, words
from repro.report.axes import Scale, Symmetric
from repro.report.collecting.trajectories import panel_order
from repro.report.html_parts import Section, drawing, fold, key, key_mean, key_seeds, plain_table, section
from repro.report.markup import Content, Markup, Names, fragment, tag
from repro.report.numbers import count, percent, plural, significant

ROWS_IN_FIGURE = 8  # updates in the table beside a figure


def effect_row(
    name: str,
    detail: str,
    axis: Symmetric,
    label: str,
    mean: float | None,
    interval: tuple[float, float] | None,
    seeds: Sequence[float],
    why: Content,
    gap: tuple[float, float] | None = None,
) -> Markup:
    """A line of effects: name, strip, number with its interval, words."""
    like = max((abs(value) for value in (mean or 0.0, *(interval or ()))), default=0.0)
    drawn = mean is not None or bool(seeds)
    bounds = None
    if interval is not None:
        low, high = (words.change(end, like) for end in interval)
        bounds = tag("span", f"[{low}, {high}]", class_="unit")
    decimals = max(0, 2 - math.floor(math.log10(axis.half)))
    cell = fragment(
        strips.back(axis, gap=gap),
        strips.strip(axis, label, "ours", mean, interval, seeds, decimals) if drawn else None,
    )
    return tag(
        "div",
        tag("div", tag("b", name), tag("small", breakable(detail)) if detail else None),
        tag("div", cell, class_="c-strip"),
        tag("div", words.change(mean, like), " ", bounds, class_="n"),
        tag("div", why, class_="why"),
        class_="effect",
    )


def breakable(text: str) -> Markup:
    """Dotted keys and their values, which a line may break after a dot and before a value."""
    parts = re.split(r"(?<=[.=])(?=\w)", text)
    return fragment(parts[0], [(tag("wbr"), part) for part in parts[1:]])


def effect_head(first: str, axis: Symmetric, unit: str, last: str) -> Markup:
    drawn = strips.ticks(axis, zero="0")
    return tag(
        "div",
        tag("div", first),
        tag("div", tag("span", unit), drawn, class_="c-strip"),
        tag("div", "effect", class_="n"),
        tag("div", last, class_="why"),
        class_="effect head",
    )


def spoken(name: str, mean: float | None, interval: tuple[float, float] | None, seeds: Sequence[float]) -> str:
    if mean is None:
        return f"{name}: not measured"
    bounds = f" with interval {words.change(interval[0])} to {words.change(interval[1])}" if interval else ""
    return f"{name}: effect {words.change(mean)}{bounds}, {plural(len(seeds), 'paired seed')}"


# ---- gaps -------------------------------------------------------------------------------------------------------


def gaps(report: tree.Report, names: Names) -> Section | None:
    rows = {row.id: row for row in report.rows}
    parts: list[Content] = []
    for gap in report.gaps:
        row = rows.get(gap.row)
        label = f"{row.label}, {row.group}" if row and row.group else row.label if row else gap.row
        verdict = row.verdict if row else "inconclusive"
        difference = f", {words.difference(row)} {row.unit}".rstrip() if row else ""
        said = f": {gap.sentence}" if gap.sentence else "" if gap.causes else ": unexplained"
        parts.append(tag("h3", strips.shape(verdict), fragment(label, difference, said)))
        if not gap.causes:
            parts.append(tag("p", "No candidate cause was measured.", class_="note"))
            continue
        extents = [
            value
            for cause in gap.causes
            for value in (*cause.values, *(cause.interval or ()), cause.effect)
            if value is not None
        ]
        extents += [*(gap.interval or ()), gap.gap or 0.0]
        axis = Symmetric.holding(extents)
        body: list[Content] = [
            effect_head(
                "If only this is changed …",
                axis,
                f"change; shaded: the gap to close, {words.change(gap.gap)}",
                "explains",
            )
        ]
        for cause in gap.causes:
            why = fragment(tag("b", cause.share + ". ") if cause.share else None, cause.note)
            heard = spoken(cause.label, cause.effect, cause.interval, cause.values)
            body.append(
                effect_row(
                    cause.label,
                    cause.detail,
                    axis,
                    heard,
                    cause.effect,
                    cause.interval,
                    cause.values,
                    why,
                    gap.interval,
                )
            )
        parts.append(tag("div", body, class_="effects"))
    if not parts:
        return None
    lede = (
        "Each candidate was switched alone, over the same seeds. Effects need not add up; their intervals hold for all "
        "candidates of a gap together."
    )
    return section(names, "What explains the gaps", lede, parts)


# ---- trajectories -----------------------------------------------------------------------------------------------


def trajectories(report: tree.Report, names: Names) -> Section | None:
    # a metric that was measured once, at the end, has no course to draw; its number stands in its row
    drawn = [panel for panel in report.panels if any(len(curve.points) > 1 for curve in panel.curves)]
    if not drawn:
        return None
    systems = len({panel.system for panel in drawn})
    # of several systems only what the paper reports is in sight
    hidden = [panel for panel in drawn if secondary(panel, systems)]
    chosen, others = [panel for panel in drawn if panel not in hidden], hidden
    if not chosen:
        chosen, others = others, []
    seeds = max(len(panel.curves) for panel in drawn)
    longest = max((at for panel in drawn for curve in panel.curves for at, _ in curve.points), default=0)
    first = chosen[0]
    lede = (
        f"{plural(seeds, 'seed')}{f' of each of {systems} systems' if systems > 1 else ''}, {count(longest)} updates"
        + ("." if first.unit == "updates" else f", {steps(first, longest)}.")
    )
    ends = final_values(first)
    if ends and systems == 1:
        mean = math.fsum(ends) / len(ends)
        lede += f" {words.capital(spoken_metric(first))} ends at {significant(mean)}" + (
            f" ({between(ends)})." if len(ends) > 1 else "."
        )
    legend = (
        [(line_key("run"), "one seed"), (line_key("average"), "mean of the seeds")]
        if seeds > 1
        else [(line_key("average"), "the seed")]
    )
    if any(panel.printed for panel in chosen):
        legend.append((line_key("paperline"), "printed in the paper, with its tolerance"))
    for who in sorted({panel.reference_of for panel in chosen if panel.reference}):
        bar = tag("line", class_="refbar", x1=8, x2=8, y1=0, y2=18)
        legend.append((drawing(16, bar, plots.diamond("8", "9")), f"a curve to follow, {who}, with its tolerance"))
    if any(not math.isfinite(value) for panel in chosen for curve in panel.curves for _, value in curve.points):
        legend.append((drawing(16, plots.cross("8", "9")), "a seed is not finite from here on"))
    recorded = max(curve.recorded for panel in drawn for curve in panel.curves)
    shown = max(len(curve.points) for panel in drawn for curve in panel.curves)
    note = (
        f"Drawn: {shown} of up to {recorded} recorded points a seed, evenly chosen. "
        if recorded > shown
        else "Every recorded point is drawn. "
    )
    note += left_from_mean("Diverged", drawn, ("diverged",))
    note += left_from_mean("Not finished", drawn, ("running", "interrupted"))
    return section(
        names,
        "Trajectories",
        lede,
        key(*legend),
        tag("div", panel_figures(chosen), class_="panels"),
        fold(
            fragment(tag("b", plural(len(others), "further trajectory", "further trajectories"))),
            tag("div", panel_figures(others), class_="panels"),
        )
        if others
        else None,
        fold("numbers of these figures", [numbers_table(panel) for panel in drawn], paper=False),
        tag("p", note, class_="note"),
    )


def left_from_mean(word: str, drawn: Sequence[tree.Panel], statuses: Sequence[str]) -> str:
    """ "Diverged, not in the mean: seeds 3, 7. ", of several systems "cnn seed 3"; empty where no seed is left out."""
    left = sorted({(panel.system, curve.seed) for panel in drawn for curve in panel.curves if curve.status in statuses})
    if not left:
        return ""
    if any(system for system, _ in left):
        return f"{word}, not in the mean: {', '.join(f'{system} seed {seed}' for system, seed in left)}. "
    return (
        f"{word}, not in the mean: {'seed' if len(left) == 1 else 'seeds'} {', '.join(str(seed) for _, seed in left)}. "
    )


def secondary(panel: tree.Panel, systems: int = 1) -> bool:
    return panel_order(panel)[0] >= (4 if systems == 1 else 1)


def steps(panel: tree.Panel, update: int) -> str:
    """An update on the axis of the panel, in words: 499,712 environment steps."""
    return f"{count(round(update * panel.per_update))} {panel.unit}"


def spoken_metric(panel: tree.Panel) -> str:
    return f"{panel.split} {words.metric(panel.metric)}"


def between(values: Sequence[float]) -> str:
    low, high = significant(min(values)), significant(max(values))
    return f"{low} in every seed" if low == high else f"{low} to {high}"


def final_values(panel: tree.Panel) -> list[float]:
    return [value for curve in panel.curves if curve.points and math.isfinite(value := curve.points[-1][1])]


def panel_figures(panels: Sequence[tree.Panel]) -> list[Markup]:
    """The panels; those of one metric and split share an axis, so that systems can be compared."""
    kinds: dict[tuple[str, str], list[tree.Panel]] = {}
    for panel in panels:
        kinds.setdefault((panel.metric, panel.split), []).append(panel)
    scales = {kind: plots.value_scale(found) for kind, found in kinds.items()}
    return [panel_figure(panel, scales[panel.metric, panel.split]) for panel in panels]


def panel_figure(panel: tree.Panel, y: Scale, title: str = "") -> Markup:
    """A panel under the name of its system or metric, or under another `title`."""
    title = title or panel.system
    ends = final_values(panel)
    finished = len(ends)
    told = f"{plural(len(panel.curves), 'seed')}"
    if ends:
        mean = significant(math.fsum(ends) / finished)
        spread = f", {between(ends)}" if finished > 1 else ""
        told += f" · ends at {mean}{spread}"
    name = spoken_metric(panel)
    label = f"{name}{f' of {title}' if title else ''} over {panel.unit}: {told}"
    return tag(
        "div",
        tag(
            "h3",
            title or words.capital(name),
            tag("span", f" {name}", class_="unit") if title else None,
            tag("span", " log scale", class_="unit") if y.log else None,
        ),
        tag("small", told),
        plots.trajectory(panel, label, y),
        tag("p", panel.unit, class_="axisname") if panel.unit != "updates" else None,
        class_="panel only" if len(panel.curves) == 1 else "panel",
    )


def numbers_table(panel: tree.Panel) -> Markup:
    """Mean and range of the seeds at a few updates."""
    grid = [at for at, _ in panel.mean]
    if len(grid) > ROWS_IN_FIGURE:
        step = (len(grid) - 1) / (ROWS_IN_FIGURE - 1)
        grid = [grid[round(place * step)] for place in range(ROWS_IN_FIGURE)]
    means = dict(panel.mean)
    by_seed = [dict(curve.points) for curve in panel.curves]
    rows = []
    for at in grid:
        values = [seed[at] for seed in by_seed if at in seed and math.isfinite(seed[at])]
        spread = f"{significant(min(values))} to {significant(max(values))}" if values else "–"
        rows.append((count(round(at * panel.per_update)), significant(means[at], 4), spread, str(len(values))))
    return plain_table(
        (words.capital(panel.unit) if panel.unit != "updates" else "Update", "Mean", "Range of the seeds", "Seeds"),
        rows,
        caption=" · ".join(filter(None, (panel.system, words.capital(spoken_metric(panel))))),
        numeric=(1, 2, 3),
        stack=False,
    )


def line_key(kind: str) -> Markup:
    return drawing(
        30,
        tag("path", d="M1 13 9 6 17 10 29 4", class_=kind)
        if kind != "paperline"
        else tag("line", class_=kind, x1=0, x2=30, y1=9, y2=9),
    )


# ---- learning rate ----------------------------------------------------------------------------------------------


def rates(report: tree.Report, names: Names) -> Section | None:
    study = report.rates
    if study is None or not study.trials:
        return None
    lost = [trial for trial in study.trials if trial.value is None]
    if study.usable:
        low, high = (plots.power(end) for end in study.usable)
        lede = f"Only the rate {low} learns." if low == high else f"Rates from {low} to {high} learn."
        if study.paper is not None:
            inside = study.usable[0] <= study.paper <= study.usable[1]
            lede += f" The paper’s {plots.power(study.paper)} lies {'inside' if inside else 'outside'}."
    else:
        lede = "No rate of the sweep learns in the updates it was given."
    if study.paper is None:
        lede += " The paper gives none."
    length = words.length_of_sweep(study)
    filled = (drawing(14, tag("circle", class_="trial in", cx=7, cy=9, r="4.6")), "trial in the usable range")
    hollow = (drawing(14, tag("circle", class_="trial", cx=7, cy=9, r="4.6")), "trial outside")
    usable = (drawing(30, tag("rect", class_="usable", x=0, y=0, width=30, height=18)), "usable range")
    legend = [filled, hollow, usable] if study.usable else [hollow]
    if lost:
        legend.append((drawing(16, plots.cross("8", "9")), "no value: diverged or failed; it has no height"))
    label = f"{study.objective} for {plural(len(study.trials), 'learning rate')}; {lede}"
    listed = [
        (
            plots.power(trial.rate),
            significant(trial.value, 3) if trial.value is not None else "–",
            trial.error or trial.state,
        )
        for trial in study.trials
    ]
    return section(
        names,
        "Learning rate",
        lede,
        key(*legend),
        tag(
            "div",
            tag(
                "div",
                tag("h3", words.capital(study.objective)),
                plots.rates(study, label),
                tag("p", "learning rate, log scale", class_="axisname"),
                class_="rateplot",
            ),
            plain_table(("Rate", "Value", "Trial"), listed, numeric=(1,), stack=False),
            class_="halves",
        ),
        tag("p", length, class_="note") if length else None,
    )


# ---- ablations --------------------------------------------------------------------------------------------------


def ablations(report: tree.Report, names: Names) -> Section | None:
    """One block a metric; metrics that no claim of the paper names are folded."""
    if not report.effects:
        return None
    metrics = list(dict.fromkeys(effect.metric for effect in report.effects))
    claimed = {row.metric for row in report.rows if row.kind == "claim"}
    first = [metric for metric in metrics if metric in claimed] or metrics[:1]
    rest = [metric for metric in metrics if metric not in first]
    head = [effect for effect in report.effects if effect.metric == first[0]]
    levels = {effect.confidence for effect in report.effects if effect.confidence}
    level = f"{percent(levels.pop())} interval" if len(levels) == 1 else "interval"
    most = max(len(effect.differences) for effect in report.effects)
    note = (
        f"Dots: {plural(most, 'paired seed')}, the same seed and number of updates with and without the part. "
        f"Bar: {level} of the mean difference (Student’s t)."
    )
    return section(
        names,
        "Ablations",
        ablation_lede(head, words.metric(first[0])),
        key((key_mean(), f"our mean effect, {level}"), (key_seeds(), "one pair of seeds each")),
        [effects_block(report, metric) for metric in first],
        fold(tag("b", plural(len(rest), "further metric")), [effects_block(report, metric) for metric in rest])
        if rest
        else None,
        tag("p", note, class_="note"),
    )


def ablation_lede(effects: Sequence[tree.Effect], metric: str) -> str:
    """The finding: the largest clear effect, how many others are clear, how many cannot be told from zero."""
    measured = [effect for effect in effects if effect.mean is not None]
    clear = [effect for effect in measured if effect.interval and (effect.interval[0] > 0 or effect.interval[1] < 0)]
    told: list[str] = []
    for sign, verb in ((-1, "lowers"), (1, "raises")):
        found = [effect for effect in clear if (effect.mean or 0) * sign > 0]
        if found:
            also = f", {plural(len(found) - 1, 'other does', 'others do')} too" if len(found) > 1 else ""
            size = words.change(abs(found[0].mean or 0)).lstrip("+")
            told.append(f"{spoken_name(found[0].name)} {verb} {metric} by {size}{also}")
    unclear = len(measured) - len(clear)
    if unclear:
        told.append(f"{unclear} of {plural(len(effects), 'effect')} on {metric} cannot be told from zero")
    return words.capital("; ".join(told) + ".") if told else "No pair of seeds could be compared."


def effects_block(report: tree.Report, metric: str) -> Markup:
    effects = [effect for effect in report.effects if effect.metric == metric]
    axis = Symmetric.holding([value for effect in effects for value in (*effect.differences, *(effect.interval or ()))])
    base = next((effect.baseline for effect in effects if effect.baseline is not None), None)
    unit = f"change in {words.metric(metric)}" + (f"; complete: {significant(base)}" if base is not None else "")
    body: list[Content] = [effect_head("Changed", axis, unit, "the paper says")]
    for effect in effects:
        name = spoken_name(effect.name)
        heard = spoken(name, effect.mean, effect.interval, effect.differences)
        why = fragment(effect.says or "silent", tag("small", effect.missing) if effect.missing else None)
        body.append(
            effect_row(name, effect.changes, axis, heard, effect.mean, effect.interval, effect.differences, why)
        )
    return tag("div", body, class_="effects")


def spoken_name(name: str) -> str:
    """no_label_smoothing → no label smoothing."""
    return name.replace("_", " ")
