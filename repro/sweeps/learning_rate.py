"""Which learning rates learn, on a logarithmic scale, and whether the paper's own lies among them.

A trial trains for a few updates with the rate set by the config key `parameter` (for a schedule: its height). A rate is
usable when its loss stays finite, falls clearly (`repro.sweeps.falling`), and at least half as far as the best rate's.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from repro import arithmetic
from repro.errors import ComponentError, ConfigError
from repro.sweeps.falling import CLEARLY, fall
from repro.sweeps.processes import ShowProgress, changed_process, code_folder, plain, shown
from repro.sweeps.study import Interval, Measured, Plan, Study
from repro.sweeps.tasks import Task
from repro.sweeps.training_task import training_losses
from repro.tracking.files import decode_number
from repro.tracking.store import ProcessStore

if TYPE_CHECKING:
    from repro.configuration.compose import Composed
    from repro.sweeps.pool import Pool
    from repro.tracking.run_folder import RunFolder

SAME_RATE = 0.02  # a point of the grid this near to the paper's rate is replaced by it
SHARE = 0.5  # of the best rate's fall, for a rate to be called usable
WHERE = "gauntlet.learning_rate"


def learning_rate_study(
    composed: Composed, run_folder: RunFolder, pool: Pool, progress: ShowProgress | None = None
) -> dict[str, Any]:
    """The gauntlet's sweep: a grid of rates and the paper's own, each once; the record of studies/learning_rate.json.

    Raises:
        ConfigError: the paper does not say which key sets its rate.
    """
    options = plain(composed)["gauntlet"]["learning_rate"]
    folder = code_folder(composed, run_folder, pool.threads)
    sweep = RateSweep(composed, folder, pool, options)
    return sweep.run("learning_rate", sweep.grid(int(options["trials"])), progress=progress)


def log_points(low: float, high: float, count: int) -> list[float]:
    """`count` rates from `low` to `high`, evenly spaced in their logarithm; the geometric middle for one."""
    if count == 1:
        return [math.sqrt(low * high)]
    step = math.log(high / low) / (count - 1)
    return [low, *(low * math.exp(step * place) for place in range(1, count - 1)), high]


def paper_rate(settings: Mapping[str, Any]) -> float | None:
    """The paper's own peak rate in this configuration; None when nothing says it.

    From `gauntlet.learning_rate.paper_value` (a number, or an expression of the schedule's names), else the largest
    value of the declared schedule, else the value of the swept key itself.
    """
    options = settings["gauntlet"]["learning_rate"]
    schedule = settings.get("schedule") or {}
    names = {name: float(value) for name, value in (schedule.get("names") or {}).items()}
    given = options.get("paper_value")
    if isinstance(given, int | float):
        return float(given)
    if isinstance(given, str):
        return float(arithmetic.evaluate(given, names))
    formula = schedule.get("learning_rate")
    if isinstance(formula, int | float):
        return float(formula)
    if isinstance(formula, str):
        last = int(settings["reproduction"]["updates"])
        breaks = [float(arithmetic.evaluate(str(one), names)) for one in schedule.get("breaks") or ()]
        steps = {1, last, *(round(one) + side for one in breaks for side in (-1, 0, 1))}
        steps |= {round(one) for one in log_points(1, max(2, last), 200)}
        return max(float(arithmetic.evaluate(formula, names | {"step": step})) for step in steps if 1 <= step <= last)
    value: Any = settings
    for part in str(options.get("parameter") or "").split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    return float(value) if isinstance(value, int | float) else None


@dataclass(frozen=True)
class Objective:
    """A scalar that `update` returns and that shows learning where the loss does not (data that come from acting)."""

    metric: str
    higher: bool  # whether higher is better

    @property
    def text(self) -> str:
        words = self.metric.replace("_", " ")
        return f"minus {words}" if self.higher else words

    def course(self, rows: Sequence[Mapping[str, Any]], process: str) -> tuple[list[int], list[float]]:
        """(updates, values that fall as it learns) of a trajectory, each time that the value changed.

        Raises `ComponentError` where it was never logged.
        """
        updates: list[int] = []
        values: list[float] = []
        for row in rows:
            value = row.get(self.metric) if row["split"] == "train" else None
            if value is None:
                continue
            falling = -float(value) if self.higher else float(value)
            if not values or falling != values[-1]:
                updates.append(row["update"])
                values.append(falling)
        if not values:
            raise ComponentError(
                f"{process}: training.update never returned {self.metric!r}, which {WHERE}.objective names.",
                "Return it among its scalars, or try each rate for more updates.",
            )
        return updates, values


def objective_of(declared: Any) -> Objective | None:
    """`gauntlet.learning_rate.objective` as read; None is the training loss. Raises `ConfigError` for anything else."""
    if declared is None:
        return None
    direction = declared.get("direction") if isinstance(declared, Mapping) else None
    if direction not in ("higher", "lower") or not declared.get("metric"):
        raise ConfigError(
            f"{WHERE}.objective: got {declared!r}, need {{metric: last_100_episodes, direction: higher}} or null."
        )
    return Objective(str(declared["metric"]), direction == "higher")


class RateSweep:
    """Trials over learning rates in one code folder; `options` are `gauntlet.learning_rate` or those of the sweep."""

    def __init__(self, composed: Composed, folder: Path, pool: Pool, options: Mapping[str, Any]) -> None:
        settings = plain(composed)
        self.composed, self.folder, self.pool = composed, folder, pool
        declared = settings["gauntlet"]["learning_rate"]
        self.parameter = declared.get("parameter")
        if not self.parameter:
            raise ConfigError(
                f"{WHERE}.parameter: missing; no key is known that sets the learning rate.",
                "Name the key of the training component that does, for example "
                f"`{WHERE}: {{parameter: training.learning_rate}}`.",
            )
        self.changes = dict(declared.get("changes") or {})
        self.objective = objective_of(declared.get("objective"))
        self.low, self.high = float(options["from"]), float(options["to"])
        self.updates = int(options["updates"])
        self.first_seed = int(settings["reproduction"]["first_seed"])
        self.paper = paper_rate(settings)
        self.partial: dict[str, dict[str, Any]] = {}

    def grid(self, count: int) -> list[float]:
        """Rates on the log scale, in order, with the paper's own among them: it is tried, not interpolated."""
        rates = log_points(self.low, self.high, count)
        if self.paper is None or not self.paper > 0:
            return rates
        paper = self.paper
        return sorted([*(rate for rate in rates if abs(math.log(rate / paper)) > SAME_RATE), paper])

    def run(
        self,
        name: str,
        rates: Sequence[float],
        *,
        trials: int = 0,
        seeds: int = 1,
        prune: bool = False,
        progress: ShowProgress | None = None,
    ) -> dict[str, Any]:
        """Run the rates, then those that TPE proposes up to `trials`; returns the record of studies/<name>.json."""
        self.name = name
        plan = Plan(
            name=name,
            kind="learning_rate",
            objective=self.objective.text if self.objective else "training loss",
            space={"learning_rate": Interval(min(self.low, *rates), max(self.high, *rates), log=True)},
            trials=max(trials, len(rates)),
            updates=self.updates,
            points=tuple({"learning_rate": rate} for rate in rates),
            seeds=tuple(range(self.first_seed, self.first_seed + seeds)),
            prune=prune and self.objective is None,  # what is pruned by is the loss
        )
        study = Study(plan, self.folder / "studies", self.task, self.measure, self.conclude)
        return study.run(self.pool, lambda record: shown(record, "learning rates", progress))

    def task(self, number: int, params: Mapping[str, Any], seed: int) -> Task:
        rate = params["learning_rate"]
        suffix = "" if seed == self.first_seed else f"-seed-{seed}"
        return changed_process(
            self.composed,
            self.folder,
            self.pool,
            process=f"{self.name}-{number:03d}{suffix}",
            kind="learning_rate",
            name=self.name,
            seed=seed,
            updates=self.updates,
            changes={**self.changes, str(self.parameter): rate},
            log_every=1,
            learning_rate=rate,
        )

    def measure(self, task: str, result: Mapping[str, Any]) -> Measured:
        details = self.details(task)
        return Measured(details["final"], {}, details)

    def details(self, process: str) -> dict[str, Any]:
        """How the training loss of a process fell, as far as it went."""
        rows = ProcessStore(self.folder / "processes" / process).rows
        updates, losses = self.objective.course(rows, process) if self.objective else training_losses(rows, process)
        found = fall(losses)
        return {
            "initial": found.initial,
            "final": found.final,
            "drop": found.drop,
            "standard_error": found.standard_error,
            "falls": found.falls,
            "updates": updates[-1],
        }

    def as_far(self, process: str) -> dict[str, Any]:
        """The details of a process that ended early; nothing but `falls` when it ended before it logged a loss."""
        if process not in self.partial:
            try:
                self.partial[process] = self.details(process)
            except ComponentError:
                nothing = dict.fromkeys(("initial", "final", "drop", "standard_error"))
                self.partial[process] = {**nothing, "falls": False}
        return self.partial[process]

    def conclude(self, record: dict[str, Any]) -> dict[str, Any]:
        return {"parameter": self.parameter, **conclusion(self.rates(record), self.paper)}

    def rates(self, record: Mapping[str, Any]) -> list[dict[str, Any]]:
        """One entry for each rate that was decided, lowest first; several seeds must all fall."""
        entries = []
        for trial in record["trials"]:
            if trial["state"] not in ("complete", "pruned", "diverged"):
                continue
            details = list(trial["details_by_seed"].values())
            if trial["state"] != "complete":
                # one that was pruned, for being worse than others, may still show that its loss falls
                details = [self.as_far(trial["processes"][0])]
            entry: dict[str, Any] = {"rate": trial["params"]["learning_rate"], "state": trial["state"]}
            for key in ("initial", "final", "drop", "standard_error", "updates"):
                values = [decode_number(one[key]) for one in details if one.get(key) is not None]
                entry[key] = math.fsum(values) / len(values) if values else None
            entry["falls"] = trial["state"] != "diverged" and all(one["falls"] for one in details)
            entries.append(entry)
        return sorted(entries, key=lambda entry: entry["rate"])


def learns(rate: Mapping[str, Any], rates: Sequence[Mapping[str, Any]]) -> bool:
    """Whether a rate's loss falls clearly, and at least `SHARE` as far as the best rate's.

    The second half matters: even a rate a thousand times too low makes the loss fall by more than its noise. All runs
    start from the same loss, of which the highest first window (that of the lowest rate) is the best estimate.
    """
    if not rate["falls"]:
        return False
    start = max(one["initial"] for one in rates if one["falls"])
    best = min(one["final"] for one in rates if one["falls"])
    return bool(start - rate["final"] >= SHARE * (start - best))


def conclusion(rates: Sequence[Mapping[str, Any]], paper: float | None) -> dict[str, Any]:
    """What the rates, lowest first, show together.

    `usable` is the range around the best rate in which every rate tried learns ([low, high], None if none does); a
    pruned rate whose loss had not fallen yet is undecided and does not end the range;
    `paper_inside` whether the paper's rate lies in it (None when that cannot be said), `paper_factor` how many times
    too high (> 1) or too low (< 1) it is where it does not.
    """
    decided = [rate for rate in rates if rate["falls"] or rate["state"] != "pruned"]
    falling = [place for place, rate in enumerate(decided) if learns(rate, decided)]
    best = min(falling, key=lambda place: decided[place]["final"], default=None)
    usable: list[float] | None = None
    if best is not None:
        first = last = best
        while first - 1 in falling:
            first -= 1
        while last + 1 in falling:
            last += 1
        usable = [decided[first]["rate"], decided[last]["rate"]]
    inside, factor = None, None
    if paper is not None and usable is not None:
        inside = usable[0] <= paper <= usable[1]
        if not inside:
            factor = paper / usable[1] if paper > usable[1] else paper / usable[0]
    needed = None if usable else updates_needed(rates)
    return {
        "paper_value": paper,
        "needed_updates": needed,
        "usable": usable,
        "best_rate": None if best is None else decided[best]["rate"],
        "paper_inside": inside,
        "paper_factor": factor,
        "rates": [dict(rate) for rate in rates],
        "summary": summary(usable, paper, inside, factor, rates, needed),
    }


def updates_needed(rates: Sequence[Mapping[str, Any]]) -> int | None:
    """How long a trial must be to show a fall to half the loss, where at every rate noise would hide a fall to zero.

    None where the trials could have shown one. The standard error of a fall goes with one over the root of the updates,
    for its windows are shares of them.
    """
    seen = [rate for rate in rates if rate["state"] == "complete" and rate.get("standard_error") is not None]
    if not seen or any(CLEARLY * rate["standard_error"] < abs(rate["initial"]) for rate in seen):
        return None
    seen = [rate for rate in seen if rate["initial"]]
    if not seen:
        return None
    quietest = min(seen, key=lambda rate: rate["standard_error"] / abs(rate["initial"]))
    longer = (CLEARLY * quietest["standard_error"] / (abs(quietest["initial"]) / 2)) ** 2
    updates = quietest["updates"] * longer
    unit = 10 ** max(0, math.floor(math.log10(updates)) - 1)
    return int(math.ceil(updates / unit) * unit)


def summary(
    usable: Sequence[float] | None,
    paper: float | None,
    inside: bool | None,
    factor: float | None,
    rates: Sequence[Mapping[str, Any]],
    needed: int | None,
) -> str:
    """ "rates 3.16e-04 … 1e-02 learn, the paper's 6.99e-04 lies inside"."""
    if not rates:
        return "no rate tried yet"
    own = "" if paper is None else f"the paper's {paper:.3g}"
    if all(rate["state"] == "diverged" for rate in rates):
        return f"the loss becomes NaN or infinite at every rate, down to {min(rate['rate'] for rate in rates):.3g}"
    if needed:
        return "trials too short to see the loss fall: its noise would hide a fall to zero"
    if usable is None:
        return "no rate makes the loss fall clearly" + (f", {own} neither" if own else "")
    low, high = usable
    text = f"only the rate {low:.3g} learns" if low == high else f"rates {low:.3g} … {high:.3g} learn"
    if inside is None:
        return text
    if inside:
        return f"{text}, {own} lies inside"
    assert factor is not None
    side = f"{factor:.3g} times above" if factor > 1 else f"{1 / factor:.3g} times below"
    return f"{text}, {own} lies {side}"
