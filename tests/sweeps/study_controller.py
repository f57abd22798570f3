"""A controller of a study, for the tests that kill it: `python study_controller.py <folder>`."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from fake_tasks import fake_study

from repro.sweeps.pool import Pool

if __name__ == "__main__":
    points = tuple({"x": float(x)} for x in range(6))
    with Pool(2, 1, import_torch=False) as pool:
        fake_study(Path(sys.argv[1]), updates=10, seconds=0.03, points=points, trials=6).run(pool)
