"""The from-scratch lint: pre-built parts of the paper's core algorithm in its own files, found in the syntax tree."""

from __future__ import annotations

import ast
import fnmatch
from collections.abc import Iterator
from pathlib import Path

from repro.checks.registry import check, not_run, passed, warned
from repro.contract.bench import Bench
from repro.contract.components import relative
from repro.findings import Finding

#: Allowed although it is pre-built attention: as the declared fused path of an explicit one that it is equal to.
ALLOWED = ("torch.nn.functional.scaled_dot_product_attention",)


@check(phase="model", family="lint", component="model")
def from_scratch(bench: Bench) -> list[Finding]:
    """Decides whether the core algorithm is written out: no pre-built part of the type's list is used. It never blocks.

    Broken: an import or use of a part that the paper is about.
    Likely: a library layer used where the paper's own layer is to be written
    """
    forbidden = list((bench.paper.settings.get("type") or {}).get("from_scratch", {}).get("forbidden") or [])
    if not forbidden:
        return [not_run("the paper's type lists no pre-built parts (from_scratch.forbidden)")]
    overrides = dict((bench.paper.settings.get("paper") or {}).get("from_scratch_overrides") or {})
    findings = []
    for path in sorted(paper_files(bench)):
        for line, used in uses(path):
            pattern = next((p for p in forbidden if matches(used, p)), None)
            if pattern is None or used in ALLOWED:
                continue
            reason = next((overrides[key] for key in (used, pattern, used.rpartition(".")[2]) if key in overrides), "")
            findings.append(
                warned(
                    f"pre-built part: {used}" + (f"; kept on purpose: {reason}" if reason else ""),
                    expected="the core algorithm written out in plain PyTorch",
                    observed=f"{used} in {relative(str(path))}",
                    threshold=f"the type's list: {pattern}",
                    location=f"{relative(str(path))}:{line}",
                    reason=reason or f"to keep it, say why: paper.from_scratch_overrides: {{{pattern}: <reason>}}",
                    details={"part": used, "pattern": pattern, "override": reason},
                )
            )
    return findings or [
        passed("no pre-built part of the core algorithm", expected=f"none of {', '.join(forbidden)}", observed="none")
    ]


def paper_files(bench: Bench) -> set[Path]:
    """The source files of the paper's components and pieces, and what they import beside them."""
    from repro.phases.fingerprints import source_files

    return {path for target in bench.paper.targets().values() for path in source_files(target)}


def matches(used: str, pattern: str) -> bool:
    """Whether a dotted name is what a pattern forbids, or lies inside it."""
    return fnmatch.fnmatchcase(used, pattern) or fnmatch.fnmatchcase(used, f"{pattern}.*")


def uses(path: Path) -> Iterator[tuple[int, str]]:
    """(line, full dotted name) of every import and every attribute chain of an imported name in a file, once each."""
    try:
        tree = ast.parse(path.read_bytes())
    except SyntaxError:
        return  # importing the file reports this, with the line
    names: dict[str, str] = {}
    seen: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                names[alias.asname or alias.name.partition(".")[0]] = (
                    alias.name if alias.asname else alias.name.partition(".")[0]
                )
                yield from once(seen, node.lineno, alias.name)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            for alias in node.names:
                full = f"{node.module}.{alias.name}"
                names[alias.asname or alias.name] = full
                yield from once(seen, node.lineno, full)
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            parts = [node.attr]
            inner: ast.expr = node.value
            while isinstance(inner, ast.Attribute):
                parts.append(inner.attr)
                inner = inner.value
            if isinstance(inner, ast.Name) and inner.id in names:
                yield from once(seen, node.lineno, ".".join([names[inner.id], *reversed(parts)]))


def once(seen: set[str], line: int, name: str) -> Iterator[tuple[int, str]]:
    if name not in seen:
        seen.add(name)
        yield line, name
