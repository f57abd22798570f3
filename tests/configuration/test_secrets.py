from __future__ import annotations

import json
import pickle
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from repro.configuration import compose, masked, secrets
from repro.configuration.secrets import MASK, is_secret_key, mask_text, remember
from repro.errors import ConfigError

# what a secret may look like in a config; blanks would end a URL or an override
passwords = st.text(
    st.characters(codec="ascii", exclude_characters=" \\\"'", categories=("L", "N", "P", "S")), min_size=6
)


@pytest.mark.parametrize(
    "key",
    ["password", "db_password", "token", "hf_token", "api_key", "apiKey", "WANDB_API_KEY", "secret", "secrets",
     "private_key", "tracking.api_key", "credentials"],
)  # fmt: skip
def test_keys_that_read_like_secrets(key: str) -> None:
    assert is_secret_key(key, "text")


@pytest.mark.parametrize(
    ("key", "value"),
    [("batch_tokens", 4096), ("token", 0), ("pad_token", "<pad>"), ("tokenize", "13a"), ("key", "x"), ("keep", "x"),
     ("monkey", "x"), ("password", None), ("secretary", "x"), ("tokens_per_batch", "x")],
)  # fmt: skip
def test_keys_that_do_not(key: str, value: object) -> None:
    assert not is_secret_key(key, value)


@given(passwords)
def test_a_masked_config_holds_no_secret(password: str) -> None:
    config = {
        "tracking": {"api_key": password, "project": "p"},
        "secret": {"deep": [{"er": password}]},
        "storage": f"postgresql://user:{password.replace('/', 'x').replace('@', 'x')}@host/db",
        "other": "plain",
    }
    result = masked(config)
    assert result["tracking"] == {"api_key": MASK, "project": "p"}
    assert result["secret"] == MASK
    assert result["storage"] == f"postgresql://user:{MASK}@host/db"
    assert result["other"] == "plain"


@given(passwords, st.text(), st.text())
@example("aaaaaa", "aaaa", "aaaa")
def test_remembered_values_are_in_no_text(password: str, before: str, after: str) -> None:
    secrets._values.clear()
    remember([password])
    if set(password) <= set(MASK):
        return  # three stars are no secret
    try:
        float(password)
    except ValueError:
        assert password not in mask_text(f"{before} {password} {after}")
    else:
        assert password not in mask_text(f"{before} {password} {after}").split()


@given(st.text())
def test_masking_ends_and_leaves_text_without_secrets_alone(text: str) -> None:
    secrets._values.clear()
    if not any(mark in text for mark in "=:"):
        assert mask_text(text) == text
    assert isinstance(mask_text(text), str)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("repro run tracking.api_key=hunter2 x=1", f"repro run tracking.api_key={MASK} x=1"),
        ("cannot reach postgresql://me:p@ss/w@db:5432/optuna", f"cannot reach postgresql://me:{MASK}@db:5432/optuna"),
        ("redis://:pw@host", f"redis://:{MASK}@host"),
        ("password: hunter2", f"password: {MASK}"),
        ("{'api_key': 'hunter2', 'n': 1}", f"{{'api_key': {MASK}, 'n': 1}}"),
        ("loss per token: 0.31 at https://arxiv.org/abs/1706.03762", "loss per token: 0.31 at https://arxiv.org/abs/1706.03762"),
        ("batch_tokens=4096 token=7", "batch_tokens=4096 token=7"),
    ],
)  # fmt: skip
def test_text(text: str, shown: str) -> None:
    assert mask_text(text) == shown


def test_secret_variables_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "planted-token")
    monkeypatch.setenv("PWD", "/home/planted")
    assert mask_text("planted-token in /home/planted") == f"{MASK} in /home/planted"


def test_a_short_secret_is_masked_as_a_word_only() -> None:
    remember(["abc", "17"])
    assert mask_text("abc abcd 17 170 0.17") == f"{MASK} abcd {MASK} 170 0.17"


def test_values_from_the_environment(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TINY_PLACE", "/mnt/planted-place")
    monkeypatch.setenv("TINY_COUNT", "4")
    path = folder / "conf/paper/tiny.yaml"
    path.write_text(
        path.read_text()
        + 'place: {folder: "${oc.env:TINY_PLACE}/x", again: "${place.folder}", near: "${.folder}", copy: "${place2}"}\n'
        + 'place2: {a: "${oc.env:TINY_PLACE}"}\n'
        + "threads: ${oc.decode:${oc.env:TINY_COUNT}}\nunset: ${oc.env:TINY_NOT_SET,plain}\n"
    )
    composed = compose(["paper=tiny"])
    assert composed.config.place.again == "/mnt/planted-place/x"
    shown = masked(composed.config)
    assert "planted" not in json.dumps(shown)
    assert shown["threads"] == MASK and shown["place"]["near"] == MASK and shown["unset"] == "plain"
    assert shown["model"]["width"] == 8 and shown["reproduction"]["seeds"] == composed.config.reproduction.seeds
    assert mask_text("no /mnt/planted-place/x here, 4 seeds") == f"no {MASK} here, 4 seeds"


def test_secrets_of_a_config_are_masked_in_another_process_too(folder: Path) -> None:
    frozen = pickle.dumps(compose(["paper=tiny", "+secret.word=planted-word"]))
    secrets._values.clear()
    pickle.loads(frozen)
    assert mask_text("planted-word") == MASK


@pytest.mark.parametrize(
    "overrides",
    [
        ["paper=tiny", "tracking.api_key=planted-1("],
        ["paper=tiny", "+tracking.api_key=planted-1", "model.widht=3"],
        ["paper=tiny", "tracking.api_key=planted-1"],  # no such key
        ["paper=tiny", "+secret={a: planted-1}", "keep_going=planted-1"],
        ["paper=tiny", "sweep=postgresql://u:planted-1@h/d"],
    ],
)
def test_error_messages_hold_no_secret(folder: Path, overrides: list[str]) -> None:
    with pytest.raises(ConfigError) as caught:
        compose(overrides)
    assert "planted" not in mask_text(str(caught.value))


def test_typed_overrides_are_masked(folder: Path) -> None:
    composed = compose(["paper=tiny", "+tracking.api_key=planted-1", "model.width=3"])
    assert composed.typed == ["paper=tiny", f"+tracking.api_key={MASK}", "model.width=3"]
