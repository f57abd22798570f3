"""What a run shows while it works: live in a terminal, plain lines in a pipe, JSON lines for other programs."""

from __future__ import annotations

import json
import os
import shutil
import sys
import time
from typing import Any, Protocol, TextIO

from repro.commands import words
from repro.configuration.secrets import mask_text
from repro.findings import Evidence, Finding


class Display(Protocol):
    """What phases report to. `eta` and `done`, `total` may be unknown: seconds left, and how much of what is done."""

    def phase_started(self, name: str) -> None: ...

    def progress(
        self,
        phase: str,
        text: str,
        done: float | None = None,
        total: float | None = None,
        eta: float | None = None,
    ) -> None: ...

    def finding(self, finding: Finding) -> None: ...

    def phase_finished(self, evidence: Evidence, reused: bool = False) -> None: ...

    def note(self, text: str) -> None: ...

    def close(self) -> None:
        """Print each phase's share of the time and leave the terminal as it was."""


def choose(as_json: bool, stream: TextIO | None = None) -> Display:
    """The display that suits where the output goes: JSON lines if asked for; live only in a terminal with colour."""
    stream = stream or sys.stdout
    if as_json:
        return JsonDisplay(stream)
    if coloured(stream):
        return LiveDisplay(stream)
    return PlainDisplay(stream, width=min(shutil.get_terminal_size().columns, 110) if stream.isatty() else 110)


def coloured(stream: TextIO) -> bool:
    """Whether colours and a line that moves are wanted there: a terminal, and nothing that says plain text."""
    dumb = "NO_COLOR" in os.environ or os.environ.get("TERM") == "dumb" or "CI" in os.environ
    return stream.isatty() and not dumb


class _Times:
    def __init__(self) -> None:
        self.of: dict[str, float] = {}

    def add(self, evidence: Evidence, reused: bool) -> None:
        if not reused:
            self.of[evidence.phase] = self.of.get(evidence.phase, 0.0) + evidence.seconds


def _amount(done: float | None, total: float | None) -> str:
    if done is None:
        return ""
    return f"{done:,.0f} of {total:,.0f}" if total is not None else f"{done:,.0f}"


class PlainDisplay:
    """One line when a phase ends, and while a phase lasts at most one every `every` seconds."""

    def __init__(self, stream: TextIO, every: float = 30.0, width: int = 110) -> None:
        self._stream = stream
        self._every = every
        self._width = width
        self._times = _Times()
        self._said = time.monotonic()
        self._gone = False

    def _print(self, text: str) -> None:
        if self._gone:
            return
        try:
            print(words.printable(mask_text(text), self._stream), file=self._stream, flush=True)
        except BrokenPipeError:
            # nobody reads any more; the run itself is still worth finishing
            self._gone = True
            os.dup2(os.open(os.devnull, os.O_WRONLY), self._stream.fileno())

    def phase_started(self, name: str) -> None:
        self._said = time.monotonic()

    def progress(
        self,
        phase: str,
        text: str,
        done: float | None = None,
        total: float | None = None,
        eta: float | None = None,
    ) -> None:
        if time.monotonic() - self._said < self._every:
            return
        self._said = time.monotonic()
        left = f"{words.seconds(eta)} left" if eta is not None else ""
        self._print(f"   {phase:<13} {' · '.join(part for part in (text, _amount(done, total), left) if part)}")

    def finding(self, finding: Finding) -> None:
        pass  # spelled out when the phase ends

    def phase_finished(self, evidence: Evidence, reused: bool = False) -> None:
        self._times.add(evidence, reused)
        self._print(words.phase_line(evidence, reused, self._width))
        for line in words.finding_lines(evidence):
            self._print(line)

    def note(self, text: str) -> None:
        self._print(text)

    def close(self) -> None:
        if shares := words.shares(self._times.of, self._width):
            self._print(shares)
        self._times = _Times()


class JsonDisplay:
    """One JSON object a line, `{"event": "phase_finished", …}`; numbers that are not finite become text."""

    def __init__(self, stream: TextIO) -> None:
        self._plain = PlainDisplay(stream)
        self._times = _Times()

    def emit(self, event: str, **fields: Any) -> None:
        self._plain.note(json.dumps({"event": event, **_finite(fields)}, default=str))

    def phase_started(self, name: str) -> None:
        self.emit("phase_started", phase=name)

    def progress(
        self,
        phase: str,
        text: str,
        done: float | None = None,
        total: float | None = None,
        eta: float | None = None,
    ) -> None:
        self.emit("progress", phase=phase, text=text, done=done, total=total, eta=eta)

    def finding(self, finding: Finding) -> None:
        self.emit("finding", **finding.to_json())

    def phase_finished(self, evidence: Evidence, reused: bool = False) -> None:
        self._times.add(evidence, reused)
        self.emit("phase_finished", reused=reused, **evidence.to_json())

    def note(self, text: str) -> None:
        self.emit("note", text=text)

    def close(self) -> None:
        self.emit("time", seconds=self._times.of)
        self._times = _Times()


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(child) for key, child in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(child) for child in value]
    if isinstance(value, float) and (value != value or value in (float("inf"), float("-inf"))):
        return str(value)
    return value


class LiveDisplay:
    """Finished phases as lines, and below them the phase that works: what it does, how far it is, how long it takes."""

    def __init__(self, stream: TextIO) -> None:
        from rich.console import Console
        from rich.live import Live
        from rich.text import Text

        self._text = Text
        self._times = _Times()
        self._phase = ""
        self._doing = ""
        self._fraction: float | None = None
        self._ends: float | None = None
        self._failed = 0
        self._since = time.monotonic()
        self._console = Console(file=stream, highlight=False, soft_wrap=True)
        self._live = Live(console=self._console, refresh_per_second=8, transient=True, get_renderable=self._render)
        self._live.start()

    def _width(self) -> int:
        return min(self._console.width or shutil.get_terminal_size().columns, 120)

    def _render(self) -> Any:
        if not self._phase:
            return self._text("")
        parts = [self._doing]
        if self._failed:
            parts.append(f"{self._failed} failed")
        if self._ends is not None:
            parts.append(f"{words.seconds(max(0.0, self._ends - time.monotonic()))} left")
        else:
            parts.append(words.seconds(time.monotonic() - self._since))
        line = self._text(f" ◐ {self._phase:<13} ", style="cyan", no_wrap=True, overflow="ellipsis")
        if self._fraction is not None:
            full = round(16 * min(1.0, max(0.0, self._fraction)))
            line.append("━" * full, style="cyan").append("━" * (16 - full) + " ", style="dim")
        line.append(" · ".join(part for part in parts if part), style="default")
        line.truncate(self._width(), overflow="ellipsis")
        return line

    def _print(self, text: str, style: str = "") -> None:
        self._console.print(self._text(words.printable(mask_text(text), self._console.file), style=style))

    def phase_started(self, name: str) -> None:
        self._phase, self._doing, self._fraction, self._ends, self._failed = name, "", None, None, 0
        self._since = time.monotonic()

    def progress(
        self,
        phase: str,
        text: str,
        done: float | None = None,
        total: float | None = None,
        eta: float | None = None,
    ) -> None:
        self._phase = phase
        self._doing = mask_text(" · ".join(part for part in (text, _amount(done, total)) if part))
        self._fraction = done / total if done is not None and total else None
        self._ends = time.monotonic() + eta if eta is not None else None

    def finding(self, finding: Finding) -> None:
        self._failed += finding.blocks

    def phase_finished(self, evidence: Evidence, reused: bool = False) -> None:
        self._phase = ""
        self._times.add(evidence, reused)
        style = {"failed": "red", "passed": "", "to_do": "yellow"}.get(evidence.outcome, "dim")
        self._print(words.phase_line(evidence, reused, self._width()), style)
        for line in words.finding_lines(evidence):
            self._print(line)

    def note(self, text: str) -> None:
        self._print(text)

    def close(self) -> None:
        self._phase = ""
        self._live.stop()
        if shares := words.shares(self._times.of, self._width()):
            self._print(shares, "dim")
        self._times = _Times()
