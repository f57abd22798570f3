"""YAML with lines means what safe YAML means, and keeps what safe YAML forgets."""

from __future__ import annotations

import yaml
from hypothesis import given
from hypothesis import strategies as st

from repro.reference.located import Fault, read

scalars = st.one_of(st.integers(-(10**6), 10**6), st.booleans(), st.none(), st.text("abc: #-'\"\n", max_size=8))
trees = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.text("abcdxyz", min_size=1, max_size=3), inner, max_size=3)
    ),
    max_leaves=12,
)


@given(trees)
def test_same_value_as_safe_load(tree: object) -> None:
    text = yaml.safe_dump(tree)
    faults: list[Fault] = []
    root = read(text, faults)
    assert root is not None
    assert not faults
    # keys that YAML would read as numbers or truths stay text here: ids of records are text
    assert str(root.plain()) == str(yaml.load(text, yaml.BaseLoader)) or root.plain() == yaml.safe_load(text)


def test_lines_and_text_are_kept() -> None:
    faults: list[Fault] = []
    root = read("a: 27.30\nb:\n  c: [1,\n      2.50]\n", faults)
    assert root is not None
    assert root.value["a"].text == "27.30"
    assert root.value["b"].value["c"].value[1].line == 4
    assert root.value["b"].value["c"].value[1].text == "2.50"


def test_merge_keys_as_safe_load() -> None:
    text = "x: &x {a: 1, b: 2}\ny: &y {b: 3, c: 4}\nz: {<<: [*x, *y], c: 5}\n"
    root = read(text, [])
    assert root is not None
    assert root.plain() == yaml.safe_load(text)
    assert root.plain()["z"] == {"a": 1, "b": 2, "c": 5}


def test_duplicate_keys_are_faults() -> None:
    faults: list[Fault] = []
    read("a: 1\nb:\n  c: 1\n  c: 2\n", faults)
    assert [str(fault) for fault in faults] == ["  line 4  b.c: given twice, first on line 3; keep one"]


def test_unreadable_files_are_faults() -> None:
    for text, says in [
        ("", "empty"),
        ("a: [1", "not YAML"),
        ("a: 1\n b: 2", "not YAML"),
        ("a: !!python/object/apply:os.system [x]", "not safe YAML"),
        ("a: \x00", "not YAML"),
        ("&a [*a]", "contains itself"),
        ("&a {<<: *a}", "contains itself"),
        ("x: *nowhere", "not YAML"),
        ("2024-13-45", "got '2024-13-45'"),
    ]:
        faults: list[Fault] = []
        read(text, faults)
        assert says in "".join(map(str, faults)), text


def test_tags_run_nothing() -> None:
    faults: list[Fault] = []
    read("a: !!python/name:os.system x", faults)
    assert "not safe YAML" in str(faults[0])
