from __future__ import annotations

import math
import re
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from repro.report import build, html, json_report, tree
from repro.report.collect import collect
from repro.report.html_results import axis_of, shift
from repro.report.markup import Names
from tests.report.page import Element, read

HOSTILE = "<script>alert(1)</script> & \"quoted\" 'name' ünï \u202eflip"


def report_of(*rows: tree.Row, **more: object) -> tree.Report:
    top = tree.Header("abc", "mine", "Mine", "", "laptop", "toy", "2026-01-01", "", "", (), 0, 1.0, None)
    return tree.Report(header=top, sentences=("One sentence.",), rows=rows, **more)  # type: ignore[arg-type]


def measured(values: tuple[float, ...], **more: object) -> tree.Row:
    finite = [value for value in values if math.isfinite(value)]
    mean = sum(finite) / len(finite) if finite else None
    base = tree.Row(
        "r", "Row", "match", printed="90", paper=90.0, tolerance=2.0, ours=mean, values=values, n=len(values),
        interval=(89.0, 91.0), confidence=0.95, difference=None if mean is None else mean - 90,
    )  # fmt: skip
    return replace(base, **more)  # type: ignore[arg-type]


def check(page: Element) -> None:
    """What holds for every page: ids unique, links resolve, headings nest, no script, nothing loaded."""
    ids = [element.attributes["id"] for element in page.all() if "id" in element.attributes]
    assert len(ids) == len(set(ids))
    targets = [element.attributes["href"] for element in page.all() if "href" in element.attributes]
    assert all(target[1:] in ids for target in targets if target.startswith("#"))
    assert {target for target in targets if not target.startswith(("#", "https://arxiv.org/abs/"))} <= {"data:,"}
    assert not page.all("script") and not page.all("iframe")
    assert not [name for element in page.all() for name in element.attributes if name.startswith("on")]
    sources = [element for element in page.all() if "src" in element.attributes]
    assert all(one.name == "img" and one.attributes["src"].startswith("data:image/png;base64,") for one in sources)
    assert all(one.attributes["alt"] for one in page.all("img"))
    levels = [int(element.name[1]) for element in page.all() if re.fullmatch("h[1-6]", element.name)]
    assert levels[0] == 1 and levels.count(1) == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))
    policy = [e.attributes["content"] for e in page.all("meta") if e.attributes.get("http-equiv")]
    assert policy == [html.POLICY] and "default-src 'none'" in html.POLICY


@pytest.mark.parametrize("name", ["transformer", "gallery"])
def test_the_page_is_whole(name: str, request: pytest.FixtureRequest) -> None:
    page = read(html.render(collect(request.getfixturevalue(name))))
    check(page)
    assert "@import" not in page.all("style")[0].text() and "url(" not in page.all("style")[0].text()


def test_counts_are_equal_everywhere(gallery: Path) -> None:
    report = collect(gallery)
    page = read(html.render(report))
    counts = tree.tally(report.results)
    sentence = page.all("h1")[0].text()
    tested = sum(counts[verdict] for verdict in (*tree.DECIDED, "inconclusive"))
    assert sentence.startswith(f"{tested} of {len(report.results)} printed results tested: {counts['match']} match")
    assert page.all("title")[0].text().startswith(f"{tested} of {len(report.results)} tested")
    first = page.all("ul", "tally")[0]
    shown = {word: int(number) for number, word in (item.text().split(" ", 1) for item in first.all("li"))}
    assert shown == {tree.VERDICTS[verdict]: number for verdict, number in counts.items() if number}
    assert [len(item.all("svg")) for item in first.all("li")] == list(shown.values())
    table = page.all("table", "rows")[0]
    words = [row.all("span", "verdict")[0].text() for row in table.all("tr", "row")]
    assert {word: words.count(word) for word in shown} == shown and len(words) == len(report.results)


def test_each_row_has_word_shape_provenance_and_spoken_numbers(gallery: Path) -> None:
    report = collect(gallery)
    table = read(html.render(report)).all("table", "rows")[0]
    rows, folds = table.all("tr", "row"), table.all("tr", "fold")
    assert len(rows) == len(folds) == len(report.results)
    for element, fold in zip(rows, folds, strict=True):
        label = element.all("th")[0].text()
        verdict = element.all("span", "verdict")[0]
        assert verdict.all("use")[0].attributes["href"].startswith("#s-")
        assert fold.all("dl", "prov") and fold.all("dt")[0].text() == "Source"
        for strip in element.all("svg", "strip"):
            spoken = strip.attributes["aria-label"]
            assert spoken.startswith(label) and spoken.endswith(verdict.text()) and strip.attributes["role"] == "img"
            ours = element.all("td", "c-ours")[0].text().split(" ")[0]
            assert f"ours {ours}" in spoken


def test_strip_coordinates_are_the_numbers(gallery: Path) -> None:
    report = collect(gallery)
    drawn = [row for row in report.results if row.values]
    axis = axis_of(drawn)
    by_id = {Names()("row", row.id): row for row in report.results}
    table = read(html.render(report)).all("table", "rows")[0]
    for element in table.all("tr", "row"):
        row = by_id[element.attributes["id"]]
        dots = sorted(float(dot.attributes["cx"][:-1]) for dot in element.all("circle", "seed"))
        expected = sorted(axis.at(shift(row, value)) for value in row.values if math.isfinite(value))
        # 0.1 px of a strip 700 px wide is 0.014 %
        assert dots == pytest.approx(expected, abs=0.01)


def test_a_gate_that_failed_is_open_with_its_likely_bugs(gallery: Path) -> None:
    page = read(html.render(collect(gallery)))
    [opened] = [gate for gate in page.all("ol", "gates")[0].all("details") if "open" in gate.attributes]
    text = opened.text()
    for part in ("max |Δ| 0.42", "model.py:88", "mask off by one", "causal.show"):
        assert part in text


def test_user_text_is_never_markup(tmp_path: Path) -> None:
    names = ("label", "group", "where", "quote", "reason", "command", "arithmetic", "unit")
    row = measured(
        (89.0, 91.0), verdict="inconclusive", notes=(HOSTILE,), printed="90 <b>", **dict.fromkeys(names, HOSTILE)
    )
    top = replace(report_of().header, title=HOSTILE, arxiv=HOSTILE, data=HOSTILE)
    found = tree.Check(HOSTILE, HOSTILE, "failed", HOSTILE, likely=(HOSTILE,), alone=HOSTILE)
    report = replace(
        report_of(row, replace(row, id="f", kind="fact"), replace(row, id="c", kind="claim", setting="analogue")),
        header=top,
        sentences=(HOSTILE,),
        phases=(tree.Phase("model", "failed", HOSTILE, (found,), 1.0, ""),),
        tables=(tree.Table("model", HOSTILE, (HOSTILE,), ((HOSTILE,),)),),
        commands=(tree.Command(HOSTILE, HOSTILE),),
    )
    text = html.render(report)
    assert "<script" not in text and "\u202e" not in text and "<b>90" not in text
    check(read(text))


@pytest.mark.parametrize("count", [0, 1, 100])
def test_any_number_of_rows(count: int) -> None:
    rows = [
        replace(measured((89.5, 90.5)), id=f"row {place}", label=f"Row {place}", group=f"Table {place % 3}")
        for place in range(count)
    ]
    text = html.render(report_of(*rows))
    page = read(text)
    check(page)
    assert len(page.all("tr", "row")) == count
    assert len(text.encode()) < 40_000 + 5_000 * count


@pytest.mark.parametrize("count", [1, 2, 60, 1000])
def test_any_number_of_seeds(count: int) -> None:
    values = tuple(90 + math.sin(place) for place in range(count))
    page = read(html.render(report_of(measured(values))))
    check(page)
    [strip] = [svg for svg in page.all("svg", "strip") if svg.attributes.get("role") == "img"]
    assert len(strip.all("circle", "seed")) == count
    assert int(strip.attributes["height"]) <= 110


@pytest.mark.parametrize(
    "row",
    [
        measured((89.0, math.nan, math.inf), verdict="not_testable", interval=None, reason="seed 1 diverged"),
        measured((math.nan,), verdict="not_testable", interval=None),
        measured((90.0, 90.0, 90.0), interval=(90.0, 90.0), tolerance=0.0),
        measured((90.0,), interval=None),
        measured((90.0,), tolerance=None),
        measured((90.0, 90.1), interval=(-math.inf, math.inf), verdict="inconclusive"),
        measured((1e300, -1e300), interval=(-1e300, 1e300)),
        measured((90.0,), direction="lower"),
        measured((90.0,), label="long " * 60, group="wide" * 40, command="x" * 300),
        measured((), paper=None, printed="", ours=None, interval=None, verdict="not_run"),
        measured((0.4, 0.5), kind="claim", setting="analogue", paper=None, printed="", tolerance=None),
        measured((), kind="fact", paper=0.0, printed="0", ours=0.0),
        measured((), kind="fact", paper=5.0, printed="5", ours=math.nan),
    ],
)  # fmt: skip
def test_edges(row: tree.Row) -> None:
    check(read(html.render(report_of(row))))


def test_what_lies_beyond_the_axis_is_said() -> None:
    row = measured((89.0, 101.5, 60.0), tolerance=1.0, interval=(70.0, 105.0))
    text = html.render(report_of(row))
    # three tolerances round up to an axis of ±3
    assert "seed +11.5" in text and "seed −30.0" in text and "from −20.0" in text and "to +15.0" in text


def test_lower_is_better_swaps_the_words_and_not_the_numbers() -> None:
    page = read(html.render(report_of(measured((91.0, 92.0), direction="lower"))))
    [axis] = page.all("svg", "axis")
    assert [label.text() for label in axis.all("text", "dir")] == ["← better", "worse →"]
    assert page.all("td", "c-diff")[0].text().startswith("+")


def test_same_store_same_bytes(transformer: Path) -> None:
    first = {path: path.read_bytes() for path in build(transformer).values()}
    second = {path: path.read_bytes() for path in build(transformer).values()}
    assert first == second and len(first) == 3


def test_size(transformer: Path) -> None:
    assert len(html.render(collect(transformer)).encode()) < 300_000


def test_no_row_and_no_phase() -> None:
    check(read(html.render(replace(report_of(), sentences=()))))


def test_pictures_of_every_kind_are_shown(gallery: Path) -> None:
    page = read(html.render(collect(gallery)))
    (section,) = [one for one in page.all("section") if one.attributes["id"] == "section-pictures"]
    figures = section.all("figure")
    assert [one.all("b")[0].text() for one in figures] == [
        *(f"digit {digit}" for digit in range(4)), "samples", "zero", "an episode"
    ]  # fmt: skip
    curves, cloud, image, moving = figures[0], figures[4], figures[5], figures[6]
    assert len(curves.all("path")) == 1 and curves.all("svg", "plot")[0].attributes["aria-label"] == "digit 0."
    # four signals share one axis, so that heights can be compared
    ticks = {tuple(text.text() for text in one.all("text")) for one in figures[:4]}
    assert len(ticks) == 1
    assert len(cloud.all("circle")) == 400
    # a small image is enlarged by a whole factor, its pixels kept square; markup in a caption stays text
    (drawn,) = image.all("img")
    assert (drawn.attributes["width"], drawn.attributes["class"]) == ("168", "pixel")
    assert "what <b>one</b> input looks like" in image.text() and len(image.all("b")) == 1
    still, playing = moving.all("img")
    assert "Side by side" in still.attributes["alt"] and playing.attributes["alt"].endswith("Moving.")
    assert moving.all("details")[0].all("img") == [playing]  # nothing moves before it is asked for
    assert "60 frames, 3.0 s" in moving.text()


def test_pictures_that_failed_or_have_no_room_are_named(tmp_path: Path) -> None:
    import numpy as np

    from repro.report.collecting.pictures import MOST_PICTURE_BYTES
    from repro.tracking.pictures import write_fault, write_pictures
    from tests.report import folders

    folder = folders.transformer(tmp_path / "run", seeds=1)
    (process,) = folder.glob("code/*/processes/seed-0")
    write_fault(process, "evaluation: pictures raised:\n  ValueError: no <camera>")
    page = html.render(collect(folder))
    assert "Not drawn" in page and "no &lt;camera&gt;" in page
    write_pictures(process, {"episode": {"missing": "not rendered: no <OpenGL>", "caption": "return 12"}})
    (figure,) = read(html.render(collect(folder))).all("figure")
    assert figure.text() == "episodereturn 12not rendered: no <OpenGL>" and not figure.all("img")
    noise = np.random.default_rng(0).integers(0, 256, (20, 200, 200, 3)).astype(np.uint8)
    write_pictures(process, {f"noise {place}": {"image": one} for place, one in enumerate(noise)})
    report = collect(folder)
    embedded = [one for one in report.pictures if one.data]
    assert 0 < len(embedded) < 20
    assert sum(len(one.data) for one in embedded) < MOST_PICTURE_BYTES * 4 / 3 + 10_000
    assert all("left out of the page" in one.note and one.file in one.note for one in report.pictures if not one.data)
    (process / report.pictures[0].file.rpartition("processes/seed-0/")[2]).unlink()
    assert collect(folder).pictures[0].note.startswith("its file is missing: ")
    assert "data:image" not in json_report.render(report) and '"file": "code/' in json_report.render(report)


def test_each_system_has_a_panel_of_its_own_and_none_is_averaged_with_another() -> None:
    def panel(system: str, end: float) -> tree.Panel:
        curve = tree.Curve(0, ((10, 20.0), (20, end)), 2, "diverged" if system == "gru" else "finished")
        return tree.Panel("accuracy", "test", (curve,), curve.points, (("Table 1", end, 1.0),), system)

    section = read(html.render(report_of(panels=(panel("cnn", 94.0), panel("gru", 91.0))))).all("section")
    [drawn] = [one for one in section if one.all("h2") and one.all("h2")[0].text() == "Trajectories"]
    assert [title.text() for title in drawn.all("h3")] == ["cnn test accuracy", "gru test accuracy"]
    assert "1 seed of each of 2 systems" in drawn.text() and "ends at 94" in drawn.text()
    assert "not in the mean: gru seed 0" in drawn.text() and "92.5" not in drawn.text()


def test_tasks_side_by_side_whatever_they_are_called() -> None:
    curve = tree.Curve(0, ((16, 20.0), (32, 480.0)), 2)
    panel = tree.Panel("return", "train", (curve,), curve.points, (("x", 490.0, None),), unit="steps", per_update=32.0)
    good = tree.Task("a <b>task</b>", ("runs/1",), (0, 1), (20.0, 40.0), 30.0, (10.0, 50.0), (0.1, 0.3), 10.0, "here",
                     110.0, "there", "match", panel=panel)  # fmt: skip
    lost = tree.Task("lost", ("runs/2",), (), (), None, None, why_not="seed 1 diverged")
    found = tree.Tasks("return", "train", "higher", (good, lost), why_none="only one can be normalised")
    page = read(html.render(replace(report_of(), tasks=found)))
    check(page)
    (section,) = [one for one in page.all("section") if one.attributes["id"] == "section-tasks-side-by-side"]
    assert "No aggregate over tasks: only one can be normalised." in section.text()
    lines = section.all("div", "effect")[1:]
    assert [len(one.all("circle")) for one in lines] == [3, 0]  # two seeds and their mean
    assert "match. 10.00 and 110.0." in lines[0].text()
    assert "Left out of the aggregate: seed 1 diverged." in lines[1].text()
    assert "a <b>task</b>" in section.text() and section.all("p", "axisname")[0].text() == "steps"
    whole = replace(found, value=0.2, interval=(0.1, 0.3), confidence=0.95, seeds=2, counted=2)
    assert "0.200 [0.100, 0.300], 95 % stratified bootstrap" in html.render(replace(report_of(), tasks=whole))
