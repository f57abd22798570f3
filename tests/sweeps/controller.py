"""A controller for the tests that kill one: `python controller.py <folder>` counts to 10,000 in two workers."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from repro.sweeps.pool import Pool
from repro.sweeps.tasks import Progress, Task

if __name__ == "__main__":
    folder = Path(sys.argv[1])
    tasks = []
    for name in ("a", "b"):
        (folder / name).mkdir()
        tasks.append(Task(name, "fake_tasks:count", {"folder": str(folder / name), "updates": 10_000}))
    with Pool(2, 1, import_torch=False) as pool:
        seen = set()
        for task in tasks:
            pool.submit(task)
        for event in pool.events():
            if isinstance(event, Progress) and event.task not in seen:
                seen.add(event.task)
                print(pool.process_ids[event.task], flush=True)
