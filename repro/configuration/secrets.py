"""Secrets never leave the process: what is one, and how every output is rid of it.

A secret is everything below a key `secret`; a value whose key reads like a password, token or API key; the password
in a URL; and everything that an `oc.env` interpolation took from the environment.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from omegaconf import DictConfig

MASK = "***"

#: Whatever lies below such a key is secret, numbers and whole mappings too.
_ALWAYS = {"secret", "secrets", "password", "passwd", "passphrase", "pwd", "credential", "credentials"}
#: The text below such a key is secret; a number (`token: 0`) or a mapping (a tensor called token) is not.
_TEXT = {"token", "apikey"}
_PAIRS = {("api", "key"), ("access", "key"), ("private", "key"), ("secret", "key"), ("auth", "key")}
#: `pad_token` is part of a vocabulary, not a credential.
_VOCABULARY = {"pad", "bos", "eos", "unk", "mask", "cls", "sep", "start", "end", "begin", "stop", "special"}

_URL_PASSWORD = re.compile(r"(?P<head>[A-Za-z][A-Za-z0-9+.\-]*://[^\s:/@'\"]*:)[^\s'\"]+@")
_ASSIGNMENT = re.compile(r"(?P<head>(?P<key>[A-Za-z_][\w.\-]*)=)(?P<value>\"[^\"]*\"|'[^']*'|[^\s,;&'\"]+)")
_YAML_PAIR = re.compile(
    r"(?P<head>['\"]?\b\w*(?:password|passwd|passphrase|api_?key)['\"]?\s*:\s+)(?P<value>\"[^\"]*\"|'[^']*'|[^\s,}]+)",
    re.I,
)
_ENVIRONMENT = re.compile(r"\$\{\s*oc\.env\s*:\s*([A-Za-z_]\w*)")
_REFERENCE = re.compile(r"\$\{\s*([^${}:]+?)\s*\}")

# What this process has seen; outputs are masked against it, whichever part of the program writes them.
_values: set[str] = set()
_keys: set[str] = set()


def is_secret_key(key: str, value: object = "") -> bool:
    """Whether a value under this key is secret by its name; of a dotted key, the last part counts."""
    words = [word.lower() for word in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+", key.split(".")[-1])]
    if not words or value is None or isinstance(value, bool):
        return False
    if words[-1] in _ALWAYS:
        return True
    if not isinstance(value, str):
        return False
    if words[-1] in _TEXT:
        return len(words) == 1 or words[-2] not in _VOCABULARY
    return tuple(words[-2:]) in _PAIRS


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def remember(values: Iterable[object], keys: Iterable[str] = ()) -> None:
    """Let no later output of this process contain these values, nor the values at these dotted config keys."""
    _values.update(str(value) for value in values if value not in (None, "", MASK) and not isinstance(value, bool))
    _keys.update(keys)


def remember_overrides(overrides: Iterable[str]) -> None:
    """The same for overrides as typed, before anything has parsed them."""
    for override in overrides:
        key, _, value = override.partition("=")
        inner = value.strip("'\"")
        if inner and any(is_secret_key(part, inner) for part in key.lstrip("+~").split(".")):
            remember([value, inner])


def mask_text(text: str) -> str:
    """`text` without any secret: values this process remembers, secret-looking environment variables, URL passwords,
    and `key=value` where the key reads like a secret.
    """
    known = set(_values)
    known.update(value for name, value in os.environ.items() if _is_secret_variable(name, value))
    for value in sorted(known, key=len, reverse=True):
        if len(value) < 4 or _is_number(value):
            # short values occur inside ordinary words and numbers; only the whole word is the secret
            text = re.sub(rf"(?<![\w.]){re.escape(value)}(?!\w)", MASK, text)
        else:
            text = text.replace(value, MASK)
    text = _URL_PASSWORD.sub(rf"\g<head>{MASK}@", text)
    text = _ASSIGNMENT.sub(_mask_assignment, text)
    return _YAML_PAIR.sub(rf"\g<head>{MASK}", text)


def _is_secret_variable(name: str, value: str) -> bool:
    # PWD and OLDPWD are folders, and short values are rarely secrets but often words
    return len(value) >= 8 and not name.endswith("PWD") and is_secret_key(name, value)


def _mask_assignment(match: re.Match[str]) -> str:
    value: object = match["value"].strip("'\"")
    if _is_number(str(value)):
        value = 0
    parts = match["key"].split(".")
    return f"{match['head']}{MASK}" if any(is_secret_key(part, value) for part in parts) else match[0]


def masked(config: DictConfig | Mapping[str, Any]) -> dict[str, Any]:
    """A plain copy of a resolved config in which every secret reads `***`; safe to write, print and upload."""
    return {str(key): _mask(str(key), str(key), value) for key, value in _plain(config).items()}


def _plain(config: DictConfig | Mapping[str, Any]) -> dict[str, Any]:
    if isinstance(config, dict):
        return config
    from omegaconf import OmegaConf

    container = OmegaConf.to_container(config, resolve=False)
    assert isinstance(container, dict)
    return {str(key): value for key, value in container.items()}


def _mask(path: str, key: str, value: Any) -> Any:
    if path in _keys or is_secret_key(key, value):
        return MASK if value is not None else None
    if isinstance(value, Mapping):
        return {inner: _mask(f"{path}.{inner}", str(inner), child) for inner, child in value.items()}
    if isinstance(value, list | tuple):
        return [_mask(f"{path}.{index}", "", child) for index, child in enumerate(value)]
    return mask_text(value) if isinstance(value, str) else value


def leaves(value: Any, path: str = "") -> Iterable[tuple[str, Any]]:
    """Dotted key and value of everything in a plain config that is neither mapping nor list."""
    items: Iterable[tuple[object, Any]]
    if isinstance(value, Mapping):
        items = value.items()
    elif isinstance(value, list | tuple):
        items = enumerate(value)
    else:
        yield path, value
        return
    for key, child in items:
        yield from leaves(child, f"{path}.{key}" if path else str(key))


def from_environment(unresolved: Mapping[str, Any]) -> frozenset[str]:
    """Dotted keys of a config, interpolations not yet resolved, whose value an environment variable decides.

    A key that refers to such a key counts too. A variable that is not set reveals nothing.
    """
    raw = {path: value for path, value in leaves(unresolved) if isinstance(value, str) and "${" in value}
    found = {path for path, value in raw.items() if any(name in os.environ for name in _ENVIRONMENT.findall(value))}
    grown = True
    while grown:
        grown = False
        for path, value in raw.items():
            new = _reached(path, value, found) - found
            found |= new
            grown = grown or bool(new)
    return frozenset(found)


def _reached(path: str, raw: str, found: set[str]) -> set[str]:
    reached: set[str] = set()
    for reference in _REFERENCE.findall(raw):
        target = _absolute(path, reference)
        for key in found:
            if key == target:
                reached.add(path)
            elif key.startswith(f"{target}."):
                reached.add(path + key[len(target) :])
    if any(key in raw for key in found):  # inside another resolver, such as oc.select
        reached.add(path)
    return reached


def _absolute(path: str, reference: str) -> str:
    """What a relative interpolation at `path` refers to: `.x` is a sibling, each further dot one level up."""
    reference = re.sub(r"\[([^\]]*)\]", r".\1", reference)
    dots = len(reference) - len(reference.lstrip("."))
    if not dots:
        return reference
    return ".".join([*path.split(".")[:-dots], reference[dots:]])


def environment_values(unresolved: Mapping[str, Any]) -> set[str]:
    """Values of the environment variables that a config names; short ones and numbers tell nothing and are left out."""
    names = {name for _, raw in leaves(unresolved) if isinstance(raw, str) for name in _ENVIRONMENT.findall(raw)}
    values = {os.environ[name] for name in names if name in os.environ}
    return {value for value in values if len(value) >= 4 and not _is_number(value)}


def secret_values(resolved: Mapping[str, Any]) -> set[str]:
    """The values in a resolved config that are secret by the name of their key or of a key above."""
    found: set[str] = set()
    for key, value in resolved.items():
        if is_secret_key(str(key), value):
            found.update(str(leaf) for _, leaf in leaves(value) if leaf is not None and not isinstance(leaf, bool))
        elif isinstance(value, Mapping):
            found |= secret_values(value)
        elif isinstance(value, list | tuple):
            found |= secret_values({str(index): child for index, child in enumerate(value)})
    return found
