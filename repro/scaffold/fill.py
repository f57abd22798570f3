"""Fill the templates: from answers and the type's tensors to the text of every file, by its path."""

from __future__ import annotations

import json
import re
import string
import textwrap
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Any

import yaml

from repro.configuration.folders import options
from repro.phases import ORDER
from repro.scaffold.answers import COMPONENTS, Answers

#: What a body says where the type says nothing else.
SAYS = {
    "data_init": "load or make the examples of three splits; no example may be in two",
    "data_batches": "yield dicts of the tensors above; no example of training in a held-out split",
    "data_synthetic": "return one dict of n made-up examples of the declared shapes, drawn with this seed",
    "model": "The paper's model; each layer is a submodule with a name that `stages:` can use.",
    "model_init": "make the layers, and initialise them as the paper says",
    "model_forward": "compute the output from the inputs, step by step as in the paper",
    "loss": "return {'total': …} and whatever terms it is made of",
    "update": "model.train(), zero_grad, forward, loss, self.backward(total), clip, step; return the scalars to log",
    "evaluate": "go through data.batches(split) in eval mode, and return the metric of the whole split",
}
#: Longer titles would make the first lines of files too long to read.
SHORT_TITLE = 40


class Template(string.Template):
    """§{name}: `$` and `@` have meanings of their own in configs."""

    delimiter = "§"


def files(answers: Answers) -> dict[Path, str]:
    """Text of each file of a new paper, by its path below the current folder."""
    name = answers.name
    values = {**of_type(answers.type), **facts(answers)}
    if answers.numbers:
        values["metric"] = ", ".join(dict.fromkeys(number["metric"] for number in answers.numbers))
    names = {
        "paper.yaml": Path("conf/paper") / f"{name}.yaml",
        "reference_numbers.yaml": Path("reference_numbers") / f"{name}.yaml",
        **{part: Path(name) / part for part in ("__init__.py", "README.md", "questions.yaml")},
        **{f"{component}.py": Path(name) / f"{component}.py" for component in COMPONENTS},
    }
    return {path: filled(template, values) for template, path in names.items()}


def filled(template: str, values: Mapping[str, str]) -> str:
    text = resources.files("repro.scaffold").joinpath("templates", f"{template}.template").read_text("utf-8")
    return Template(text).substitute(values)


def facts(answers: Answers) -> dict[str, str]:
    """What the answers give; an empty one is left empty, so that the analysis gate names it."""
    title = " ".join((answers.title or answers.name).split()).replace('"', "'").replace("\\", "/")
    id, version = re.fullmatch(r"(.*?)(v\d+)?", answers.arxiv).groups()  # type: ignore[union-attr]  # it matches any
    tricky = [
        f"{{part: {quoted(entry['part'])}, hidden_in: {quoted(entry['hidden_in'])}, guard: {entry['guard'] or 'null'}}}"
        for entry in answers.tricky
    ]
    return {
        "name": answers.name,
        "type": answers.type,
        "title": quoted(answers.title),
        "title_text": title,
        "about": title if len(title) <= SHORT_TITLE else answers.name,  # in lines that say more
        "arxiv": quoted(id),
        "version": version or "null",
        "core_algorithm": quoted(answers.core_algorithm),
        "stripped_away": listed([quoted(text) for text in answers.stripped_away]),
        **{f"components_{name}": quoted(answers.components.get(name, "")) for name in COMPONENTS},
        "tricky_parts": listed(tricky),
        "compute": quoted(answers.compute),
        "records": records(answers),
        "paper_line": f"arXiv:{answers.arxiv}. " if answers.arxiv else "",
    }


def quoted(text: str) -> str:
    """A YAML scalar of any text; `null` for none. A JSON string is one, and `${` must not be an interpolation."""
    return json.dumps(" ".join(text.split()).replace("${", "$ {"), ensure_ascii=False) if text.strip() else "null"


def listed(entries: list[str], indent: str = "    ") -> str:
    return "".join(f"\n{indent}- {entry}" for entry in entries) or " []"


def records(answers: Answers) -> str:
    if not answers.numbers:
        return " {}"
    text = ""
    used: set[str] = set()
    for number in answers.numbers:
        id = re.sub(r"[^a-z0-9_]+", "_", number["metric"].lower()).strip("_") or "number"
        id = id if id[0].isalpha() else f"n_{id}"
        while id in used:
            id += "_2"
        used.add(id)
        text += f"""
  {id}:
    kind: value
    label: {quoted(number["metric"].replace("_", " "))}
    group: {quoted(re.split(r"[,;(]", number["where"])[0])}
    value: {number["value"]}
    # unit: percent, bits, points, …
    direction: {number["direction"]}
    metric: {number["metric"]}
    split: test
    where: {quoted(number["where"])}
    confirmed: unconfirmed    # once you have read it there: confirmed
    tolerance: {{value: {number["tolerance"]}, reason: {quoted(number["reason"])}}}"""
    return text


# --- the type ---------------------------------------------------------------------------------------------------------


def fragment(type_name: str) -> dict[str, Any]:
    """Tensors, signatures and words of a type; a type of the person's own is filled in like `other`."""
    place = resources.files("repro.scaffold").joinpath("types", f"{type_name}.yaml")
    if not place.is_file():
        place = resources.files("repro.scaffold").joinpath("types", "other.yaml")
    loaded: dict[str, Any] = yaml.safe_load(place.read_text("utf-8"))
    return loaded


def of_type(type_name: str) -> dict[str, str]:
    known = fragment(type_name)
    tensors: dict[str, dict[str, Any]] = known["tensors"]
    says = {**SAYS, **known["says"]}
    given = [name for name, entry in tensors.items() if "output_of" not in entry and "random" not in entry]
    outputs = [name for name, entry in tensors.items() if "output_of" in entry]
    width = max(map(len, given))
    model: dict[str, Any] = known["model"]
    return {
        "known_checks": known_checks(type_name),
        "tensors": "".join(f"  {name}: {flow(entry)}\n" for name, entry in tensors.items()).rstrip("\n"),
        "properties": "".join(f"  - {flow(entry)}\n" for entry in known["properties"]),
        "model_config": "".join(f"  {key}: {value}\n" for key, value in model.items()),
        "model_arguments": ", ".join(f"{key}: {type(value).__name__} = {value}" for key, value in model.items()),
        "model_arguments_doc": "\n".join(f"        {key}: under `model:` in the config." for key in model),
        "batch_table": "\n".join(
            f"    {name:<{width}}  {shape(tensors[name])}  {tensors[name]['meaning']}" for name in given
        ),
        "model_argument": ", model: Any = None" if known.get("acting") else "",
        "forward_arguments": arguments(known["forward"], tensors),
        "forward_returns": "Tensor" if len(outputs) == 1 else f"tuple[{', '.join(['Tensor'] * len(outputs))}]",
        "forward_shapes": f"{shapes(known['forward'], tensors)} → {shapes(outputs, tensors)}.",
        "loss_arguments": arguments(known["loss"], tensors),
        "loss_shapes": shapes(known["loss"], tensors),
        "metric": known["metric"],
        **{f"say_{key}": text for key, text in says.items()},
    }


def arguments(names: list[str], tensors: Mapping[str, Mapping[str, Any]]) -> str:
    """A signature; optional tensors, which may be left out, have a default."""
    return ", ".join(f"{n}: Tensor | None = None" if tensors[n].get("optional") else f"{n}: Tensor" for n in names)


def shape(entry: Mapping[str, Any]) -> str:
    return f"[{', '.join(map(str, entry['axes']))}] {entry['dtype']}"


def shapes(names: list[str], tensors: Mapping[str, Mapping[str, Any]]) -> str:
    return ", ".join(f"{name} [{', '.join(map(str, tensors[name]['axes']))}]" for name in names)


def flow(entry: Mapping[str, Any]) -> str:
    """A mapping on one line of YAML."""
    text = yaml.safe_dump(dict(entry), default_flow_style=True, sort_keys=False, allow_unicode=True, width=10_000)
    return text.strip()


def known_checks(type_name: str) -> str:
    """Comment lines of a config that name the checks of a type, a phase each, folded."""
    lines = []
    for phase, names in checks_of(type_name).items():
        text = f"{phase}: {', '.join(names)}"
        lines += textwrap.wrap(text, 116, initial_indent="  #   ", subsequent_indent="  #     ", break_long_words=False)
    return "\n".join(lines)


def checks_of(type_name: str) -> dict[str, list[str]]:
    """Names of the checks that a paper of this type meets, by phase, from the type's config."""
    found: dict[str, list[str]] = {}
    waiting = [type_name]
    while waiting:
        path = options("type").get(waiting.pop())
        content = (yaml.safe_load(path.read_text("utf-8")) if path else None) or {}
        for section in (content.get("generic") or {}, content.get("checks") or {}):
            for phase, entries in section.items():
                if phase != "questions":
                    names = [entry if isinstance(entry, str) else str(entry.get("check")) for entry in entries or ()]
                    found[phase] = list(dict.fromkeys([*found.get(phase, []), *names]))
        waiting += [entry for entry in content.get("defaults") or () if isinstance(entry, str) and entry != "_self_"]
    return {phase: found[phase] for phase in ORDER if found.get(phase)}
