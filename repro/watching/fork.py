"""A fork that looks at a paper and tells its parent through a pipe; killed when a newer save makes it pointless."""

from __future__ import annotations

import json
import os
import signal
import sys
import tempfile
import traceback
from collections.abc import Callable, Mapping
from typing import Any

from repro.tracking.files import write_whole


class Fork:
    """Runs `work(tell)` in a fork. `read` gives what was told since the last call; `ended` once all has been read.

    What the fork prints, the person's own prints above all, goes into a file; `printed` gives its last lines.
    """

    def __init__(self, work: Callable[[Callable[[Mapping[str, Any]], None]], None]) -> None:
        self.output = tempfile.TemporaryFile()  # noqa: SIM115 (closed by `stop`)
        self.pipe, writing = os.pipe()
        sys.stdout.flush()
        sys.stderr.flush()
        self.process = os.fork()
        if self.process == 0:
            os.close(self.pipe)
            self._live(work, writing)
        os.close(writing)
        os.set_blocking(self.pipe, False)
        self.waiting = b""
        self.ended = False
        self.status = 0

    def _live(self, work: Callable[[Callable[[Mapping[str, Any]], None]], None], writing: int) -> None:
        """The fork's whole life: it never returns into the parent's code."""
        code = 1
        try:
            for number in (signal.SIGINT, signal.SIGTERM):
                signal.signal(number, signal.SIG_DFL)
            nothing = os.open(os.devnull, os.O_RDONLY)
            os.dup2(nothing, 0)
            for stream in (1, 2):
                os.dup2(self.output.fileno(), stream)

            def tell(event: Mapping[str, Any]) -> None:
                write_whole(writing, json.dumps(event, default=str).encode() + b"\n")

            try:
                work(tell)
                code = 0
            except Exception as failure:  # noqa: BLE001 (told to the parent, which goes on watching)
                shown = "".join(traceback.format_exception(failure))
                tell({"event": "failed", "text": f"{type(failure).__name__}: {failure}", "traceback": shown})
            sys.stdout.flush()
            sys.stderr.flush()
        finally:
            os._exit(code)

    def read(self) -> list[dict[str, Any]]:
        """The events told since the last call, without waiting for any."""
        while not self.ended:
            try:
                part = os.read(self.pipe, 65536)
            except BlockingIOError:
                break
            if not part:
                self._reap()
                break
            self.waiting += part
        *lines, self.waiting = self.waiting.split(b"\n")
        return [json.loads(line) for line in lines]

    def printed(self, lines: int = 5) -> list[str]:
        self.output.seek(0)
        return self.output.read().decode(errors="replace").splitlines()[-lines:]

    def stop(self) -> None:
        """End the fork, wherever it is. Evidence is written whole or not at all, so nothing is left half done."""
        if not self.ended:
            os.kill(self.process, signal.SIGKILL)
            self._reap()
        self.output.close()

    def _reap(self) -> None:
        self.ended = True
        os.close(self.pipe)
        self.status = os.waitstatus_to_exitcode(os.waitpid(self.process, 0)[1])
