"""`watch`: whenever you save a file of your paper, the current step is checked again at once.

The screen shows what is right and the first thing that is wrong. Keys: h gives a hint, h again the next one, then the
question that it belongs to; r looks again; q leaves. When a step holds, the next one is looked at.
"""

from __future__ import annotations

import os
import select
import shutil
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

from repro.commands.help import READER, Parser
from repro.commands.words import printable
from repro.configuration import folders, secrets
from repro.configuration.secrets import mask_text
from repro.errors import ConfigError, ExitCode, ReproError
from repro.watching.fork import Fork
from repro.watching.saved import Stamps, changed, first_places, stamps
from repro.watching.screen import State, lines

EXAMPLES = (
    "watch paper=my_paper",
    "watch paper=my_paper scale=smoke",
)
EVERY = 0.1  # seconds between two looks at the files
SETTLE = 0.05  # seconds that an editor gets to finish writing


def main(words: list[str]) -> ExitCode:
    parser = Parser("watch", __doc__ or "", EXAMPLES, {**READER, ExitCode.OK: "you left it"})
    parser.overrides("paper=<name>, and whatever `check` takes")
    given = parser.parse_intermixed_args(words)
    if not any(override.startswith("paper=") for override in given.overrides):
        raise ConfigError("watch needs to know the paper.", f"Example: python -m repro {EXAMPLES[0]}")
    if not hasattr(os, "fork"):
        raise ConfigError("watch needs fork(), which this system lacks.", "Use `check` instead; it does the same once.")
    secrets.remember_overrides(given.overrides)
    if added := folders.added():
        print(added, file=sys.stderr)
    print("Warming up …", flush=True)
    warm_up(given.overrides)
    with keys() as interactive:
        Watch(given.overrides, interactive).run()
    return ExitCode.OK


def warm_up(overrides: Sequence[str]) -> None:
    """Import all that a look needs, once; every fork starts from here. No module of the person's is imported."""
    import torch

    # no operation runs here: worker threads of PyTorch's would not survive the fork
    torch.set_num_threads(1)
    from repro import phases
    from repro.checks import registry
    from repro.configuration.compose import compose
    from repro.phases import CHECKED
    from repro.phases import folder as folder_of_phases
    from repro.watching import gates

    registry.load_all()
    for name in CHECKED:
        phases.load(name)
    assert folder_of_phases and gates
    # what Hydra sets up at its first use; where the config is wrong, the first look says so
    with suppress(ReproError):
        compose(overrides)


class Watch:
    """Looks, shows, and waits for a save or a key."""

    def __init__(self, overrides: Sequence[str], interactive: bool) -> None:
        self.overrides = list(overrides)
        self.interactive = interactive
        self.places = first_places()
        self.state = State()
        self.fork: Fork | None = None
        self.since = 0.0
        self.shown: list[str] = []
        self.size = os.terminal_size((0, 0))

    def run(self) -> None:
        """Until q, Ctrl-C or the end of the input."""
        seen = stamps(self.places)
        self.look()
        try:
            while True:
                if not self.wait(EVERY):
                    return
                now = stamps(self.places)
                if changed(seen, now):
                    now = self.settled(now)
                    seen = now
                    self.look()
                elif self.hear():
                    # the paper's config may have named other files than those looked at so far
                    seen = {**stamps(self.places), **seen}
                self.show()
        except KeyboardInterrupt:
            return
        finally:
            if self.fork is not None:
                self.fork.stop()

    def settled(self, now: Stamps) -> Stamps:
        """The stamps once nothing was written for a moment."""
        while True:
            time.sleep(SETTLE)
            after = stamps(self.places)
            if not changed(now, after):
                return after
            now = after

    def look(self) -> None:
        """Start a new look; an older one that still works is ended, for what it would say is of old files."""
        if self.fork is not None:
            self.fork.stop()
        from repro.watching.gates import look

        self.state = State(title=self.state.title, name=self.state.name)
        self.since = time.monotonic()
        self.fork = Fork(lambda tell: look(self.overrides, tell))

    def hear(self) -> bool:
        """Take in what the fork told; True when it named the paper's files."""
        if self.fork is None or self.fork.ended:
            return False
        named = False
        for event in self.fork.read():
            if event["event"] == "paper":
                self.places, named = [*event["places"]], True
            self.state.hear(event)
        if self.state.end is not None and self.state.seconds is None:
            self.state.seconds = time.monotonic() - self.since
        return self.finish(self.fork) or named

    def finish(self, fork: Fork) -> bool:
        """What is left to say once the fork has ended: what the person's code printed, or that the fork died."""
        if fork.ended:
            self.state.printed = fork.printed()
            if self.state.end is None:
                signal = f"signal {-fork.status}" if fork.status < 0 else f"exit code {fork.status}"
                self.state.hear({"event": "failed", "text": f"the process that ran the checks died ({signal})"})
        return False

    def wait(self, seconds: float) -> bool:
        """Wait for a key or for what the fork tells; False to leave."""
        inputs = [sys.stdin.fileno()] if self.interactive else []
        if self.fork is not None and not self.fork.ended:
            inputs.append(self.fork.pipe)
        ready, _, _ = select.select(inputs, [], [], seconds)
        if not self.interactive or sys.stdin.fileno() not in ready:
            return True
        typed = os.read(sys.stdin.fileno(), 16).decode(errors="ignore")
        if not typed:
            return False
        for key in typed:
            if key in "qQ\x03\x04":
                return False
            if key in "hH":
                self.state.hints += 1
            if key in "rR":
                self.look()
        return True

    def show(self) -> None:
        """Draw the screen where something changed; without a terminal, print each answer once."""
        size = shutil.get_terminal_size((100, 24))
        # the cursor needs the last line; without a terminal nothing is too low
        now = lines(self.state, min(size.columns, 120), size.lines - 1 if self.interactive else 1000)
        if size != self.size and self.interactive:
            self.shown, self.size = [], size  # the terminal has moved what stood there
        if now == self.shown or (not self.interactive and self.state.end is None):
            return
        self.shown = now
        text = printable(mask_text("\n".join(now)))
        # home and clear only below: the screen does not flicker while a person types elsewhere
        print(f"\x1b[H\x1b[2J{text}" if self.interactive else f"{text}\n", flush=True)


@contextmanager
def keys() -> Iterator[bool]:
    """Single keys without Enter where there is a terminal; the terminal is as before afterwards."""
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        yield False
        return
    import termios
    import tty

    before = termios.tcgetattr(sys.stdin)
    try:
        tty.setcbreak(sys.stdin)
        yield True
    finally:
        termios.tcsetattr(sys.stdin, termios.TCSADRAIN, before)
