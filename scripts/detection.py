"""How many planted bugs the checks catch, where, and how often they cry wolf on correct code: both numbers together.

    python scripts/detection.py                          # all bugs and variants, one after the other
    python scripts/detection.py --workers 8 --seeds 100  # and alarms over 100 seeds of the correct paper
    python scripts/detection.py --paper ppo              # another paper that bugs are planted into
    python scripts/detection.py --paper package          # the four papers of the package; all: those outside too
    python scripts/detection.py --only T03 --only V22    # some of them
    python scripts/detection.py --markdown               # the table as the README shows it

Each bug is a patch of the real component; the gates run in order, as in `python -m repro check`, up to the first that
fails. Exits with 1 if a promise is not held: at least 95 % of the listed bugs stopped, 90 % at the right phase and
at the right component, the true class among the first three likely bugs in 80 %, no alarm on correct code.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tests.planted_bugs.suite import (
    ELSEWHERE,
    Case,
    Met,
    alarms_over_seeds,
    bugs,
    chosen,
    meet,
    not_planted,
    papers,
    picklable,
    variants,
    warm,
)

#: Shares of the listed bugs that are promised.
PROMISES: tuple[tuple[str, float, Callable[[Met], bool]], ...] = (
    ("caught", 0.95, lambda met: met.phase is not None),
    ("right phase", 0.90, lambda met: met.right_phase),
    ("right component", 0.90, lambda met: met.right_component),
    ("class in first 3", 0.80, lambda met: met.right_class is True),
)
HEADS = ("", "number", *(name for name, _, _ in PROMISES), "CPU seconds")


def run_one(case: Case) -> Met:
    """In a process of its own: some bugs leave something behind, such as gradients switched off for good."""
    import torch

    torch.set_num_threads(1)
    return picklable(meet(case))


def run_all(cases: list[Case], workers: int, names: list[str]) -> Iterator[Met]:
    """The results in the order of the cases, each from a fork of this process, which has imported what it needs."""
    warm(names)
    with multiprocessing.get_context("fork").Pool(workers, maxtasksperchild=1) as pool:
        yield from pool.imap(run_one, cases, chunksize=1)


def bug_row(name: str, mets: list[Met]) -> list[str]:
    """One row of the table: counts of what was promised, out of the bugs of which it can be said."""
    cells = [name, str(len(mets))]
    for _, _, holds in PROMISES[:3]:
        cells.append(str(sum(map(holds, mets))))
    told = [met for met in mets if met.right_class is not None]
    cells.append(f"{sum(met.right_class is True for met in told)} of {len(told)}")
    return [*cells, f"{sum(met.seconds for met in mets):.0f}"]


def rows_of(found: list[Met], tried: list[Met]) -> list[list[str]]:
    """The rows: listed bugs by type, bugs beyond the list, correct variants with their alarms."""
    rows = []
    for kind in sorted({met.case.listed["type"] for met in found if met.case.listed}):
        rows.append(bug_row(f"listed, {kind}", [m for m in found if m.case.listed and m.case.listed["type"] == kind]))
    beyond = [met for met in found if not met.case.listed]
    if beyond:
        rows.append(bug_row("beyond the list", beyond))
    if tried:
        alarms = sum(met.phase is not None for met in tried)
        words = f"{alarms} alarm{'s' if alarms != 1 else ''}"
        rows.append(["correct variants", str(len(tried)), words, "", "", "", f"{sum(m.seconds for m in tried):.0f}"])
    return rows


def printed(rows: list[list[str]], markdown: bool) -> str:
    """The table, aligned for a terminal or as Markdown."""
    if markdown:
        lines = [list(HEADS), ["---", *["---:"] * (len(HEADS) - 1)], *rows]
        return "\n".join("| " + " | ".join(line) + " |" for line in lines)
    widths = [max(len(line[i]) for line in [list(HEADS), *rows]) for i in range(len(HEADS))]
    return "\n".join(
        "  ".join(
            cell.ljust(w) if i == 0 else cell.rjust(w) for i, (cell, w) in enumerate(zip(line, widths, strict=True))
        )
        for line in [list(HEADS), *rows]
    )


def lacking(met: Met) -> str:
    """What is wrong with how a bug was met, "" if nothing."""
    if met.phase is None:
        return f"not caught ({met.case.missed})" if met.case.missed else "not caught"
    faults = []
    if not met.right_phase:
        faults.append("at another phase")
    if not met.right_component:
        faults.append("another component")
    if met.right_class is False:
        faults.append(f"its class ({met.case.words}) is not among the first three")
    return ", ".join(faults)


def described(met: Met) -> str:
    """ "at model by logits/causal: causal mask missing | …"."""
    if met.finding is None:
        return "every gate opened"
    likely = " | ".join(met.finding.likely[:3])
    return f"at {met.phase} by {met.finding.component}/{met.finding.check}: {likely}"


def broken_promises(found: list[Met], alarms: int) -> list[str]:
    """Every promise that is not held, in words."""
    listed = [met for met in found if met.case.listed]
    broken = [
        f"{name}: {sum(map(holds, listed))} of {len(listed)}, promised {promised:.0%}"
        for name, promised, holds in PROMISES
        if listed and sum(map(holds, listed)) < promised * len(listed)
    ]
    if alarms:
        broken.append(f"alarms on correct code: {alarms}, promised none")
    return broken


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--paper",
        choices=[*papers(), "package", "all"],
        default="transformer",
        help="the paper, in the package or outside of it",
    )
    parser.add_argument(
        "--only", action="append", default=[], metavar="T03", help="this bug or variant; may be repeated"
    )
    parser.add_argument("--seeds", type=int, default=0, metavar="N", help="also count alarms over N seeds")
    parser.add_argument("--workers", type=int, default=1, metavar="N", help="processes, one thread each")
    parser.add_argument("--markdown", action="store_true", help="print the table as Markdown")
    arguments = parser.parse_args()
    wanted = {"all": papers(), "package": list(ELSEWHERE)}.get(arguments.paper, [arguments.paper])
    wrong = chosen([case for paper in wanted for case in bugs(paper)], arguments.only)
    right = chosen([case for paper in wanted for case in variants(paper)], arguments.only)
    if not wrong and not right:
        parser.error(f"--only {' '.join(arguments.only)}: no bug or variant has that name")
    begun = time.perf_counter()
    found: list[Met] = []
    tried: list[Met] = []
    for met in run_all([*wrong, *right], arguments.workers, wanted):
        is_bug = len(found) < len(wrong)  # the bugs come first
        (found if is_bug else tried).append(met)
        words = (lacking(met) or "ok") if is_bug else "ALARM" if met.phase else "ok"
        print(f"{met.case.name:40} {met.seconds:5.1f} s  {words}; {described(met)}", file=sys.stderr, flush=True)
    print(printed(rows_of(found, tried), arguments.markdown))
    alarms = sum(met.phase is not None for met in tried)
    for met in found:
        if fault := lacking(met):
            print(f"{met.case.name}: {fault}; {described(met)}")
    for met in tried:
        if met.phase:
            print(f"{met.case.name}: alarm; {described(met)}: {met.finding.observed if met.finding else ''}")
    if not arguments.only:
        for paper in wanted:
            for name, reason in not_planted(paper).items():
                print(f"{name}: not planted into {paper}, {reason}")
    for paper in wanted if arguments.seeds else ():
        over = alarms_over_seeds(arguments.seeds, paper)
        alarms += len(over)
        print(f"{len(over)} alarms over {arguments.seeds} seeds of the correct {paper}")
        for where, finding in over:
            print(f"  {where}: {finding.component}/{finding.check}: {finding.summary}")
    broken = broken_promises(found, alarms)
    for words in broken:
        print(f"not held: {words}")
    print(f"{time.perf_counter() - begun:.0f} s")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
