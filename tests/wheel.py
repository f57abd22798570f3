"""The package as a wheel installs it, and commands that nothing but it answers: the tree is not on their path."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

TREE = Path(__file__).resolve().parent.parent
#: Only the unpacked wheel may answer; its dependencies come from this environment.
CODE = (
    "import sys; sys.path.insert(0, sys.argv.pop(1)); import repro; assert repro.__file__.startswith(sys.path[0]); "
    "from repro.commands import main; sys.exit(main(sys.argv[1:]))"
)


def unpacked(folder: Path) -> Path:
    """Build the wheel and unpack it below `folder`; returns the folder that stands in for site-packages."""
    build = [sys.executable, "-m", "pip", "wheel", str(TREE), "--no-deps", "--no-build-isolation", "-w", str(folder)]
    subprocess.run(build, check=True, capture_output=True)
    (wheel,) = folder.glob("repro-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "site")
    return folder / "site"


def repro(site: Path, folder: Path, *words: str) -> tuple[int, str]:
    """Exit code and output of `repro WORDS`, run in `folder`."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    command = [sys.executable, "-c", CODE, str(site), *words]
    done = subprocess.run(command, capture_output=True, text=True, cwd=folder, env=environment, check=False)
    return done.returncode, done.stdout + done.stderr
