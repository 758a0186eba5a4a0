"""A download site of one file, with all that such sites and their connections do wrong."""

from __future__ import annotations

import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Site:
    """A server on this machine; its attributes may be changed between requests.

    Attributes:
        content: what it sends.
        ranges: it can send the rest of a file.
        cut: it promises all but hangs up after so many bytes.
        status: answered instead of 200 or 206.
        kind: Content-Type.
        length: it says how much it sends.
        pause: seconds before each 500 bytes.
        go: it sends nothing but the headers until this is set.
        answered_range: its Content-Range where that is wrong.
        asked: the Range header of each request, None where there was none.
    """

    def __init__(self, content: bytes):
        self.content = content
        self.ranges, self.length = True, True
        self.cut: int | None = None
        self.status: int | None = None
        self.kind = "application/octet-stream"
        self.answered_range: str | None = None
        self.pause = 0.0
        self.go = threading.Event()
        self.go.set()
        self.asked: list[str | None] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()
        self.address = f"http://127.0.0.1:{self._server.server_address[1]}/n.pth"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        site = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                wanted = self.headers["Range"]
                site.asked.append(wanted)
                start = 0
                if wanted and site.ranges:
                    start = int(wanted.removeprefix("bytes=").removesuffix("-"))
                    if start >= len(site.content):
                        self.send_response(416)
                        self.send_header("Content-Range", f"bytes */{len(site.content)}")
                        self.end_headers()
                        return
                body = site.content[start:]
                self.send_response(site.status or (206 if wanted and site.ranges else 200))
                if wanted and site.ranges:
                    last = len(site.content) - 1
                    answer = f"bytes {start}-{last}/{len(site.content)}"
                    self.send_header("Content-Range", site.answered_range or answer)
                self.send_header("Content-Type", site.kind)
                if site.length:
                    self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                site.go.wait(100)
                for at in range(0, len(body[: site.cut]), 500):
                    time.sleep(site.pause)
                    self.wfile.write(body[: site.cut][at : at + 500])
                self.wfile.flush()

            def log_message(self, format: str, *args: object) -> None:
                pass

        return Handler
