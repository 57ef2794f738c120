"""What stands before Gradio's server, which can do more than this page needs, such as fetch a film.

Refused are requests from other websites and all that the page never sends. Uploads get random
names, and are deleted when the question about them has ended in whatever way.
"""

import asyncio
import dataclasses
import json
import logging
import pathlib

from gradio.route_utils import GradioMultiPartParser, MultiPartException
from gradio.routes import file_upload_statuses
from gradio_client.utils import strip_invalid_filename_characters
from starlette.datastructures import Headers, QueryParams
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, PlainTextResponse, Response

from mmat.app.hosts import Hosts
from mmat.app.uploads import Uploads

UPLOADS_AT_ONCE = 8  # so many of the largest size may lie on the disk
_FORM_BYTES = 1 << 16  # of a form around its file
_REQUEST_BYTES = 1 << 18  # of anything else: labels, and where an upload lies
_MOST_QUESTIONS = 1000  # of which is known what they are about
_QUEUE_IS_FULL = 503  # what Gradio answers then, and the browser in Gradio's words
BUSY = "too many clips wait here already. The page keeps yours; press the button again in a minute."

API = "/gradio_api"
UPLOAD, JOIN, CALL, CANCEL = (API + p for p in ("/upload", "/queue/join", "/call/tag", "/cancel"))
DATA, FILE = API + "/queue/data", API + "/file="
READ = {"", "/config", "/theme.css", "/favicon.ico", "/manifest.json", "/robots.txt", DATA}
READ |= {API + path for path in ("/info", "/startup-events", "/upload_progress", "/app_id")}
READ_BELOW = ("/assets/", "/static/", "/svelte/", "/pwa_icon/", API + "/heartbeat/", CALL + "/")
READING = {"GET", "HEAD", "OPTIONS"}
HEADERS = {
    # The browser loads nothing from other hosts, whatever a page's parts would like.
    "content-security-policy": (
        "default-src 'self' data: blob: 'unsafe-inline' 'unsafe-eval'; form-action 'self'; "
        "frame-ancestors 'none'; base-uri 'self'; object-src 'none'"
    ),
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
}


class PageMiddleware:
    """An ASGI application around the page's: checks what is sent, and adds `HEADERS`."""

    def __init__(self, app, uploads: Uploads, hosts: Hosts):
        self.app, self.uploads, self.hosts = app, uploads, hosts
        self._announced = 0  # bytes of uploads that are under way
        self._questions: dict[str, _Question] = {}

    async def __call__(self, scope, receive, send) -> None:
        if scope["type"] == "lifespan":
            return await self.app(scope, receive, send)

        async def send_with_headers(event):
            if event["type"] == "http.response.start":
                added = [(name.encode(), value.encode()) for name, value in HEADERS.items()]
                event = event | {"headers": [*event.get("headers", ()), *added]}
            await send(event)

        refusal = self._refusal(scope)
        path = scope["path"].rstrip("/")
        if refusal:
            await refusal(scope, receive, send_with_headers)
        elif scope["method"] in READING:
            await self._read(path, scope, receive, send_with_headers)
        elif path == UPLOAD:
            response = await self._upload(Request(scope, self._in_time(receive)))
            await response(scope, receive, send_with_headers)
        else:
            await self._ask(path, scope, receive, send_with_headers)

    def _refusal(self, scope) -> Response | None:
        headers, limits = Headers(scope=scope), self.uploads.limits
        hosts, origins = headers.getlist("host"), headers.getlist("origin")
        if elsewhere := self.hosts.refusal(hosts, origins, scope["server"]):
            return _text(403, elsewhere)
        path = scope["path"].rstrip("/")
        if scope["type"] == "http" and scope["method"] in READING:
            return None if self._is_readable(path) else _text(404, "the page has nothing here")
        if scope.get("method") != "POST" or path not in (UPLOAD, JOIN, CALL, CANCEL):
            return _text(404, "the page takes nothing here")
        if not (length := headers.get("content-length", "")).isdecimal():
            return _text(411, "the request does not say how long it is")
        if path != UPLOAD:
            too_large = int(length) > _REQUEST_BYTES
            return _text(413, "the request is too large") if too_large else None
        if int(length) > limits.bytes + _FORM_BYTES:
            most = f"{limits.megabytes:g} MB, the most this page takes"
            return _text(413, f"the file is larger than {most}")
        # What is under way may be counted twice, of which some lies on the disk by then.
        n_bytes = self.uploads.sweep() + self._announced + int(length)
        if n_bytes > UPLOADS_AT_ONCE * limits.bytes:
            return _text(503, "too many clips wait here already; try again in some minutes")
        return None

    def _is_readable(self, path: str) -> bool:
        if path.startswith(FILE):  # one's own upload; Gradio would fetch addresses, too
            return self.uploads.path_of(path.removeprefix(FILE)) is not None
        return path in READ or path.startswith(READ_BELOW)

    async def _upload(self, request: Request) -> Response:
        """Return the path of what was sent, which is under a random name; else nothing stays."""
        length = int(request.headers["content-length"])
        place, path = self.uploads.new_place(), None
        self._announced += length
        try:
            async with asyncio.timeout(self.uploads.limits.abandoned_seconds):
                path = await _file_of(request, place, self.uploads.limits.bytes)
            return JSONResponse([str(path)])
        except TimeoutError:
            return _text(408, "the upload took too long")
        except (MultiPartException, ValueError) as error:
            too_large = "File size" in str(error)
            return _text(413 if too_large else 400, "this is no form of one file")
        except ClientDisconnect:
            return _text(400, "the upload was broken off")
        except OSError:
            return _text(507, "there is no space for the file here")
        finally:
            self._announced -= length
            if not path:
                self.uploads.discard_place(place)

    async def _ask(self, path: str, scope, receive, send) -> None:
        """Pass on a question or its cancellation, and note which uploads it is about."""
        try:
            body = await Request(scope, self._in_time(receive)).body()
            sent = json.loads(body)
        except (TimeoutError, ClientDisconnect):
            return await _text(408, "the request took too long")(scope, receive, send)
        except (ValueError, RecursionError):
            sent = None
        if not isinstance(sent, dict):
            return await _text(400, "this is no question in JSON")(scope, receive, send)
        answer, status, unread = bytearray(), None, [{"type": "http.request", "body": body}]

        async def receive_again():
            return unread.pop() if unread else await receive()

        async def note_and_send(event):
            nonlocal status
            status = event.get("status", status)
            answer.extend(event.get("body", b""))
            is_whole = event["type"] == "http.response.body" and not event.get("more_body")
            if is_whole:
                self._note(path, sent, status, bytes(answer))
            if status != _QUEUE_IS_FULL:
                await send(event)
            elif is_whole:  # of a 429 the browser shows what it says
                busy = JSONResponse({"detail": BUSY}, 429, {"retry-after": "60"})
                await busy(scope, receive, send)

        try:
            await self.app(scope, receive_again, note_and_send)
        except Exception as error:  # Gradio looks at less of a question than it uses
            logging.getLogger(__name__).warning("a malformed question was refused: %r", error)
            if status is None:
                refusal = _text(400, "this is no question that the page asks")
                await refusal(scope, receive, note_and_send)

    def _note(self, path: str, sent: dict, status: int, answer: bytes) -> None:
        """Remember which uploads a question is about; where it is not taken, they go at once."""
        data = sent.get("data")
        parts = data if isinstance(data, list) else ()
        uploads = [part["path"] for part in parts if isinstance(part, dict) and part.get("path")]
        question = _Question(sent.get("session_hash"), uploads)
        if path == CANCEL:
            self._end(sent.get("event_id"))
        elif status == 200:
            self._questions[json.loads(answer)["event_id"]] = question
            if len(self._questions) > _MOST_QUESTIONS:  # their uploads go as abandoned ones do
                self._questions.pop(next(iter(self._questions)))
        elif status != _QUEUE_IS_FULL:  # else it may be asked again
            self._discard(question)

    async def _read(self, path: str, scope, receive, send) -> None:
        """Pass on a request that sends nothing; where an answer was read to its end, or its reader
        is gone, so are the uploads that the question was about."""
        try:
            await self.app(scope, receive, send)
        finally:
            if path == DATA:
                self._end(QueryParams(scope["query_string"]).get("session_hash"))
            elif path.startswith(CALL + "/"):
                self._end(path.rpartition("/")[2])

    def _end(self, event_or_session: str | None) -> None:
        for event, question in list(self._questions.items()):
            if event_or_session in (event, question.session):
                self._discard(self._questions.pop(event))

    def _discard(self, question: "_Question") -> None:
        for path in question.uploads:
            self.uploads.discard(path)

    def _in_time(self, receive):
        async def receive_in_time():
            return await asyncio.wait_for(receive(), self.uploads.limits.idle_seconds)

        return receive_in_time


@dataclasses.dataclass(frozen=True)
class _Question:
    session: str | None
    uploads: list[str]


async def _file_of(request: Request, place: pathlib.Path, most_bytes: int) -> pathlib.Path:
    """Write the one file of a form into a folder and return its path.

    Gradio's parser writes to the disk as bytes come in, and tells the browser how far it is.
    Raises MultiPartException and ValueError for what is no such form.
    """
    if not request.headers.get("content-type", "").lower().startswith("multipart/form-data"):
        raise ValueError("no form")
    progress = request.query_params.get("upload_id")
    parser = GradioMultiPartParser(
        request.headers,
        request.stream(),
        max_files=1,
        max_fields=0,
        upload_dir=place,
        upload_id=progress,
        upload_progress=file_upload_statuses if progress else None,
        max_file_size=most_bytes,
    )
    if progress:
        file_upload_statuses.track(progress)
    form = await parser.parse()
    file = form.get("files")
    if file is None:  # a form that is cut off has none
        raise ValueError("no file")
    file.file.close()
    name = strip_invalid_filename_characters(pathlib.PurePath(file.filename or "").name)
    path = place / (name.strip(". ") or "clip")
    return pathlib.Path(file.file.name).rename(path)


def _text(status: int, text: str) -> Response:
    return PlainTextResponse(text, status, headers={"connection": "close"})
