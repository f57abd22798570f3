"""The undiscounted return of a policy that draws every action uniformly: the low end of normalised scores.

    python scripts/random_policy.py CartPole-v1 Acrobot-v1 --episodes 1000 --seed 0

Prints a line for each environment: mean, standard error and extremes over whole episodes with gymnasium's time limit,
and the entry for `tasks.scores` of a reference table (reference_numbers/ppo.yaml). Bounded vectors are drawn uniformly
between their bounds. The same seed and versions give the same figures.
"""

from __future__ import annotations

import argparse
import logging
import math
import sys
from importlib.metadata import version

import numpy as np

from repro.errors import DataError
from repro.papers.ppo.environments import Environment


def returns(name: str, episodes: int, seed: int) -> list[float]:
    """The return of each of `episodes` whole episodes."""
    environment = Environment.named(name)
    environment.seed([seed, 0])
    actions = environment.raw.action_space
    actions.seed(np.random.SeedSequence([seed, 1]).generate_state(1).item())
    found = []
    for _ in range(episodes):
        environment.reset()
        ended = False
        while not ended:
            _, _, terminated, truncated = environment.step(actions.sample())
            ended = terminated or truncated
        found.append(environment.total)
    return found


def versions() -> str:
    """The packages that decide the figures, as far as they were needed."""
    return ", ".join(f"{package} {version(package)}" for package in ("gymnasium", "mujoco") if package in sys.modules)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("environments", nargs="+", metavar="ENVIRONMENT", help="a name that gymnasium knows")
    parser.add_argument("--episodes", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    if given.episodes < 2:
        parser.error(f"--episodes is {given.episodes}, needed at least 2: one episode has no spread")
    logging.basicConfig(format="%(message)s")
    for name in given.environments:
        try:
            found = np.array(returns(name, given.episodes, given.seed))
        except DataError as error:
            print(error, file=sys.stderr)
            return 2
        error = found.std(ddof=1) / math.sqrt(len(found))
        decimals = max(0, 1 - math.floor(math.log10(error))) if error else 2
        mean = f"{found.mean():.{decimals}f}"
        source = (
            f"scripts/random_policy.py {name} --episodes {given.episodes} --seed {given.seed}: "
            f"{mean} ± {error:.{decimals}f} (standard error), {versions()}"
        )
        print(f"{name}: mean {mean}, standard error {error:.2g}, from {found.min():g} to {found.max():g}")
        print(f'  low: {{value: "{mean}", source: "{source}"}}', flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
