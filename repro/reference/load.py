"""From a YAML file to a Table: every fault is collected and told at once, each with its line and key."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

from repro.arithmetic import ExpressionError, compiled
from repro.errors import TableError
from repro.reference.located import Fault, Located, read
from repro.reference.points import PointsFile, read_points
from repro.reference.printed import Printed, is_number
from repro.reference.schema import (
    CONFIRMATIONS,
    DIRECTIONS,
    EXPECTATIONS,
    KINDS,
    METHODS,
    SETTINGS,
    SPREADS,
    TOLERANCES,
    Anchor,
    Assumption,
    Claim,
    Derivation,
    Fact,
    Group,
    Record,
    Requires,
    Sensitivity,
    Spread,
    Statement,
    Table,
    Task,
    Tasks,
    Tolerance,
)

T = TypeVar("T")
U = TypeVar("U")

IDENTIFIER = re.compile(r"[a-z][a-z0-9_]*")
STATISTIC = re.compile(r"last|best|mean_of_last_\d+|last_\d+_checkpoints_averaged")

RECORD_KEYS = (
    "kind", "setting", "own", "label", "group", "value", "rounding", "unit", "direction", "metric", "split",
    "statistic", "readings", "protocol", "method", "bounds", "spread", "seeds", "version", "where", "quote",
    "confirmed", "system", "requires", "tolerance", "fact", "claim", "derivation", "alternatives", "also_stated",
    "points", "compute", "note",
)  # fmt: skip
TABLE_KEYS = ("paper", "version", "templates", "derivations", "records", "consistency", "tasks")


def load_table(path: str | Path) -> Table:
    """The table in the file `path`; TableError lists all faults, or says that the file cannot be read."""
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise TableError(
            f"The reference table {path} cannot be read: {error.strerror}.",
            "A paper's table is reference_numbers/<name>.yaml; conf/paper/<name>.yaml names it as `paper.reference`.",
        ) from error
    except UnicodeDecodeError as error:
        raise TableError(f"The reference table {path} is not UTF-8 text: byte {error.start}.") from error
    return parse_table(text, str(path))


def parse_table(text: str, name: str = "reference_numbers/<text>.yaml") -> Table:
    """The table in `text`; `name` is how messages call it."""
    faults: list[Fault] = []
    root = read(text, faults)
    table = Reader(faults, Path(name).parent).table(root, name) if root is not None else None
    if faults or table is None:
        unique = sorted(dict.fromkeys(faults), key=lambda fault: (fault.line, fault.path))
        count = f"{len(unique)} fault" + ("s" if len(unique) != 1 else "")
        raise TableError("\n".join([f"{name} has {count}:", *map(str, unique)]))
    return table


def shown(node: Located) -> str:
    """A value as a fault quotes it, shortened."""
    if isinstance(node.value, dict):
        return "a mapping"
    if isinstance(node.value, list):
        return "a list"
    text = node.text if len(node.text) <= 40 else node.text[:37] + "…"
    return repr(text)


class Reader:
    """Reads located YAML into records; each method appends to `faults` and returns None where it cannot read."""

    def __init__(self, faults: list[Fault], folder: Path) -> None:
        self.faults = faults
        self.folder = folder  # of the table, to which the files of digitised curves are relative
        self.derivations: dict[str, Derivation] = {}

    def fault(self, line: int, path: str, message: str) -> Any:
        """Collect a fault; gives None, so that a reader may return it."""
        self.faults.append(Fault(line, path, message))

    # scalars -------------------------------------------------------------------------------------------------

    def text(self, node: Located, path: str) -> str | None:
        if isinstance(node.value, (dict, list)) or not node.text.strip():
            return self.fault(node.line, path, f"got {shown(node)}, need text")
        return " ".join(node.text.split())

    def choice(self, options: Sequence[str]) -> Callable[[Located, str], str | None]:
        def read_choice(node: Located, path: str) -> str | None:
            if node.text not in options or isinstance(node.value, (dict, list)):
                return self.fault(node.line, path, f"got {shown(node)}, need {' or '.join(options)}")
            return node.text

        return read_choice

    def flag(self, node: Located, path: str) -> bool | None:
        if not isinstance(node.value, bool):
            return self.fault(node.line, path, f"got {shown(node)}, need true or false")
        return node.value

    def number(self, node: Located, path: str) -> float | None:
        if isinstance(node.value, (dict, list, bool)) or not is_number(node.text):
            return self.fault(node.line, path, f"got {shown(node)}, need a finite number")
        return Printed(node.text).number

    def positive(self, node: Located, path: str) -> float | None:
        value = self.number(node, path)
        if value is not None and value <= 0:
            return self.fault(node.line, path, f"got {shown(node)}, need a number above 0")
        return value

    def whole(self, node: Located, path: str) -> int | None:
        value = self.positive(node, path)
        if value is not None and value != int(value):
            return self.fault(node.line, path, f"got {shown(node)}, need a whole number")
        return None if value is None else int(value)

    def printed(self, node: Located, path: str) -> Printed | None:
        if isinstance(node.value, (dict, list, bool)) or not is_number(node.text):
            return self.fault(node.line, path, f"got {shown(node)}, need the number as the paper prints it")
        return Printed(node.text)

    def expression(self, node: Located, path: str) -> str | None:
        text = self.text(node, path)
        if text is None:
            return None
        try:
            return compiled(text).text
        except ExpressionError as error:
            return self.fault(node.line, path, str(error))

    # containers ----------------------------------------------------------------------------------------------

    def entries(
        self, node: Located, path: str, known: Sequence[str], required: Sequence[str] = (), example: str = ""
    ) -> dict[str, Located] | None:
        """A mapping whose keys are known and complete."""
        if not isinstance(node.value, dict):
            need = example or f"a mapping with {', '.join(required or known)}"
            return self.fault(node.line, path, f"got {shown(node)}, need {need}")
        for key, value in node.value.items():
            if key not in known:
                near = difflib.get_close_matches(key, known, n=1)
                say = f"did you mean {near[0]}?" if near else f"known are {', '.join(known)}"
                self.fault(value.line, f"{path}.{key}" if path else key, f"is no key of this mapping; {say}")
        missing = [key for key in required if key not in node.value]
        for key in missing:
            self.fault(node.line, f"{path}.{key}" if path else key, f"missing; {MISSING.get(key, 'it is needed')}")
        return None if missing else node.value

    def optional(
        self, entries: dict[str, Located], key: str, path: str, read: Callable[[Located, str], T | None], default: U
    ) -> T | U:
        """entries[key] read by `read`, or `default` where absent or faulty."""
        if key not in entries:
            return default
        value = read(entries[key], f"{path}.{key}" if path else key)
        return default if value is None else value

    def listed(self, read: Callable[[Located, str], T | None]) -> Callable[[Located, str], tuple[T, ...] | None]:
        def read_list(node: Located, path: str) -> tuple[T, ...] | None:
            if not isinstance(node.value, list):
                return self.fault(node.line, path, f"got {shown(node)}, need a list")
            values = [read(part, f"{path}[{i}]") for i, part in enumerate(node.value)]
            return tuple(value for value in values if value is not None)

        return read_list

    # parts of a record ---------------------------------------------------------------------------------------

    def tolerance(self, node: Located, path: str) -> Tolerance | None:
        need = "a number and its reason, for example {value: 0.5, reason: …}"
        entries = self.entries(node, path, ("value", "reason", "kind"), ("value", "reason"), need)
        if entries is None:
            return None
        value = self.positive(entries["value"], f"{path}.value")
        reason = self.text(entries["reason"], f"{path}.reason")
        kind = self.optional(entries, "kind", path, self.choice(TOLERANCES), "absolute")
        return None if value is None or reason is None else Tolerance(value, reason, kind)

    def spread(self, node: Located, path: str) -> Spread | None:
        entries = self.entries(node, path, ("value", "kind"), ("value", "kind"))
        if entries is None:
            return None
        value = self.number(entries["value"], f"{path}.value")
        kind = self.choice(SPREADS)(entries["kind"], f"{path}.kind")
        if value is not None and value < 0:
            return self.fault(node.line, path, f"got {value:g}, need a spread of at least 0")
        return None if value is None or kind is None else Spread(value, kind)

    def requires(self, node: Located, path: str) -> Requires | None:
        entries = self.entries(node, path, ("scale", "data", "overrides", "not_built", "settings"))
        if entries is None:
            return None
        return Requires(
            self.optional(entries, "scale", path, self.text, ""),
            self.optional(entries, "data", path, self.text, ""),
            self.optional(entries, "overrides", path, self.listed(self.override), ()),
            self.optional(entries, "not_built", path, self.text, ""),
            self.optional(entries, "settings", path, self.listed(self.override), ()),
        )

    def override(self, node: Located, path: str) -> str | None:
        text = self.text(node, path)
        if text is not None and "=" not in text:
            return self.fault(node.line, path, f"got {text!r}, need key=value, for example model.layers=2")
        return text

    def bounds(self, node: Located, path: str) -> tuple[float | None, float | None] | None:
        if not isinstance(node.value, list) or len(node.value) != 2:
            return self.fault(node.line, path, f"got {shown(node)}, need [lowest, highest], either may be null")
        ends = [
            None if part.value is None and part.text in ("null", "~", "") else self.number(part, f"{path}[{i}]")
            for i, part in enumerate(node.value)
        ]
        return ends[0], ends[1]

    def fact(self, node: Located, path: str) -> Fact | None:
        entries = self.entries(node, path, ("name", "overrides"), ("name",))
        if entries is None:
            return None
        name = self.text(entries["name"], f"{path}.name")
        overrides = self.optional(entries, "overrides", path, self.listed(self.override), ())
        return None if name is None else Fact(name, overrides)

    def claim(self, node: Located, path: str) -> Claim | None:
        known = ("ablation", "expect", "against", "difference")
        entries = self.entries(node, path, known, ("ablation", "expect"))
        if entries is None:
            return None
        ablation = self.text(entries["ablation"], f"{path}.ablation")
        expect = self.choice(EXPECTATIONS)(entries["expect"], f"{path}.expect")
        against = entries.get("against")
        against_name = None if against is None or against.value is None else self.text(against, f"{path}.against")
        difference = entries.get("difference")
        printed = None if difference is None else self.printed(difference, f"{path}.difference")
        return None if ablation is None or expect is None else Claim(ablation, expect, against_name, printed)

    def assumption(self, name: str, node: Located, path: str) -> Assumption | None:
        """What is assumed, as the paper states it (`value`) or within low … high where it does not."""
        known = ("value", "rounding", "where", "quote", "low", "high", "whole")
        entries = self.entries(node, path, known)
        if entries is None:
            return None
        printed = self.optional(entries, "value", path, self.printed, None)
        if printed is not None and "rounding" in entries:
            half_width = self.positive(entries["rounding"], f"{path}.rounding")
            printed = printed if half_width is None else Printed(printed.text, half_width)
        low = self.optional(entries, "low", path, self.number, 0.0)
        high = self.optional(entries, "high", path, self.number, 1e12)
        if low >= high:
            return self.fault(node.line, path, f"low {low:g} is not below high {high:g}")
        return Assumption(
            name,
            printed,
            self.optional(entries, "where", path, self.text, ""),
            self.optional(entries, "quote", path, self.text, ""),
            low,
            high,
            self.optional(entries, "whole", path, self.flag, False),
        )

    def assumptions(self, node: Located, path: str) -> tuple[Assumption, ...] | None:
        if not isinstance(node.value, dict):
            return self.fault(node.line, path, f"got {shown(node)}, need a mapping from name to what is assumed")
        found = [self.assumption(name, part, f"{path}.{name}") for name, part in node.value.items()]
        return tuple(assumption for assumption in found if assumption is not None)

    def sensitivity(self, node: Located, path: str) -> Sensitivity | None:
        entries = self.entries(node, path, ("name", "value", "text"), ("name", "value", "text"))
        if entries is None:
            return None
        name = self.text(entries["name"], f"{path}.name")
        value = self.number(entries["value"], f"{path}.value")
        text = self.text(entries["text"], f"{path}.text")
        return None if name is None or value is None or text is None else Sensitivity(name, value, text)

    def inputs(self, node: Located, path: str) -> dict[str, float | Printed] | None:
        """Inputs of a derivation: a plain number is exact, {printed: "0.4"} brings its rounding."""
        if not isinstance(node.value, dict):
            return self.fault(node.line, path, f"got {shown(node)}, need a mapping from name to number")
        found: dict[str, float | Printed] = {}
        for name, part in node.value.items():
            below = f"{path}.{name}"
            if isinstance(part.value, dict):
                entries = self.entries(part, below, ("printed", "rounding"), ("printed",))
                printed = None if entries is None else self.printed(entries["printed"], f"{below}.printed")
                if entries is not None and printed is not None:
                    half = self.optional(entries, "rounding", below, self.positive, printed.half_width)
                    found[name] = Printed(printed.text, half)
                continue
            value = self.number(part, below)
            if value is not None:
                found[name] = int(value) if value == int(value) and abs(value) < 2**53 else value
        return found

    def derivation(self, node: Located, path: str) -> Derivation | None:
        """A calculation: an expression, or a formula of `derivations` of which any part may be given anew."""
        known = ("formula", "expression", "names", "let", "text", "assumptions", "sensitivities")
        entries = self.entries(node, path, known)
        if entries is None:
            return None
        base: Derivation | None = None
        if "formula" in entries:
            formula = self.text(entries["formula"], f"{path}.formula")
            base = self.derivations.get(formula or "")
            if base is None:
                have = ", ".join(self.derivations) or "none"
                line = entries["formula"].line
                return self.fault(line, f"{path}.formula", f"got {formula!r}; derivations has {have}")
        elif "expression" not in entries:
            return self.fault(node.line, path, "missing expression, or the name of a formula under derivations")
        expression = self.optional(entries, "expression", path, self.expression, base.expression if base else "")
        let = self.optional(entries, "let", path, self.let, base.let if base else ())
        names: dict[str, float | Printed] = self.optional(entries, "names", path, self.inputs, {})
        return Derivation(
            expression,
            {**(base.names if base else {}), **names},
            let,
            self.optional(entries, "text", path, self.text, base.text if base else ""),
            self.optional(entries, "assumptions", path, self.assumptions, base.assumptions if base else ()),
            self.optional(
                entries, "sensitivities", path, self.listed(self.sensitivity), base.sensitivities if base else ()
            ),
        )

    def let(self, node: Located, path: str) -> tuple[tuple[str, str], ...] | None:
        if not isinstance(node.value, dict):
            return self.fault(node.line, path, f"got {shown(node)}, need a mapping from name to expression")
        found = [(name, self.expression(part, f"{path}.{name}")) for name, part in node.value.items()]
        return tuple((name, expression) for name, expression in found if expression is not None)

    def complete(self, derivation: Derivation, line: int, path: str) -> None:
        """A fault for every name that a record's derivation uses and nothing gives."""
        given = {*derivation.names, *(assumption.name for assumption in derivation.assumptions)}
        steps = [*derivation.let, ("expression", derivation.expression)]
        for name, expression in steps:
            if not expression:
                continue
            lacking = sorted(compiled(expression).names - given)
            if lacking:
                self.fault(line, path, f"{name} uses {', '.join(lacking)}, which nothing gives")
            given |= {name, *lacking}
        for sensitivity in derivation.sensitivities:
            if sensitivity.name not in derivation.names:
                self.fault(line, path, f"sensitivities: {sensitivity.name} is not one of its names")

    def statement(self, node: Located, path: str) -> Statement | None:
        entries = self.entries(node, path, ("value", "where", "quote"), ("value", "where"))
        if entries is None:
            return None
        printed = self.printed(entries["value"], f"{path}.value")
        where = self.text(entries["where"], f"{path}.where")
        quote = self.optional(entries, "quote", path, self.text, "")
        return None if printed is None or where is None else Statement(printed, where, quote)

    def point(self, node: Located, path: str) -> tuple[float, ...] | None:
        if not isinstance(node.value, list) or len(node.value) not in (2, 3):
            return self.fault(node.line, path, f"got {shown(node)}, need [step, value] or [step, value, tolerance]")
        step, value = (self.number(part, f"{path}[{i}]") for i, part in enumerate(node.value[:2]))
        tolerance = [self.positive(part, f"{path}[2]") for part in node.value[2:]]
        if step is None or value is None or None in tolerance:
            return None
        return (step, value, *(one for one in tolerance if one is not None))

    def points(self, node: Located, path: str) -> tuple[tuple[float, ...], ...] | None:
        """The points of a curve, written out or in a CSV file beside the table; steps increase."""
        if isinstance(node.value, dict):
            return self.points_file(node, path)
        if not isinstance(node.value, list):
            need = "a list of [step, value], or {file: curves/<name>.csv, step: <column>, value: <column>}"
            return self.fault(node.line, path, f"got {shown(node)}, need {need}")
        points: list[tuple[float, ...]] = []
        for i, part in enumerate(node.value):
            point = self.point(part, f"{path}[{i}]")
            if point is not None and points and point[0] <= points[-1][0]:
                got = f"got step {point[0]:g} after {points[-1][0]:g}"
                self.fault(part.line, f"{path}[{i}]", f"{got}, need increasing steps")
            points += [point] if point is not None else []
        if not node.value:
            self.fault(node.line, path, "got an empty list; a curve needs points")
        return tuple(points)

    def points_file(self, node: Located, path: str) -> tuple[tuple[float, ...], ...] | None:
        """The points of a curve from a CSV file; its faults are told at the line of the table that names it."""
        known, required = ("file", "step", "value", "tolerance", "updates", "every"), ("file", "step", "value")
        need = "a mapping with file, step and value: a CSV file beside the table and two of its columns"
        entries = self.entries(node, path, known, required, need)
        if entries is None:
            return None
        before = len(self.faults)
        source = PointsFile(
            self.optional(entries, "file", path, self.text, ""),
            self.optional(entries, "step", path, self.text, ""),
            self.optional(entries, "value", path, self.text, ""),
            self.optional(entries, "tolerance", path, self.text, ""),
            self.optional(entries, "updates", path, self.positive, 1.0),
            self.optional(entries, "every", path, self.whole, None),
        )
        if len(self.faults) > before:
            return None
        points, faults = read_points(source, self.folder)
        for message in faults:
            self.fault(node.line, path, message)
        return points

    # records and table ---------------------------------------------------------------------------------------

    def record(self, id: str, node: Located, path: str) -> Record | None:
        """One record, or None where any part of it is at fault; what its kind needs is looked at as well."""
        entries = self.entries(node, path, RECORD_KEYS, ("kind", "label", "group", "where", "confirmed"))
        if entries is None:
            return None
        before = len(self.faults)
        if not IDENTIFIER.fullmatch(id):
            self.fault(node.line, path, "an id is lower-case letters, digits and _, beginning with a letter")

        def get(key: str, read: Callable[[Located, str], T | None], default: U) -> T | U:
            return self.optional(entries, key, path, read, default)

        printed = get("value", self.printed, None)
        if printed is not None and "rounding" in entries:
            printed = Printed(printed.text, get("rounding", self.positive, printed.half_width))
        record = Record(
            id=id,
            kind=get("kind", self.choice(KINDS), ""),
            label=get("label", self.text, ""),
            group=get("group", self.text, ""),
            setting=get("setting", self.choice(SETTINGS), "paper"),
            own=get("own", self.flag, True),
            printed=printed,
            unit=get("unit", self.text, ""),
            direction=get("direction", self.choice(DIRECTIONS), "none"),
            metric=get("metric", self.text, ""),
            split=get("split", self.text, ""),
            statistic=get("statistic", self.statistic, "last"),
            readings=get("readings", self.listed(self.statistic), ()),
            protocol=get("protocol", self.text, ""),
            method=get("method", self.choice(METHODS), "normal"),
            bounds=get("bounds", self.bounds, (None, None)),
            spread=get("spread", self.spread, None),
            seeds=get("seeds", self.whole, None),
            version=get("version", self.text, ""),
            where=get("where", self.text, ""),
            quote=get("quote", self.text, ""),
            confirmed=get("confirmed", self.choice(CONFIRMATIONS), "unconfirmed"),
            system=get("system", self.text, ""),
            requires=get("requires", self.requires, Requires()),
            tolerance=get("tolerance", self.tolerance, None),
            fact=get("fact", self.fact, None),
            claim=get("claim", self.claim, None),
            derivation=get("derivation", self.derivation, None),
            alternatives=get("alternatives", self.listed(self.derivation), ()),
            also_stated=get("also_stated", self.listed(self.statement), ()),
            points=get("points", self.points, ()),
            compute=get("compute", self.text, ""),
            note=get("note", self.text, ""),
            line=node.line,
        )
        if len(self.faults) == before:
            self.coherent(record, entries, path)
        return record if len(self.faults) == before else None

    def statistic(self, node: Located, path: str) -> str | None:
        if not STATISTIC.fullmatch(node.text):
            need = "last, best, mean_of_last_<k> or last_<k>_checkpoints_averaged"
            return self.fault(node.line, path, f"got {shown(node)}, need {need}")
        return node.text

    def coherent(self, record: Record, entries: dict[str, Located], path: str) -> None:
        """What the kind of a record needs, and what its method needs of its bounds."""
        line = record.line
        needed = {"value": ["value"], "fact": ["value"], "curve": ["points"], "claim": ["claim"]}[record.kind]
        if record.own and record.kind in ("value", "curve"):
            needed += ["tolerance", "direction", "metric", "split"]
        if record.own and record.kind == "fact" and record.derivation is None:
            needed += ["fact"]
        if record.kind == "claim":
            needed += ["metric", "direction"]
        for key in needed:
            if key not in entries:
                self.fault(line, f"{path}.{key}", f"missing; {MISSING.get(key, f'a {record.kind} needs it')}")
        for key, kind in (("claim", "claim"), ("fact", "fact"), ("points", "curve")):
            if key in entries and record.kind != kind:
                self.fault(entries[key].line, f"{path}.{key}", f"belongs to a {kind}, and this is a {record.kind}")
        low, high = record.bounds
        if low is not None and high is not None and low >= high:
            self.fault(entries["bounds"].line, f"{path}.bounds", f"lowest {low:g} is not below highest {high:g}")
        if record.printed is not None and not (
            (low is None or low <= record.number) and (high is None or record.number <= high)
        ):
            self.fault(entries["value"].line, f"{path}.value", f"{record.number:g} lies outside bounds")
        if record.method == "logit" and (low is None or high is None):
            self.fault(line, f"{path}.bounds", "missing; method logit needs [lowest, highest]")
        if record.method == "cube_root" and (low is None) == (high is None):
            self.fault(line, f"{path}.bounds", "method cube_root needs the bound that the values crowd at, and null")
        if record.claim and record.claim.expect != "same" and record.direction == "none":
            self.fault(line, f"{path}.direction", "got 'none'; whether a change hurts needs higher or lower")
        if record.claim and record.tolerance is None and (record.claim.difference or record.claim.expect == "same"):
            self.fault(line, f"{path}.tolerance", f"missing; {MISSING['tolerance']}")
        if record.derivation is not None:
            self.complete(record.derivation, entries["derivation"].line, f"{path}.derivation")
        for i, alternative in enumerate(record.alternatives):
            self.complete(alternative, entries["alternatives"].line, f"{path}.alternatives[{i}]")

    def group(self, id: str, node: Located, path: str, records: dict[str, Record]) -> Group | None:
        """Records that must hold for one value of an assumption, which each of their derivations has to make."""
        known = ("records", "assumption", "text")
        entries = self.entries(node, path, known, ("records", "assumption"))
        if entries is None:
            return None
        ids: tuple[str, ...] = self.optional(entries, "records", path, self.listed(self.text), ())
        assumption_node = entries["assumption"]
        parts = ("name", "value", "rounding", "where", "quote", "low", "high", "whole")
        named = self.entries(assumption_node, f"{path}.assumption", parts, ("name",))
        if named is None:
            return None
        name = self.text(named["name"], f"{path}.assumption.name")
        rest = Located(assumption_node.line, {key: value for key, value in named.items() if key != "name"})
        assumption = self.assumption(name or "", rest, f"{path}.assumption")
        line = entries["records"].line
        for record_id in ids:
            record = records.get(record_id)
            if record is None:
                self.fault(line, f"{path}.records", f"{record_id!r} is no record of this table")
            elif record.derivation is None or record.printed is None:
                self.fault(line, f"{path}.records", f"{record_id} has no value with a derivation")
            elif name not in {a.name for a in record.derivation.assumptions}:
                self.fault(line, f"{path}.records", f"{record_id}'s derivation does not assume {name}")
        if assumption is None:
            return None
        return Group(id, ids, assumption, self.optional(entries, "text", path, self.text, ""))

    def tasks(self, node: Located, path: str, records: dict[str, Record]) -> Tasks | None:
        needed = ("metric", "split", "direction", "scores")
        entries = self.entries(node, path, needed, needed)
        if entries is None:
            return None
        metric = self.text(entries["metric"], f"{path}.metric") or ""
        scores = entries["scores"]
        if not isinstance(scores.value, dict):
            return self.fault(scores.line, f"{path}.scores", f"got {shown(scores)}, need a mapping from task to scale")
        found = [self.task(task, part, f"{path}.scores.{task}", metric, records) for task, part in scores.value.items()]
        return Tasks(
            metric,
            self.text(entries["split"], f"{path}.split") or "",
            self.choice(DIRECTIONS)(entries["direction"], f"{path}.direction") or "",
            tuple(task for task in found if task is not None),
        )

    def task(self, name: str, node: Located, path: str, metric: str, records: dict[str, Record]) -> Task | None:
        entries = self.entries(node, path, ("low", "high"), ("low", "high"))
        if entries is None:
            return None
        low, high = (self.anchor(entries[end], f"{path}.{end}", metric, records) for end in ("low", "high"))
        return None if low is None or high is None else Task(name, low, high)

    def anchor(self, node: Located, path: str, metric: str, records: dict[str, Record]) -> Anchor | None:
        """{value, source}, or {record}: the printed number of a record of the same metric."""
        known = ("value", "source", "record")
        borrowed = isinstance(node.value, dict) and "record" in node.value
        entries = self.entries(node, path, known, ("record",) if borrowed else ("value", "source"))
        if entries is None:
            return None
        if not borrowed:
            printed = self.printed(entries["value"], f"{path}.value")
            source = self.text(entries["source"], f"{path}.source")
            return None if printed is None or source is None else Anchor(printed, source)
        id = entries["record"].text
        record = records.get(id)
        if len(entries) > 1:
            return self.fault(node.line, path, "a record brings its value and source; give nothing else")
        if record is None or record.printed is None:
            return self.fault(entries["record"].line, f"{path}.record", f"{id!r} is no record with a value")
        if record.metric != metric:
            return self.fault(
                entries["record"].line,
                f"{path}.record",
                f"{id} is of {record.metric or 'no metric'}, the tasks are of {metric}",
            )
        return Anchor(record.printed, f"{record.group}, {record.where}", id)

    def table(self, root: Located, name: str) -> Table | None:
        """The whole table: derivations first, since records name them, then what refers to records."""
        entries = self.entries(root, "", TABLE_KEYS, ("paper", "records"))
        if entries is None:
            return None
        for part in ("derivations", "records", "consistency"):
            if part in entries and not isinstance(entries[part].value, dict):
                got = shown(entries[part])
                return self.fault(entries[part].line, part, f"got {got}, need a mapping from id to its content")
        for id, node in (entries["derivations"].value if "derivations" in entries else {}).items():
            derivation = self.derivation(node, f"derivations.{id}")
            if derivation is not None:
                self.derivations[id] = derivation
        records: dict[str, Record] = {}
        whole = True
        for id, node in entries["records"].value.items():
            record = self.record(id, node, id)
            if record is None:
                whole = False
            else:
                records[id] = record
        groups: list[Group] = []
        if whole and "consistency" in entries:  # else every faulty record would be faulted twice
            for id, node in entries["consistency"].value.items():
                group = self.group(id, node, f"consistency.{id}", records)
                groups += [group] if group else []
        tasks = self.tasks(entries["tasks"], "tasks", records) if whole and "tasks" in entries else None
        paper = self.optional(entries, "paper", "", self.text, "")
        version = self.optional(entries, "version", "", self.text, "")
        return Table(paper, tuple(records.values()), tuple(groups), version, name, tasks)


#: What to write where a key is missing.
MISSING: dict[str, str] = {
    "direction": "say higher or lower (which is better), or none",
    "points": "a curve needs a list of [step, value], or a CSV file beside the table: {file: …, step: …, value: …}",
    "tolerance": "need a number and its reason, for example {value: 0.5, reason: …}",
    "value": "give the number as the paper prints it",
    "kind": f"say {' or '.join(KINDS)}",
    "label": "say in a few words what the number is",
    "group": "name the table or section it belongs to",
    "where": "say where the paper prints it",
    "confirmed": f"say how it was confirmed: {', '.join(CONFIRMATIONS)}",
    "metric": "name the key of the evaluation's result",
    "split": "name the split it was measured on",
    "reason": "a tolerance needs its reason",
    "fact": "a fact needs a derivation, or the name of what to measure in the code",
    "paper": "name the paper as conf/paper/<name>.yaml does",
    "records": "give a mapping from id to record",
    "scores": "give a mapping from task to {low: …, high: …}",
    "low": "give the score that becomes 0, {value: …, source: …}",
    "high": "give the score that becomes 1, {value: …, source: …} or {record: …}",
    "source": "say where the score comes from",
}
