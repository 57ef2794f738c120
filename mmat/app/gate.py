"""What stands before the page's server: what may be sent, and headers for the browser.

Gradio's server can do more than this page needs, such as convert a film or edit the page.
"""

from mmat.app.guard import Guard

UPLOADS_AT_ONCE = 8  # so many of the largest size may lie on the disk
_FORM_BYTES = 1 << 16  # of a form around its file
_REQUEST_BYTES = 1 << 18  # of anything else: labels, and where an upload lies
UPLOAD = "/gradio_api/upload"
SENT = (UPLOAD, "/gradio_api/queue/join", "/gradio_api/call/tag", "/gradio_api/cancel")
HEADERS = {
    # The browser itself asks no other host for anything, whatever a page's parts would like.
    "content-security-policy": (
        "default-src 'self' data: blob: 'unsafe-inline' 'unsafe-eval'; form-action 'self'; "
        "frame-ancestors 'none'; base-uri 'self'; object-src 'none'"
    ),
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
}


class Gate:
    """An ASGI application around another one; see the module."""

    def __init__(self, app, guard: Guard):
        self.app, self.guard = app, guard
        self._announced = 0  # bytes of uploads that are under way

    async def __call__(self, scope, receive, send) -> None:
        if scope["type"] != "http":
            return await self.app(scope, receive, send)

        async def send_with_headers(event):
            if event["type"] == "http.response.start":
                added = [(name.encode(), value.encode()) for name, value in HEADERS.items()]
                event = event | {"headers": [*event.get("headers", ()), *added]}
            await send(event)

        if scope["method"] not in ("GET", "HEAD", "OPTIONS"):
            length = dict(scope["headers"]).get(b"content-length", b"")
            refusal = self._refusal(scope["method"], scope["path"].rstrip("/"), length)
            if refusal:
                return await _refuse(send_with_headers, *refusal)
            length = int(length) if scope["path"].rstrip("/") == UPLOAD else 0
            self._announced += length
            try:
                return await self.app(scope, receive, send_with_headers)
            finally:
                self._announced -= length
        await self.app(scope, receive, send_with_headers)

    def _refusal(self, method: str, path: str, length: bytes) -> tuple[int, str] | None:
        """Return status and words where what is sent, of so many bytes, is not taken."""
        limits = self.guard.limits
        if method != "POST" or path not in SENT:
            return 404, "the page takes nothing here"
        if not length.isdigit():
            return 411, "the request does not say how long it is"
        if path != UPLOAD:
            if int(length) > _REQUEST_BYTES:
                return 413, "the request is too large"
            return None
        if int(length) > limits.bytes + _FORM_BYTES:
            return 413, f"the file is larger than {limits.megabytes:g} MB, the most this page takes"
        # What is under way may be counted twice, of which some lies on the disk by then.
        n_bytes = self.guard.sweep() + self._announced + int(length)
        if n_bytes > UPLOADS_AT_ONCE * limits.bytes:
            return 503, "too many clips wait here already; try again in some minutes"
        return None


async def _refuse(send, status: int, words: str) -> None:
    headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"connection", b"close")]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": words.encode()})
