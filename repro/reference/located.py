"""YAML with the line of every value: what `yaml.safe_load` would give, and where each part was written.

Values keep their text, because the digits of a printed number carry its rounding ("27.30" is not "27.3").
Duplicate keys, which `safe_load` swallows, are faults.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import yaml

MERGE = "tag:yaml.org,2002:merge"
PLAIN = ("tag:yaml.org,2002:map", "tag:yaml.org,2002:seq")


@dataclass(frozen=True)
class Fault:
    """One thing wrong with a table: line (1-based), dotted path, what was got and what is needed."""

    line: int
    path: str
    message: str

    def __str__(self) -> str:
        return f"  line {self.line}  {self.path + ': ' if self.path else ''}{self.message}"


@dataclass(frozen=True)
class Located:
    """A value and its line: `value` is a dict[str, Located], a list[Located] or a scalar; `text` its source."""

    line: int
    value: Any
    text: str = ""

    def plain(self) -> Any:
        """The value as `yaml.safe_load` would give it."""
        if isinstance(self.value, dict):
            return {key: part.plain() for key, part in self.value.items()}
        if isinstance(self.value, list):
            return [part.plain() for part in self.value]
        return self.value


def read(text: str, faults: list[Fault]) -> Located | None:
    """The document of `text`; appends syntax faults and duplicate keys to `faults`; None if unreadable."""
    try:
        loader = yaml.SafeLoader(text)
    except yaml.YAMLError as error:  # characters that YAML forbids
        faults.append(Fault(1, "", f"not YAML: {str(error).splitlines()[0]}"))
        return None
    try:
        node = loader.get_single_node()
        if node is None:
            faults.append(Fault(1, "", "the file is empty; need a mapping with paper and records"))
            return None
        return locate(loader, node, "", faults, ())
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        faults.append(Fault(mark.line + 1 if mark else 1, "", f"not YAML: {error.problem or error.context}"))
    finally:
        loader.dispose()
    return None


def locate(loader: yaml.SafeLoader, node: yaml.Node, path: str, faults: list[Fault], above: tuple[int, ...]) -> Located:
    """`node` and all below it; `above` holds the identities of its ancestors, so that a cycle is a fault."""
    line = node.start_mark.line + 1
    if id(node) in above:
        faults.append(Fault(line, path, "an alias contains itself"))
        return Located(line, None)
    above = (*above, id(node))
    if isinstance(node, yaml.CollectionNode) and node.tag not in PLAIN:
        faults.append(Fault(line, path, f"not safe YAML: the tag {node.tag}"))
    if isinstance(node, yaml.MappingNode):
        return Located(line, mapping(loader, node, path, faults, above))
    if isinstance(node, yaml.SequenceNode):
        parts = [locate(loader, part, f"{path}[{i}]", faults, above) for i, part in enumerate(node.value)]
        return Located(line, parts)
    try:
        return Located(line, loader.construct_object(node), node.value)
    except yaml.MarkedYAMLError as error:  # a tag such as !!python/object, which safe YAML does not know
        faults.append(Fault(line, path, f"not safe YAML: {error.problem}"))
    except ValueError as error:  # a date such as 2024-13-45
        faults.append(Fault(line, path, f"got {node.value!r}: {error}"))
    return Located(line, None, node.value)


def mapping(
    loader: yaml.SafeLoader, node: yaml.MappingNode, path: str, faults: list[Fault], above: tuple[int, ...]
) -> dict[str, Located]:
    """The entries of a mapping: its own keys win over merged ones (`<<: *anchor`), the first merge over later."""
    own: dict[str, Located] = {}
    merged: dict[str, Located] = {}
    for key_node, value_node in node.value:
        line = key_node.start_mark.line + 1
        if key_node.tag == MERGE:
            sources = value_node.value if isinstance(value_node, yaml.SequenceNode) else [value_node]
            for source in sources:
                if not isinstance(source, yaml.MappingNode):
                    faults.append(Fault(line, path, "<< merges a value that is not a mapping"))
                    continue
                if id(source) in above:
                    faults.append(Fault(line, path, "an alias contains itself"))
                    continue
                # a fault inside an anchor is reported where the anchor stands, not once more at every use
                for key, value in mapping(loader, source, path, [], (*above, id(source))).items():
                    merged.setdefault(key, value)
            continue
        if not isinstance(key_node, yaml.ScalarNode):
            faults.append(Fault(line, path, "a key is not text"))
            continue
        key = key_node.value
        below = f"{path}.{key}" if path else key
        if key in own:
            faults.append(Fault(line, below, f"given twice, first on line {own[key].line}; keep one"))
            continue
        own[key] = locate(loader, value_node, below, faults, above)
    return {**merged, **own}
