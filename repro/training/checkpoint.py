"""Checkpoints: written beside and renamed, so that the newest is always complete, and loaded executing nothing.

A checkpoint holds tensors and plain containers only; `torch.load(weights_only=True)` reads it.
"""

from __future__ import annotations

import pickle
import re
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, overload

import numpy as np
import torch

import repro
from repro.errors import ComponentError, RunFolderError
from repro.tracking.environment import cpu_model
from repro.tracking.files import folder_errors, replacing

FORMAT = 1
NEWEST = "checkpoint.pt"
_ARRAY = "__ndarray__"


def packed(value: Any, where: str) -> Any:
    """`value` as `weights_only` loading accepts it: NumPy arrays and scalars become tensors and numbers.

    Raises:
        ComponentError: a part is neither a tensor nor a plain container; the message names its path in `where`.
    """
    if value is None or isinstance(value, torch.Tensor) or type(value) in (bool, int, float, str, bytes, complex):
        return value
    if isinstance(value, np.ndarray) and value.dtype.kind in "biufc":
        return {_ARRAY: torch.from_numpy(value.copy())}
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, Mapping):
        kind = OrderedDict if isinstance(value, OrderedDict) else dict
        return kind((packed(k, where), packed(v, f"{where}[{k!r}]")) for k, v in value.items())
    if type(value) in (list, tuple, set):
        return type(value)(packed(part, f"{where}[{i}]") for i, part in enumerate(value))
    raise ComponentError(
        f"{where} is a {type(value).__module__}.{type(value).__qualname__}, which a checkpoint cannot hold.",
        "Give tensors, numbers, text and lists, tuples or dicts of them; rebuild the rest in load_state_dict.",
    )


def unpacked(value: Any) -> Any:
    """The inverse of `packed`, NumPy scalars excepted, which stay numbers."""
    if isinstance(value, Mapping):
        if set(value) == {_ARRAY}:
            return value[_ARRAY].numpy()
        kind = OrderedDict if isinstance(value, OrderedDict) else dict
        return kind((key, unpacked(part)) for key, part in value.items())
    if type(value) in (list, tuple, set):
        return type(value)(unpacked(part) for part in value)
    return value


def write(path: Path, content: Mapping[str, Any]) -> None:
    """Saves `content` atomically and durably.

    Raises:
        RunFolderError: disk full or read-only; the checkpoint before stays.
    """
    with replacing(path, "wb") as file:
        try:
            torch.save(dict(content), file)
        except RuntimeError as error:
            # torch wraps the disk's refusal; the file itself says it again as an OSError
            file.flush()
            raise OSError(getattr(error, "errno", 0), f"torch.save failed: {error}") from error


def read(path: Path, device: torch.device | str = "cpu") -> dict[str, Any] | None:
    """The checkpoint at `path`, None where there is none.

    Raises:
        RunFolderError: the file is damaged or of a format this version does not know.
    """
    if not path.exists():
        return None
    try:
        with folder_errors(path, "read"):
            content = torch.load(path, map_location=device, weights_only=True)
    except (RuntimeError, pickle.UnpicklingError, EOFError, ValueError) as error:
        raise RunFolderError(
            # the first line only: torch goes on to advise loading it without its safeguard
            f"Checkpoint {path} cannot be read: {str(error).splitlines()[0]}",
            "Remove the file: training then starts again from update 0.",
        ) from error
    if content.get("format") != FORMAT:
        raise RunFolderError(
            f"Checkpoint {path} has format {content.get('format')!r}; this version reads {FORMAT}.",
            "Remove the file: training then starts again from update 0.",
        )
    return dict(content)


def origin(threads: int, device: torch.device) -> dict[str, Any]:
    """On what a checkpoint was made: bit-for-bit resume is promised for the same threads and processor."""
    return {
        "threads": threads,
        "cpu": cpu_model(),
        "device": device.type,
        "torch": str(torch.__version__),
        "harness": repro.__version__,
    }


def differences(saved: Mapping[str, Any], present: Mapping[str, Any]) -> list[str]:
    """Each way in which the present origin differs from a checkpoint's, as text."""
    return [f"{key} {saved.get(key)} → {now}" for key, now in present.items() if saved.get(key) != now]


class KeptStates(Sequence[Any]):
    """The newest k model states, oldest first, for evaluations that average checkpoints; each is loaded when asked for.

    An item is the `state_dict` of the model, or a dict of them by name where the paper has named models. The last one
    is the model as it stands.
    """

    def __init__(self, folder: Path, keep: int, update: int, present: Callable[[], Any], device: torch.device) -> None:
        earlier: list[Path | Callable[[], Any]] = [path for number, path in kept_files(folder) if number < update]
        self._loaders = [*earlier, present][-keep:]
        self._device = device

    def __len__(self) -> int:
        return len(self._loaders)

    @overload
    def __getitem__(self, index: int) -> Any: ...
    @overload
    def __getitem__(self, index: slice) -> list[Any]: ...
    def __getitem__(self, index: int | slice) -> Any:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        loader = self._loaders[index]
        if not isinstance(loader, Path):
            return loader()
        content = read(loader, self._device)
        assert content is not None
        return content["model"]


def kept_files(folder: Path) -> list[tuple[int, Path]]:
    """(update, path) of every kept model state, oldest first."""
    found = [(re.fullmatch(r"checkpoint-(\d+)\.pt", path.name), path) for path in folder.glob("checkpoint-*.pt")]
    return sorted((int(match[1]), path) for match, path in found if match)


def drop_kept(folder: Path, keep: int, beyond: int | None = None) -> None:
    """Removes all but the newest `keep` model states, and those after update `beyond`, which training will redo."""
    with folder_errors(folder):
        files = kept_files(folder)
        late = [path for number, path in files if beyond is not None and number > beyond]
        early = [path for number, path in files if path not in late]
        for path in [*late, *early[: max(0, len(early) - keep)]]:
            path.unlink(missing_ok=True)
