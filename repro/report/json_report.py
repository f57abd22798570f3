"""The report as JSON, and the schema that it keeps: schema.json beside this file, made from the records of `tree`.

Numbers that are not finite are the strings "NaN", "Infinity" and "-Infinity". `format` grows when a key changes its
meaning or goes; new keys do not change it.
"""

from __future__ import annotations

import types
from dataclasses import asdict, fields, is_dataclass, replace
from typing import Any, Union, get_args, get_origin, get_type_hints

from repro.report import tree, words
from repro.tracking.files import dumps

FORMAT = 1
ADDRESS = "https://json-schema.org/draft/2020-12/schema"


def render(report: tree.Report) -> str:
    """The text of report.json, indented, with a line break at the end."""
    counts = {name: tree.tally(rows) for name, rows in parts(report).items()}
    light = replace(report, pictures=tuple(replace(one, data="", still="") for one in report.pictures))
    document = {"format": FORMAT, "sentence": words.first_sentence(report), "tally": counts, **asdict(light)}
    return dumps(document, indent=1) + "\n"


def parts(report: tree.Report) -> dict[str, tuple[tree.Row, ...]]:
    """The three kinds of rows that are counted apart, and the context that is not counted."""
    return {"results": report.results, "facts": report.facts, "analogues": report.analogues, "context": report.context}


def schema() -> dict[str, Any]:
    """The JSON schema of report.json; schema.json holds this, and a test keeps them equal."""
    definitions: dict[str, Any] = {}
    body = record(tree.Report, definitions)
    tallies = {
        "type": "object",
        "required": list(tree.VERDICTS),
        "additionalProperties": {"type": "integer", "minimum": 0},
    }
    names = ("results", "facts", "analogues", "context")
    body["properties"] = {
        "format": {"const": FORMAT},
        "sentence": {"type": "string", "description": "The first sentence of every output."},
        "tally": {"type": "object", "required": list(names), "properties": dict.fromkeys(names, tallies)},
        **body["properties"],
    }
    body["required"] = ["format", "sentence", "tally", *body["required"]]
    definitions["Number"] = {
        "description": "A number; what is not finite is named.",
        "anyOf": [{"type": "number"}, {"enum": ["NaN", "Infinity", "-Infinity"]}],
    }
    definitions["Row"]["properties"]["verdict"] = {"enum": list(tree.VERDICTS)}
    definitions["Row"]["properties"]["kind"] = {"enum": ["fact", "value", "curve", "claim"]}
    definitions["Row"]["properties"]["setting"] = {"enum": ["paper", "analogue"]}
    return {"$schema": ADDRESS, "title": "Discrepancy report", **body, "$defs": dict(sorted(definitions.items()))}


def record(kind: type, definitions: dict[str, Any]) -> dict[str, Any]:
    """A dataclass as an object: every field is there, more are allowed."""
    hints = get_type_hints(kind)
    properties = {one.name: type_schema(hints[one.name], definitions) for one in fields(kind)}
    description = " ".join((kind.__doc__ or "").split())
    if description.startswith(f"{kind.__name__}("):
        description = ""  # dataclasses writes the signature where there is no docstring
    result: dict[str, Any] = {"type": "object", "properties": properties, "required": list(properties)}
    return {"description": description, **result} if description else result


def type_schema(hint: Any, definitions: dict[str, Any]) -> dict[str, Any]:
    simple = {
        str: {"type": "string"},
        bool: {"type": "boolean"},
        int: {"type": "integer"},
        type(None): {"type": "null"},
    }
    if hint in simple:
        return dict(simple[hint])
    if hint is float:
        return {"$ref": "#/$defs/Number"}
    if hint is Any:
        return {}
    if is_dataclass(hint) and isinstance(hint, type):
        if hint.__name__ not in definitions:
            definitions[hint.__name__] = {}  # its place, should it refer to itself
            definitions[hint.__name__] = record(hint, definitions)
        return {"$ref": f"#/$defs/{hint.__name__}"}
    origin, inner = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        return {"anyOf": [type_schema(one, definitions) for one in inner]}
    if origin is tuple and len(inner) == 2 and inner[1] is Ellipsis:
        return {"type": "array", "items": type_schema(inner[0], definitions)}
    if origin is tuple:
        items = [type_schema(one, definitions) for one in inner]
        return {"type": "array", "prefixItems": items, "minItems": len(items), "maxItems": len(items)}
    if origin is dict:
        return {"type": "object", "additionalProperties": type_schema(inner[1], definitions)}
    raise TypeError(f"no schema for {hint!r}")
