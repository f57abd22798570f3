"""Session pages in a run folder: session/<step>.json and .md, where the report finds them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from repro.configuration.secrets import mask_text
from repro.phases import ORDER
from repro.session.markdown import render
from repro.session.page import Page
from repro.tracking.files import read_json, write_json, write_text

if TYPE_CHECKING:
    from repro.contract.paper import Paper
    from repro.tracking.run_folder import RunFolder

FOLDER = "session"


def write_all(paper: Paper, folder: RunFolder, table_hash: str, config_file: Path | None) -> None:
    """Write the page of every step of a run."""
    from repro.session.build import build_page, valid_evidence

    valid = valid_evidence(paper, folder, table_hash)
    for step in ORDER:
        write(build_page(step, paper, folder, valid, config_file), folder.root)


def write(page: Page, root: Path) -> Path:
    """Write the page below a run folder; returns the Markdown file."""
    write_json(root / FOLDER / f"{page.step}.json", page.to_json())
    path = root / FOLDER / f"{page.step}.md"
    write_text(path, mask_text(render(page)))
    return path


def read(root: Path) -> list[Page]:
    """The pages of a run folder, in the order of the steps."""
    pages = [Page.from_json(read_json(path)) for path in (root / FOLDER).glob("*.json")]
    return sorted(pages, key=lambda page: page.number)
