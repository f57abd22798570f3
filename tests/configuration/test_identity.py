from __future__ import annotations

import random
import re
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from repro.configuration import compose, run_id
from repro.configuration.identity import EXCLUDED

names = st.text("abcdefgh_", min_size=1, max_size=6)
values = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text(max_size=8))
configs = st.dictionaries(names, st.one_of(values, st.lists(values, max_size=3), st.dictionaries(names, values)))


def shuffled(value: Any, seed: int) -> Any:
    if not isinstance(value, dict):
        return value
    items = list(value.items())
    random.Random(seed).shuffle(items)
    return {key: shuffled(child, seed) for key, child in items}


@given(configs, st.integers())
def test_the_order_of_keys_does_not_matter(config: dict[str, Any], seed: int) -> None:
    assert run_id(config) == run_id(shuffled(config, seed))
    assert re.fullmatch("[0-9a-f]{12}", run_id(config))


@given(configs, st.sampled_from(EXCLUDED), values)
def test_what_is_excluded_does_not_matter(config: dict[str, Any], key: str, value: object) -> None:
    parent, _, last = key.rpartition(".")
    changed = dict(config)
    if parent:
        changed[parent] = {last: value}
        assert run_id({**config, parent: {}}) == run_id(changed)
    else:
        changed[key] = value
        assert run_id(config) == run_id(changed)


@given(configs, names, st.integers(), st.integers())
def test_everything_else_matters(config: dict[str, Any], key: str, one: int, other: int) -> None:
    same = run_id({**config, "model": {key: one}}) == run_id({**config, "model": {key: other}})
    assert same == (one == other)


def test_secrets_leave_no_trace() -> None:
    assert run_id({"api_key": "a" * 9}) == run_id({"api_key": "b" * 9}) == run_id({})
    assert run_id({"url": "postgresql://u:one@h/d"}) == run_id({"url": "postgresql://u:two@h/d"})
    assert run_id({"url": "postgresql://u:one@h/d"}) != run_id({"url": "postgresql://u:one@h/e"})


def test_a_composed_config(folder: Path) -> None:
    first = run_id(compose(["paper=tiny"]).config)
    assert first == run_id(compose(["paper=tiny", "reproduction.seeds=2", "device=cpu", "data.folder=/x"]).config)
    assert first == run_id(compose(["paper=tiny", "model.width=8"]).config)
    # more seeds, more workers or another place are the same run; what is trained, or judged on, is not
    more = ["seeds=4", "max_seeds=9", "seed_batch=2", "confidence=0.9", "log_every=7", "checkpoint_every=70"]
    assert first == run_id(compose(["paper=tiny", *(f"reproduction.{one}" for one in more)]).config)
    assert first == run_id(compose(["paper=tiny", "workers=1", "threads=1", "runs_folder=elsewhere"]).config)
    for changed in ("reproduction.first_seed=5", "reproduction.evaluate_every=7", "precision=bf16-mixed"):
        assert first != run_id(compose(["paper=tiny", changed]).config), changed
    assert first != run_id(compose(["paper=tiny", "model.width=9"]).config)
    assert first != run_id(compose(["paper=tiny", "reproduction.updates=9"]).config)


def test_what_only_gates_does_not_orphan_what_was_trained(folder: Path) -> None:
    first = run_id(compose(["paper=transformer"]).config)
    more = ["+type.generic.model=[from_scratch]", "phase.loss.checks=[loss_terms]", "gauntlet.memorise_updates=7"]
    for override in more:
        assert run_id(compose(["paper=transformer", override.removeprefix("+")]).config) == first
    # ablations of another length are what the claims are judged by
    assert run_id(compose(["paper=transformer", "gauntlet.ablations.updates=7"]).config) != first
