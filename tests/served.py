"""A local HTTP server that cuts, damages, refuses and resumes, as told."""

from __future__ import annotations

import contextlib
import http.server
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field


@dataclass
class Server:
    """What was asked of it (Range headers), and how it shall behave: one entry a request, good after the last."""

    address: str = ""
    behaviour: list[str] = field(default_factory=list)  # cut, damage, no ranges, 404, 503; anything else is good
    ranges: list[str | None] = field(default_factory=list)


@contextlib.contextmanager
def serving(contents: Mapping[str, bytes]) -> Iterator[Server]:
    """Serves `contents` by name below `Server.address`, which ends in a slash."""
    state = Server()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            state.ranges.append(self.headers.get("Range"))
            how = state.behaviour.pop(0) if state.behaviour else "good"
            content = contents.get(self.path.removeprefix("/"))
            if how in ("404", "503") or content is None:
                self.send_error(404 if content is None else int(how))
                return
            start = 0
            if self.headers.get("Range") and how != "no ranges":
                start = int(self.headers["Range"].removeprefix("bytes=").removesuffix("-"))
                if start >= len(content):
                    self.send_response(416)
                    self.send_header("Content-Range", f"bytes */{len(content)}")
                    self.send_header("Content-Length", "0")
                    self.end_headers()
                    return
                self.send_response(206)
                self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
            else:
                self.send_response(200)
            body = content[start:]
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if how == "damage":
                body = bytes([body[0] ^ 1]) + body[1:]
            self.wfile.write(body[: len(body) // 2] if how == "cut" else body)

        def log_message(self, *_: object) -> None:
            pass

    httpd = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=httpd.serve_forever)
    thread.start()
    state.address = f"http://127.0.0.1:{httpd.server_port}/"
    try:
        yield state
    finally:
        httpd.shutdown()
        thread.join()
        httpd.server_close()
