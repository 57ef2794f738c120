"""The page's server on this machine, with a folder of its own for uploads.

Gradio's server can do more than this page needs, such as convert a film or edit the page. So a
middleware stands before it: it refuses what the page never sends, and adds security headers.
"""

import contextlib
import os
import tempfile
from collections.abc import Iterator, Sequence

from mmat.app.taggers import Taggers
from mmat.app.uploads import Limits, Uploads
from mmat.files import InputError

QUIET = {
    "GRADIO_ANALYTICS_ENABLED": "False",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_HUB_OFFLINE": "1",
}

UPLOADS_AT_ONCE = 8  # so many of the largest size may lie on the disk
_FORM_BYTES = 1 << 16  # of a form around its file
_REQUEST_BYTES = 1 << 18  # of anything else: labels, and where an upload lies
UPLOAD = "/gradio_api/upload"
SENT = (UPLOAD, "/gradio_api/queue/join", "/gradio_api/call/tag", "/gradio_api/cancel")
HEADERS = {
    # The browser loads nothing from other hosts, whatever a page's parts would like.
    "content-security-policy": (
        "default-src 'self' data: blob: 'unsafe-inline' 'unsafe-eval'; form-action 'self'; "
        "frame-ancestors 'none'; base-uri 'self'; object-src 'none'"
    ),
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
}


@contextlib.contextmanager
def serving(
    models: Sequence[str | os.PathLike] = (),
    host: str = "127.0.0.1",
    port: int | None = 7860,
    limits: Limits = Limits(),
) -> Iterator[str]:
    """Serve the page while the `with` lasts, and give its address.

    models: folders of models to choose from, the first one at the start, beside any labels without
    training. port: None for a free one. Raises InputError without the extra `app`, for a folder
    that holds no model, and where the port is taken.
    """
    taggers = Taggers(models)
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="mmat-app-"))
        stack.enter_context(_environment(QUIET | {"GRADIO_TEMP_DIR": folder}))
        try:
            import gradio  # noqa: F401
        except ImportError as error:
            raise InputError(
                "the page needs Gradio, which is not installed: `pip install mmat[app]`"
            ) from error
        from starlette.middleware import Middleware

        from mmat.app.page import CSS, build, theme

        uploads = stack.enter_context(Uploads(folder, limits))
        page = build(uploads, taggers)
        stack.callback(page.close, verbose=False)
        try:
            page.launch(
                server_name=host,
                server_port=port,
                prevent_thread_lock=True,
                quiet=True,
                share=False,
                inbrowser=False,
                show_error=False,
                footer_links=[],
                run_history=False,
                enable_monitoring=False,
                mcp_server=False,
                pwa=False,
                ssr_mode=False,
                max_file_size=limits.bytes,
                theme=theme(),
                css=CSS,
                app_kwargs={
                    "middleware": [Middleware(PageMiddleware, uploads=uploads)],
                    "docs_url": None,
                    "redoc_url": None,
                },
            )
        except OSError as error:
            raise InputError(
                f"--port {port}: cannot be used on {host}; choose another one"
            ) from error
        yield page.local_url


@contextlib.contextmanager
def _environment(values: dict[str, str]) -> Iterator[None]:
    """Set environment variables, the only way to configure some of Gradio, and restore them."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


class PageMiddleware:
    """An ASGI application around the page's: checks what is sent, and adds `HEADERS`."""

    def __init__(self, app, uploads: Uploads):
        self.app, self.uploads = app, uploads
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
        """Return status and text if a request of so many bytes is refused."""
        limits = self.uploads.limits
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
        n_bytes = self.uploads.sweep() + self._announced + int(length)
        if n_bytes > UPLOADS_AT_ONCE * limits.bytes:
            return 503, "too many clips wait here already; try again in some minutes"
        return None


async def _refuse(send, status: int, text: str) -> None:
    headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"connection", b"close")]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": text.encode()})
