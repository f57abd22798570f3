"""Drawing MuJoCo without a screen: which OpenGL works here is tried in a process of its own.

MuJoCo draws through GLFW, which needs a screen, EGL (a GPU or Mesa) or OSMesa (the processor). One that does not work
leaves its library half loaded, and the next attempt aborts the process: a training would be lost for a picture.
"""

from __future__ import annotations

import os
import subprocess
import sys
from functools import lru_cache

#: Draws an empty scene as gymnasium's renderer does, and nothing else.
TRIAL = """
import sys, mujoco
from importlib import import_module
context = import_module("mujoco." + sys.argv[1]).GLContext(32, 32)
context.make_current()
mujoco.MjrContext(mujoco.MjModel.from_xml_string("<mujoco/>"), mujoco.mjtFontScale.mjFONTSCALE_150)
"""
#: Seconds that a trial may take: imports and, without a GPU, the compilation of shaders.
PATIENCE = 60


@lru_cache(maxsize=1)
def backend() -> str:
    """The value of MUJOCO_GL that draws here: the user's own, else the first of glfw (with a screen), egl, osmesa.

    Raises:
        ValueError: none does; the message has what each of them said.
    """
    chosen = os.environ.get("MUJOCO_GL")
    screen = sys.platform != "linux" or bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
    faults = []
    for name in [chosen] if chosen else ["glfw", "egl", "osmesa"] if screen else ["egl", "osmesa"]:
        fault = failure(name)
        if not fault:
            return name
        faults.append(f"{name}: {fault}")
    raise ValueError(
        f"MuJoCo finds no OpenGL to draw with ({'; '.join(faults)}); "
        "install EGL or OSMesa (Debian: libegl1, libosmesa6)"
    )


def failure(name: str) -> str:
    """Why MuJoCo cannot draw through this library; "" if it can."""
    try:
        tried = subprocess.run(
            [sys.executable, "-c", TRIAL, name],
            env={**os.environ, "MUJOCO_GL": name},
            capture_output=True,
            text=True,
            timeout=PATIENCE,
        )
    except subprocess.TimeoutExpired:
        return f"no answer in {PATIENCE} s"
    if tried.returncode == 0:
        return ""
    said = [
        line for line in tried.stderr.strip().splitlines() if line and not line.startswith((" ", "Exception ignored"))
    ]
    return said[-1] if said else f"ended with code {tried.returncode}"
