"""The discrepancy report: built from the files of a run, without torch, in HTML, Markdown and JSON."""

from __future__ import annotations

from pathlib import Path


def build(run_folder: Path) -> dict[str, Path]:
    """Write report.html, report.md and report.json into the run folder; returns their paths by ending.

    The same files in the folder give the same bytes. Raises `repro.errors.ReproError` where the folder is no run or
    cannot be written.
    """
    from repro.report import html, json_report, markdown
    from repro.report.collect import collect
    from repro.tracking.files import write_text

    run_folder = Path(run_folder)
    report = collect(run_folder)
    texts = {"html": html.render(report), "md": markdown.render(report), "json": json_report.render(report)}
    paths = {}
    for ending, text in texts.items():
        paths[ending] = run_folder / f"report.{ending}"
        write_text(paths[ending], text)
    return paths
