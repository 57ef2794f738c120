"""A web server on this machine whose files misbehave as a test asks for."""

import contextlib
import dataclasses
import hashlib
import http.server
import os
import re
import ssl
import threading
from collections.abc import Iterator

from mmat.corpora.downloads import Patience

# Four tries as for a user, but at a test's pace.
QUICK = Patience(tries=4, backoff_seconds=0.01, limit_seconds=5.0)


@dataclasses.dataclass
class Served:
    """A file of the server; every list is used up from the front, an answer at a time."""

    content: bytes
    etag: str = ""
    ranges: bool = True  # whether a Range is heeded
    heeds_if_range: bool = True
    begins_wrong: bool = False  # answer a Range with another one
    statuses: list[int] = dataclasses.field(default_factory=list)
    cuts: list[int] = dataclasses.field(default_factory=list)  # hang up after so many bytes
    length: bool = True  # whether Content-Length is sent
    content_type: str = ""
    authorization: str = ""  # refuse those who come without it
    hold_after: int | None = None  # send so many bytes, then nothing until `released`
    released: threading.Event = dataclasses.field(default_factory=threading.Event)

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.content).hexdigest()


@dataclasses.dataclass
class Loopback:
    url: str
    files: dict[str, Served] = dataclasses.field(default_factory=dict)
    requests: list[tuple[str, str | None]] = dataclasses.field(default_factory=list)

    @property
    def ranges(self) -> list[str | None]:
        """The Range header of each request so far."""
        return [asked for _, asked in self.requests]


@contextlib.contextmanager
def serve(certificate: str | os.PathLike | None = None) -> Iterator[Loopback]:
    """Serve until the end of the context; by TLS with a certificate, a PEM file with its key."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.daemon_threads = True
    if certificate is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    scheme = "http" if certificate is None else "https"
    loopback = server.loopback = Loopback(f"{scheme}://127.0.0.1:{server.server_port}")
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    try:
        yield loopback
    finally:
        for file in loopback.files.values():
            file.released.set()
        server.shutdown()
        server.server_close()


class _Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        asked = self.headers["Range"]
        self.server.loopback.requests.append((self.path, asked))
        file = self.server.loopback.files.get(self.path.lstrip("/"))
        status = 404 if file is None else file.statuses.pop(0) if file.statuses else 200
        if status == 200 and file.authorization not in ("", self.headers["Authorization"]):
            status = 401
        if status != 200:
            return self._send(status, b"")
        start = self._start(file, asked)
        if start >= len(file.content) > 0:
            return self._send(416, b"", {"Content-Range": f"bytes */{len(file.content)}"})
        headers = {"ETag": file.etag, "Content-Type": file.content_type}
        headers = {name: value for name, value in headers.items() if value}
        if start:
            status, stated = 206, 0 if file.begins_wrong else start
            headers["Content-Range"] = f"bytes {stated}-{len(file.content) - 1}/{len(file.content)}"
        return self._send(status, file.content[start:], headers, file)

    def _start(self, file: Served, asked: str | None) -> int:
        if not (asked and file.ranges):
            return 0
        condition = self.headers["If-Range"]
        if condition and file.heeds_if_range and condition != file.etag:
            return 0
        return int(re.fullmatch(r"bytes=(\d+)-", asked)[1])

    def _send(self, status: int, body: bytes, headers=None, file: Served | None = None) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        if file is None or file.length:
            self.send_header("Content-Length", str(len(body)))
        self.send_header("Connection", "close")
        self.end_headers()
        if file is not None and file.cuts:
            body = body[: file.cuts.pop(0)]
        if file is not None and file.hold_after is not None:
            self.wfile.write(body[: file.hold_after])
            self.wfile.flush()
            file.released.wait(30)
            return
        self.wfile.write(body)

    def log_message(self, *_) -> None:
        pass
