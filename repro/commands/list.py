"""`list`: the papers that can be run, with their data sets and how many numbers each reports.

Nothing is imported or composed: what is shown is read from the YAML files.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from repro.commands.help import READER, Parser
from repro.commands.words import printable
from repro.configuration import folders
from repro.configuration.locate import shown, utf8
from repro.errors import ConfigError, ExitCode

EXAMPLES = ("list", "list --json")


def main(words: list[str]) -> ExitCode:
    parser = Parser("list", __doc__ or "", EXAMPLES, {**READER, ExitCode.OK: "the papers are listed"})
    parser.json("a JSON object instead of text")
    arguments = parser.parse_args(words)
    if added := folders.added():
        print(added, file=sys.stderr)
    found = papers()
    if arguments.json:
        print(json.dumps({"papers": found}, indent=2))
    else:
        print(printable(as_text(found)))
    return ExitCode.OK


def read(path: Path) -> Mapping[str, Any]:
    """The mapping that a config file holds. ConfigError with file and line if it is none."""
    try:
        # the C reader is five times as fast, and `list` is to answer at once
        content = yaml.load(utf8(path), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise ConfigError(f"{shown(path)} line {line}: this is not YAML: {error.problem}.") from error
    if not isinstance(content, Mapping):
        raise ConfigError(f"{shown(path)}: got {type(content).__name__}, need a mapping of keys to values.")
    return content


def _below(content: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = content.get(key)
    return value if isinstance(value, Mapping) else {}


def papers() -> list[dict[str, Any]]:
    """name, title, arxiv, type, data sets (the default first), number of reference numbers, file; by name."""
    sets = {name: read(path) for name, path in folders.options("data").items()}
    found = []
    for name, path in folders.options("paper").items():
        content = read(path)
        paper = _below(content, "paper")
        default = _default(content, "data")
        accepted = [one for one, data in sets.items() if name in (_below(data, "dataset").get("papers") or [])]
        found.append(
            {
                "name": name,
                "title": paper.get("title") or "",
                "arxiv": f"{paper.get('arxiv') or ''}{paper.get('version') or ''}",
                "type": paper.get("type") or _default(content, "type") or "other",
                "data": [one for one in (default,) if one] + [one for one in accepted if one != default],
                "reference_numbers": _numbers(paper.get("reference") or name),
                "file": str(path),
            }
        )
    return found


def _default(content: Mapping[str, Any], group: str) -> str:
    for entry in content.get("defaults") or []:
        if isinstance(entry, Mapping):
            for key, value in entry.items():
                if str(key).split()[-1].strip("/") == group and isinstance(value, str):
                    return value
    return ""


def _numbers(table: str) -> int | None:
    """How many records a reference table holds; None if there is no such table, which `run` will say."""
    try:
        content = read(folders.reference_table(table))
    except ConfigError:
        return None
    records = content.get("records") or content.get("numbers") or content.get("rows") or []
    return len(records)


def as_text(found: list[dict[str, Any]]) -> str:
    """One block a paper."""
    if not found:
        return "No paper yet: conf/paper/ is empty."
    width = max(len(paper["name"]) for paper in found)
    lines = []
    for paper in found:
        count = paper["reference_numbers"]
        facts = [
            f"arXiv:{paper['arxiv']}" if paper["arxiv"] else "",
            paper["type"],
            f"data {', '.join(paper['data'])}" if paper["data"] else "no data set yet",
            f"{count} reference number{'' if count == 1 else 's'}" if count is not None else "no reference table yet",
        ]
        lines += [
            f"{paper['name']:<{width}}  {paper['title'] or 'no title yet'}",
            f"{'':<{width}}  {' · '.join(fact for fact in facts if fact)}",
        ]
    lines += ["", f"Run one: python -m repro run paper={found[0]['name']}"]
    return "\n".join(lines)
