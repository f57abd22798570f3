"""Where configs and reference tables lie: in the package, and in the folder that the person stands in."""

from __future__ import annotations

import sys
from pathlib import Path

import repro
from repro.errors import ConfigError, HarnessError

#: Groups of the current folder's conf/ that are added to the package's; nothing else in it is ever read.
USER_GROUPS = ("paper", "data", "sweep", "type", "launcher")


def _shipped(name: str) -> Path:
    """A data folder of the package: inside it in a wheel, beside it in the source tree."""
    package = Path(repro.__file__).resolve().parent
    for candidate in (package / name, package.parent / name):
        if candidate.is_dir():
            return candidate
    raise HarnessError(
        f"The installation of repro lacks its folder {name}/ (looked in {package} and {package.parent}).",
        "Install it again: pip install --force-reinstall repro, or pip install -e . in a clone.",
    )


def package_conf() -> Path:
    """The config groups that repro ships."""
    return _shipped("conf")


def package_references() -> Path:
    """The reference tables that repro ships."""
    return _shipped("reference_numbers")


def _beside(name: str, shipped: Path) -> Path | None:
    folder = Path.cwd() / name
    if not folder.is_dir() or folder.resolve() == shipped:
        return None
    return folder


def user_conf() -> Path | None:
    """The current folder's conf/, unless it is absent or is the package's own."""
    return _beside("conf", package_conf())


def user_references() -> Path | None:
    """The current folder's reference_numbers/, unless it is absent or is the package's own."""
    return _beside("reference_numbers", package_references())


def options(group: str) -> dict[str, Path]:
    """The choices of a config group, by name: what repro ships and, for `USER_GROUPS`, the current folder's.

    Raises ConfigError if both have a file of one name with different content: one of them would be ignored silently.
    """
    found = {path.stem: path for path in sorted((package_conf() / group).glob("*.yaml"))}
    own = user_conf()
    if own is not None and group in USER_GROUPS:
        for path in sorted((own / group).glob("*.yaml")):
            shipped = found.get(path.stem)
            if shipped is None:
                found[path.stem] = path
            elif path.read_bytes() != shipped.read_bytes():
                raise ConfigError(
                    f"conf/{group}/{path.name} of the current folder has the name of one that repro ships ({shipped}).",
                    f"Give yours another name, such as conf/{group}/my_{path.name}.",
                )
    return dict(sorted(found.items()))


def reference_table(name: str) -> Path:
    """The file of a reference table: reference_numbers/<name>.yaml of the current folder or of the package.

    Raises ConfigError, naming the known tables, if there is none.
    """
    own = user_references()
    places = [folder for folder in (own, package_references()) if folder is not None]
    for folder in places:
        if (folder / f"{name}.yaml").is_file():
            return folder / f"{name}.yaml"
    known = sorted({path.stem for folder in places for path in folder.glob("*.yaml")})
    raise ConfigError(
        f"There is no reference table {name!r}: looked for {name}.yaml in {', '.join(map(str, places))}.",
        f"Known: {', '.join(known) or 'none'}. `paper.reference` of the paper's config names its table.",
    )


def added() -> str:
    """One line that names what of the current folder is added to repro's own; empty if nothing is."""
    parts: list[str] = []
    own = user_conf()
    if own is not None:
        parts += [f"conf/{group}/" for group in USER_GROUPS if any((own / group).glob("*.yaml"))]
    if user_references() is not None:
        parts.append("reference_numbers/")
    return f"Added from {Path.cwd()}: {', '.join(parts)}" if parts else ""


def add_to_path(folder: Path | None = None) -> None:
    """Make modules of a folder (the current one) importable: for `python -m repro`, the script and workers alike."""
    place = str((folder or Path.cwd()).resolve())
    if place not in sys.path:
        sys.path.insert(0, place)
