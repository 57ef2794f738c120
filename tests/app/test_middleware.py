"""Forged requests on the wire, and what is left of an upload after each way out."""

import http.client
import json
import os
import pathlib
import socket
import time
import urllib.parse

import numpy as np
import pytest
import requests
import soundfile

from mmat.app.server import serving
from mmat.app.taggers import TYPED
from mmat.app.uploads import Limits

pytest_plugins = ["tests.export.tiny"]
LIMITS = Limits(megabytes=1.0, seconds=20.0)
API = "/gradio_api"
UPLOAD, JOIN, CALL, DATA, CANCEL = (
    API + path for path in ("/upload", "/queue/join", "/call/tag", "/queue/data", "/cancel")
)
BOUNDARY = "b0undary"
FORM = f"multipart/form-data; boundary={BOUNDARY}"


@pytest.fixture(scope="module")
def address(exports):
    names = ["tags.example.org"]
    with serving([exports["fused"]], port=None, limits=LIMITS, allow_hosts=names) as address:
        yield address


@pytest.fixture
def folder(address):
    """The folder of uploads, which is empty before and after."""
    folder = pathlib.Path(os.environ["GRADIO_TEMP_DIR"], "uploads")
    assert not list(folder.iterdir())
    yield folder
    assert not list(folder.iterdir())


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    path = tmp_path_factory.mktemp("clip") / "clip.wav"
    soundfile.write(path, np.random.default_rng(0).normal(0, 0.1, 160_000), 16000)
    return path


def port_of(address: str) -> int:
    return urllib.parse.urlsplit(address).port


def request(address, method, path, headers=(), body=b"", version="1.1") -> tuple[int, str]:
    """Send a request of these headers alone, so that it can be any, and return status and text."""
    lines = [f"{method} {path} HTTP/{version}", *headers]
    if body or method == "POST":
        lines += [f"Content-Length: {len(body)}"]
    with socket.create_connection(("127.0.0.1", port_of(address)), timeout=30) as connection:
        connection.sendall("\r\n".join([*lines, "", ""]).encode("latin-1") + body)
        response = http.client.HTTPResponse(connection, method=method)
        response.begin()
        # A stream's first words will do.
        is_stream = "event-stream" in response.getheader("content-type", "")
        return response.status, (b"" if is_stream else response.read()).decode()


def form(*parts: tuple[str, bytes], end: str = f"--{BOUNDARY}--\r\n") -> bytes:
    """Return a form of parts, each a Content-Disposition and what it holds."""
    heads = [f"--{BOUNDARY}\r\nContent-Disposition: form-data; {part}\r\n\r\n" for part, _ in parts]
    contents = [content for _, content in parts]
    body = b"".join(h.encode() + c + b"\r\n" for h, c in zip(heads, contents, strict=True))
    return body + end.encode()


def file_part(content: bytes, name="clip.wav") -> tuple[str, bytes]:
    return f'name="files"; filename="{name}"', content


def upload(address, path, name=None) -> str:
    """Upload a file and return where it lies."""
    files = {"files": (name or path.name, path.read_bytes())}
    response = requests.post(f"{address.rstrip('/')}{UPLOAD}", files=files)
    assert response.status_code == 200, response.text
    return response.json()[0]


def file_data(path) -> dict:
    return {"path": str(path), "meta": {"_type": "gradio.FileData"}}


def call(address, *data) -> str:
    """Ask, and return the event whose answer `read` reads."""
    response = requests.post(f"{address.rstrip('/')}{CALL}", json={"data": data})
    return response.json()["event_id"]


def read(address, event) -> str:
    return requests.get(f"{address.rstrip('/')}{CALL}/{event}").text


def wait_until_empty(folder, seconds=30.0) -> None:
    end = time.monotonic() + seconds
    while list(folder.iterdir()):
        assert time.monotonic() < end, [str(path) for path in folder.rglob("*")]
        time.sleep(0.05)


def wait_until_something_is_in(folder) -> None:
    end = time.monotonic() + 10
    while not list(folder.iterdir()):
        assert time.monotonic() < end
        time.sleep(0.01)


# --- who asks ---

FORGED = {
    "another name": ["Host: evil.example:{port}"],
    "another name, default port": ["Host: evil.example"],
    "another server's port": ["Host: localhost:1"],
    "no port": ["Host: localhost"],
    "an address of elsewhere": ["Host: 192.0.2.1:{port}"],
    "a name below": ["Host: localhost.evil.example:{port}"],
    "a user": ["Host: evil.example@localhost:{port}"],
    "a website": ["Host: localhost:{port}", "Origin: https://evil.example"],
    "another server here": ["Host: localhost:{port}", "Origin: http://localhost:1"],
    "a sandbox or file": ["Host: localhost:{port}", "Origin: null"],
    "a rebound name": ["Host: evil.example:{port}", "Origin: http://evil.example:{port}"],
    "a proxy's website": ["Host: tags.example.org", "Origin: https://evil.example"],
    "two origins": ["Host: localhost:{port}", "Origin: http://localhost:{port}", "Origin: null"],
    "a name forwarded": ["Host: evil.example", "X-Forwarded-Host: localhost:{port}"],
}
ROUTES = [
    ("GET", "/"),
    ("HEAD", "/"),
    ("OPTIONS", UPLOAD),
    ("GET", "/config"),
    ("GET", f"{DATA}?session_hash=a"),
    ("GET", f"{API}/heartbeat/a"),
    ("GET", f"{CALL}/a"),
    ("POST", UPLOAD),
    ("POST", JOIN),
    ("POST", CALL),
    ("POST", CANCEL),
    ("POST", "/nowhere"),
]


@pytest.mark.parametrize("forged", FORGED.values(), ids=FORGED)
def test_a_request_of_elsewhere_is_refused_on_every_route(address, folder, forged):
    headers = [line.format(port=port_of(address)) for line in forged]
    body = form(file_part(b"x"))
    for method, path in ROUTES:
        sent = headers + [f"Content-Type: {FORM}"] * (path == UPLOAD)
        status, text = request(address, method, path, sent, body if method == "POST" else b"")
        assert status == 403, (method, path)
        assert method == "HEAD" or "--allow-host" in text and "\n" not in text
    upgrade = ["Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13"]
    upgrade += ["Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="]
    assert request(address, "GET", f"{API}/ws", headers + upgrade)[0] == 403


def test_a_request_without_a_host_is_refused(address):
    status, text = request(address, "GET", "/", version="1.0")
    assert status == 403 and "Host header" in text and "--allow-host" in text
    for hosts in ([], ["Host: localhost", "Host: evil"]):  # no HTTP: the server itself refuses
        assert request(address, "GET", "/", hosts)[0] in (400, 403)


@pytest.mark.parametrize(
    "own",
    [
        ["Host: localhost:{port}"],
        ["Host: LOCALHOST.:{port}", "Origin: http://127.0.0.1:{port}"],
        ["Host: [::1]:{port}", "Origin: http://[::1]:{port}"],
        ["Host: tags.example.org", "Origin: https://tags.example.org"],
        ["Host: 127.0.0.1:{port}", "Origin: https://tags.example.org"],  # a proxy's own Host
        ["Host: localhost:{port}", "Referer: https://evil.example/", "Sec-Fetch-Site: none"],
    ],
)
def test_the_page_s_own_names_are_taken(address, folder, clip, own):
    headers = [line.format(port=port_of(address)) for line in own]
    assert request(address, "GET", "/", headers)[0] == 200
    assert request(address, "GET", "/", headers, version="1.0")[0] == 200
    sent = [*headers, f"Content-Type: {FORM}"]
    status, text = request(address, "POST", UPLOAD, sent, form(file_part(clip.read_bytes())))
    assert status == 200
    asked = json.dumps({"data": [file_data(json.loads(text)[0]), None, "", "fused"]}).encode()
    sent = [*headers, "Content-Type: application/json"]
    status, text = request(address, "POST", CALL, sent, asked)
    assert status == 200
    assert request(address, "GET", f"{CALL}/{json.loads(text)['event_id']}", headers)[0] == 200
    wait_until_empty(folder)


def test_behind_a_proxy_the_page_knows_its_address(address):
    headers = {"Host": "tags.example.org", "X-Forwarded-Proto": "https"}
    config = requests.get(f"{address}config", headers=headers).json()
    assert config["root"] == "https://tags.example.org"


@pytest.mark.parametrize(
    "path",
    [
        f"{API}/file=https://example.com/",
        f"{API}/file=/etc/passwd",
        f"{API}/file=../../../etc/passwd",
        f"{API}/file/etc/passwd",
        f"{API}/proxy=https://a.hf.space/",
        f"{API}/deep_link?session_hash=a",
        f"{API}/vibe-code",
        f"{API}/custom_component/a/client/component/index.js",
        f"{API}/runs",
        f"{API}/dev/reload",
        f"{API}/openapi.json",
        "/monitoring",
        "/docs",
    ],
)
def test_what_else_gradio_would_show_is_not_there(address, path):
    status, text = request(address, "GET", path, [f"Host: localhost:{port_of(address)}"])
    assert (status, text) == (404, "the page has nothing here")


# --- ways out of an upload ---


def test_the_place_of_an_upload_tells_nothing(address, folder, clip):
    first, second = (pathlib.Path(upload(address, clip)) for _ in range(2))
    assert first.name == second.name == "clip.wav" and first.parent != second.parent
    assert first.parent.parent == folder and len(first.parent.name) >= 20
    assert first.parent.stat().st_mode & 0o777 == 0o700
    url = f"{address}gradio_api/file={first}"
    assert requests.get(url).content == clip.read_bytes()  # the one who sent it can hear it
    assert "message done" in read(address, call(address, file_data(first), None, "", "fused"))
    assert second.exists()  # the same content, another upload
    gone, never = requests.get(url), requests.get(url.replace(first.parent.name, "a" * 22))
    assert gone.status_code == never.status_code == 403
    read(address, call(address, file_data(second), None, "", "fused"))


@pytest.mark.parametrize("name", ["", ".", "..", "a/../../b.wav", "/etc/passwd", "\x01", "é.wav"])
def test_any_name_stays_in_its_place(address, folder, clip, name):
    path = pathlib.Path(upload(address, clip, name or None))
    assert path.parent.parent == folder and path.read_bytes() == clip.read_bytes()
    assert [path for path in folder.rglob("*") if path.is_file()] == [path]
    assert "message done" in read(address, call(address, file_data(path), None, "", "fused"))


def test_refused_labels_leave_nothing_and_others_can_be_asked(address, folder, clip, models_cache):
    path = file_data(upload(address, clip))
    for labels in (" ; ", "a" * 101, ";".join(map(str, range(51)))):
        assert "Not tagged" in read(address, call(address, path, None, labels, TYPED))
        assert not list(folder.iterdir())
    assert "message done" in read(address, call(address, path, None, "Dog", TYPED))


@pytest.mark.parametrize(
    "data",
    [
        lambda path: [path, None, "", "no such tagger"],
        lambda path: [path, None, "", None],
        lambda path: [path, None, {"a": 1}, "fused"],
        lambda path: [path, {"path": 7}, "", "fused"],
        lambda path: [path, "x", "", "fused"],
        lambda path: [None, path, "", "fused"],
        lambda path: [path, path, "", "fused"],
        lambda path: [{**path, "meta": {"_type": "other"}}, None, "", "fused"],
        lambda path: [{**path, "is_stream": True}, None, "", "fused"],
        lambda path: [{**path, "url": "http://127.0.0.1:1/"}, None, "", "fused"],
        lambda path: [path],
        lambda path: [path] * 9,
    ],
)
def test_malformed_questions_leave_nothing(address, folder, clip, data):
    read(address, call(address, *data(file_data(upload(address, clip)))))
    wait_until_empty(folder)


@pytest.mark.parametrize(
    "question",
    [
        {},
        {"fn_index": 99, "session_hash": "s"},
        {"fn_index": "x", "session_hash": "s"},
        {"session_hash": "s"},
        {"fn_index": -1, "session_hash": "s"},
        {"fn_index": 1e300, "session_hash": "s"},
        {"fn_index": 0, "session_hash": ["s"]},
    ],
)
def test_refused_questions_leave_nothing(address, folder, clip, question):
    sent = {"data": [file_data(upload(address, clip)), None, "", "fused"], **question}
    assert requests.post(f"{address.rstrip('/')}{JOIN}", json=sent).status_code in (400, 422)
    assert not list(folder.iterdir())


def test_file_and_recording_at_once_leave_nothing(address, folder, clip):
    both = [file_data(upload(address, clip)) for _ in range(2)]
    assert "message done" in read(address, call(address, *both, "", "fused"))
    assert not list(folder.iterdir())


def test_whoever_asks_and_goes_leaves_nothing(address, folder, clip):
    """Some never read the answer, some stop reading it, some cancel: while others wait."""
    paths = [file_data(upload(address, clip)) for _ in range(9)]
    events = [call(address, path, None, "", "fused") for path in paths]
    for event in events[3:6]:
        with requests.get(f"{address.rstrip('/')}{CALL}/{event}", stream=True):
            pass
    for event in events[6:]:
        sent = {"session_hash": event, "fn_index": 0, "event_id": event}
        assert requests.post(f"{address.rstrip('/')}{CANCEL}", json=sent).status_code == 200
    wait_until_empty(folder)


def test_a_session_that_ends_leaves_nothing(address, folder, clip):
    """As a browser asks: joined, and its stream closed before the answer."""
    config = requests.get(f"{address}config").json()
    (fn,) = [d["id"] for d in config["dependencies"] if d["api_name"] == "tag"]
    for _ in range(4):
        sent = {"data": [file_data(upload(address, clip)), None, "", "fused"], "fn_index": fn}
        sent["session_hash"] = "session"
        assert requests.post(f"{address.rstrip('/')}{JOIN}", json=sent).status_code == 200
    url = f"{address.rstrip('/')}{DATA}?session_hash=session"
    with requests.get(url, stream=True) as stream:
        next(stream.iter_content(10))
    wait_until_empty(folder)


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (form(), 400),
        (form(file_part(b"x"), file_part(b"y")), 400),
        (form(("name=files", b"x")), 400),
        (form(file_part(b"x"), ("name=other", b"x")), 400),
        (form(('name="other"; filename="a.wav"', b"x")), 400),
        (form(("filename=a.wav", b"x")), 400),
        (form(file_part(b"x"), end=""), 400),
        (form(file_part(b"x" * 50_000), end="")[:-7], 400),
        (b"no form at all", 400),
        (b"", 400),
        (form((f'name="files"; filename="{"a" * 20_000}"', b"x")), 400),
        (form(file_part(b"x" * 1_000_001)), 413),
        (form(file_part(b"x" * 2_000_000)), 413),
    ],
)
def test_refused_forms_leave_nothing(address, folder, body, status):
    for path in (UPLOAD, UPLOAD + "?upload_id=a"):
        host = f"Host: localhost:{port_of(address)}"
        assert request(address, "POST", path, [host, f"Content-Type: {FORM}"], body)[0] == status
        assert not list(folder.iterdir())


@pytest.mark.parametrize("kind", ["", "text/plain", "multipart/form-data", "multipart/mixed; b=x"])
def test_what_is_no_form_leaves_nothing(address, folder, kind):
    sent = [f"Host: localhost:{port_of(address)}", *([f"Content-Type: {kind}"] if kind else [])]
    assert request(address, "POST", UPLOAD, sent, form(file_part(b"x")))[0] == 400


def half_an_upload(address) -> socket.socket:
    """Announce more than comes."""
    connection = socket.create_connection(("127.0.0.1", port_of(address)), timeout=30)
    lines = [f"POST {UPLOAD} HTTP/1.1", f"Host: localhost:{port_of(address)}"]
    lines += [f"Content-Type: {FORM}", "Content-Length: 1000000", "", ""]
    connection.sendall("\r\n".join(lines).encode() + form(file_part(b"x" * 300_000), end=""))
    return connection


def test_a_sender_who_goes_leaves_nothing_and_takes_no_room(address, folder, clip):
    for _ in range(12):  # more than may lie here at once
        with half_an_upload(address):
            wait_until_something_is_in(folder)
        wait_until_empty(folder, 5.0)
    path = upload(address, clip)
    assert "message done" in read(address, call(address, file_data(path), None, "", "fused"))


def test_silence_ends_an_upload_and_what_nobody_asks_about_goes(exports, clip):
    """Without any further request."""
    limits = Limits(megabytes=1.0, idle_seconds=0.5, abandoned_seconds=3.0)
    with serving([exports["fused"]], port=None, limits=limits) as address:
        folder = pathlib.Path(os.environ["GRADIO_TEMP_DIR"], "uploads")
        with half_an_upload(address) as connection:
            wait_until_something_is_in(folder)
            assert connection.recv(100).startswith(b"HTTP/1.1 408")
        wait_until_empty(folder, 2.0)
        assert pathlib.Path(upload(address, clip)).exists()
        wait_until_empty(folder, 6.0)
    assert not folder.exists()


def test_a_clip_that_takes_too_long_leaves_nothing(exports, clip):
    limits = Limits(decode_seconds=0.001)
    with serving([exports["fused"]], port=None, limits=limits) as address:
        folder = pathlib.Path(os.environ["GRADIO_TEMP_DIR"], "uploads")
        answer = read(address, call(address, file_data(upload(address, clip)), None, "", "fused"))
        assert "takes longer than 0.001 s to decode" in answer
        assert not list(folder.iterdir())


@pytest.mark.skipif(not socket.has_ipv6, reason="this machine has no IPv6")
def test_the_page_listens_on_ipv6_too(exports):
    with serving([exports["fused"]], host="::1", port=None) as address:
        assert address.startswith("http://[::1]:") and requests.get(address).status_code == 200
        evil = requests.get(address, headers={"Host": "evil.example"})
        assert evil.status_code == 403
