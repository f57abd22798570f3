"""Write a record into a reference table's file: the rest of the file, comments and layout included, stays as it is."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from repro.errors import TableError
from repro.reference.load import parse_table
from repro.reference.schema import Table
from repro.tracking.files import write_text


def write_record(path: Path, id: str, entries: dict[str, Any], comment: str = "") -> Table:
    """Put record `id` at the end of `records:`, or in place of the record of that id; returns the table that results.

    Raises:
        TableError: the result would be no valid table; nothing is written then.
        RunFolderError: the file cannot be written.
    """
    text = path.read_text(encoding="utf-8")
    changed = with_record(text, id, entries, comment)
    table = parse_table(changed, str(path))
    if id not in table:
        raise TableError(
            f"{path}: {id} cannot be put into it: no top-level `records:` with indented ids was found.",
            "Write records as a block: `records:` on a line, each id below it, indented.",
        )
    write_text(path, changed)
    return table


def with_record(text: str, id: str, entries: dict[str, Any], comment: str = "") -> str:
    """The text of a table with the record in its block of records; unchanged where there is no such block."""
    import yaml

    lines = text.splitlines(keepends=True)
    start = next((i for i, line in enumerate(lines) if re.match(r"records:\s*(#.*)?$", line)), None)
    if start is None:
        return text
    end = next((i for i in range(start + 1, len(lines)) if re.match(r"[^\s#]", lines[i])), len(lines))
    first = next((line for line in lines[start + 1 : end] if re.match(r"\s+[^\s#]", line)), "  id:")
    indent = first[: len(first) - len(first.lstrip())]
    body = yaml.safe_dump(entries, sort_keys=False, allow_unicode=True, width=100, default_flow_style=None)
    block = [f"{indent}# {comment}\n"] if comment else []
    block += [f"{indent}{id}:\n", *(f"{indent}  {line}\n" for line in body.splitlines())]
    own = re.compile(rf"{indent}{re.escape(id)}:")
    at = next((i for i in range(start + 1, end) if own.match(lines[i])), None)
    if at is not None:
        after = next((i for i in range(at + 1, end) if re.match(rf"{indent}\S", lines[i])), end)
        # the comment that this function wrote above the old record goes with it
        before = at - 1 if comment and lines[at - 1].startswith(f"{indent}# {comment.split(' ')[0]} ") else at
        return "".join([*lines[:before], *block, *lines[after:]])
    while end > start + 1 and not lines[end - 1].strip():
        end -= 1
    if lines[end - 1] and not lines[end - 1].endswith("\n"):
        lines[end - 1] += "\n"
    return "".join([*lines[:end], *block, *lines[end:]])
