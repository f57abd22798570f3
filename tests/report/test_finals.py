"""Final metrics are shown where no printed result shows them, with how they were computed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from repro.report import finals, html, markdown, terminal, tree
from repro.report.collect import collect
from tests.report import folders

BLEU = "nrefs:1|tok:13a"


def run_of(folder: Path, systems: tuple[str, ...] = ("",)) -> Path:
    run = folders.begin(folder / "transformer" / folders.RUN, "transformer", "Attention")
    for system in systems:
        for seed, value in enumerate((37.5, 38.25)):
            store = folders.process(
                run, f"{system}seed-{seed}", "reproduction", [], {"bleu": value}, name=system, seed=seed
            )
            store.write_metrics({"bleu": value, "loss": 1.5}, update=10, signatures={"bleu": BLEU})
    folders.process(run, "seed-9", "reproduction", [], None, status="diverged", seed=9)
    return run.root


def test_every_output_says_what_the_models_measure(tmp_path: Path) -> None:
    report = collect(run_of(tmp_path))
    assert report.finals == (
        tree.Final("bleu", "test", "last", (37.5, 38.25), (0, 1), "", BLEU),
        tree.Final("loss", "test", "last", (1.5, 1.5), (0, 1)),
    )
    said = "On test, mean of 2 seeds: BLEU 37.88, loss 1.500."
    assert terminal.render(report).splitlines()[1] == said
    page, text = html.render(report), markdown.render(report)
    assert said in page and BLEU in page and "37.50 to 38.25" in page
    assert said in text and "| bleu | 37.88 | 2 | test | nrefs:1\\|tok:13a |" in text


def test_a_printed_result_or_several_systems_say_it_themselves(tmp_path: Path) -> None:
    report = collect(run_of(tmp_path / "one"))
    row = tree.Row("a", "a", "match", paper=38.0, ours=37.9, n=2)
    assert finals.told(report) and not finals.told(replace(report, rows=(row,)))
    several = collect(run_of(tmp_path / "two", ("small", "large")))
    assert not finals.told(several)
    assert '<th scope="row">small</th>' in html.render(several) and "| large: bleu |" in markdown.render(several)
