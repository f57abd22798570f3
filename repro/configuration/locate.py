"""The file and line where a config key is written, for error messages."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

import yaml

from repro.errors import ConfigError


def locate(key: str, files: Iterable[Path]) -> str:
    """ "path line n" of the last of `files` that sets the dotted `key`, or the nearest key above; empty if none.

    A number in the key is a place in a list: `properties.0.property`.
    """
    best, depth = "", 0
    for path in files:
        line, found = _line(path, key.split("."))
        if found and found >= depth:
            best, depth = f"{shown(path)} line {line}", found
    return best


def shown(path: Path) -> str:
    """The path as a person would type it: relative to the current folder where that is shorter."""
    try:
        return str(path.resolve().relative_to(Path.cwd().resolve()))
    except ValueError:
        return str(path)


def utf8(path: Path) -> str:
    """The text of a file that a person writes. ConfigError with its line for one in another encoding."""
    raw = path.read_bytes()
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as fault:
        line = raw[: fault.start].count(b"\n") + 1
        raise ConfigError(
            f"{shown(path)} line {line}: got the byte 0x{raw[fault.start]:02x}, need text in UTF-8.",
            "Save the file as UTF-8 in your editor.",
        ) from fault


def _line(path: Path, key: list[str]) -> tuple[int, int]:
    try:
        text = path.read_text(encoding="utf-8")
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except (yaml.YAMLError, OSError, UnicodeDecodeError):
        return 0, 0  # an unreadable file is another error's matter
    package = re.search(r"^#\s*@package\s+(\S+)", text, re.M)
    prefix = package[1] if package else path.parent.name
    parts = [] if prefix == "_global_" else prefix.split(".")
    if key[: len(parts)] != parts:
        return 0, 0
    line, depth = 0, 0
    for name in key[len(parts) :]:
        if isinstance(node, yaml.SequenceNode) and name.isdigit() and int(name) < len(node.value):
            node = node.value[int(name)]
            line, depth = node.start_mark.line + 1, depth + 1
            continue
        if not isinstance(node, yaml.MappingNode):
            break
        for key_node, value_node in node.value:
            if str(key_node.value) == name:
                line, node, depth = key_node.start_mark.line + 1, value_node, depth + 1
                break
        else:
            break
    return line, depth + (len(parts) if depth else 0)
