"""The page's server, called as a program does: results, refusals, limits, and nothing left."""

import concurrent.futures
import os
import pathlib
import subprocess

import numpy as np
import pytest
import requests
import soundfile
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError

from mmat.app.middleware import BUSY, HEADERS
from mmat.app.page import MOST_WAITING
from mmat.app.server import serving
from mmat.app.taggers import TYPED
from mmat.app.uploads import Limits
from mmat.files import InputError
from tests.media.damage import write_damaged, write_intact
from tests.processes import environment, program

pytest_plugins = ["tests.export.tiny"]
FOUND = "Dog, "  # it always fires
LIMITS = Limits(megabytes=2.0, seconds=20.0)


@pytest.fixture(scope="module")
def address(exports):
    with serving([exports["fused"]], port=None, limits=LIMITS) as address:
        yield address


@pytest.fixture(scope="module")
def client(address):
    return Client(address, verbose=False, analytics_enabled=False)


def ask(client: Client, path) -> tuple[str, str]:
    """Upload a file and have it tagged; return message and result."""
    return client.predict(handle_file(str(path)), None, "", api_name="/tag")


def uploads() -> list[pathlib.Path]:
    return [
        path for path in pathlib.Path(os.environ["GRADIO_TEMP_DIR"]).rglob("*") if path.is_file()
    ]


def test_a_clip_is_answered_and_gone(client, clips):
    message, result = ask(client, clips / "both.mp4")
    assert FOUND in message and 'role="status"' in message
    assert "both.mp4: 2.0 s, sound and pictures." in result
    assert uploads() == []


def test_other_words_about_the_same_upload_need_no_other_upload(client, clips):
    """The browser sends the place of its upload again, where nothing lies any more."""
    results = [ask(client, clips / "sound.wav") for _ in range(2)]
    assert results[0] == results[1] and "sound.wav: 2.0 s, sound." in results[0][1]


def test_damaged_uploads_get_a_message_and_the_page_goes_on(client, clips, tmp_path):
    intact = write_intact(tmp_path)
    for path in write_damaged(tmp_path, intact, range(0, 200, 25)):
        message, result = ask(client, path)
        assert ("Not tagged:" in message and 'role="alert"' in message) != bool(result)
    assert FOUND in ask(client, clips / "both.mp4")[0]
    assert uploads() == []


def test_a_program_can_choose_the_tagger_too(client, clips):
    file = handle_file(str(clips / "both.mp4"))
    _, result = client.predict(file, None, "Frog", TYPED, api_name="/tag")
    assert "Frog" in result and "Cat, kitten" not in result
    with pytest.raises(AppError, match="not in the list of choices"):
        client.predict(file, None, "", "no such", api_name="/tag")
    assert uploads() == []


def test_without_a_clip_the_message_says_so(client):
    message, result = client.predict(None, None, "", api_name="/tag")
    assert "there is no clip yet; choose a file or record one" in message and not result


def test_20_at_once_are_tagged_or_refused(address, clips, tmp_path):
    """Half of them the same file, so that one's deletion meets another's upload."""
    rng, paths = np.random.default_rng(0), []
    for i in range(20):
        paths.append(tmp_path / f"{i}.wav")
        noise = rng.normal(0, 0.1, 16000) if i % 2 else np.zeros(16000)
        soundfile.write(paths[-1], noise, 16000)

    def one(path):
        try:
            return ask(Client(address, verbose=False, analytics_enabled=False), path)[0]
        except Exception as error:
            return str(error)

    with concurrent.futures.ThreadPoolExecutor(20) as threads:
        messages = list(threads.map(one, paths))
    tagged = [message for message in messages if FOUND in message]
    assert len(tagged) >= 10
    refused = [message for message in messages if FOUND not in message]
    for message in refused:
        assert "429" in message or "no longer here" in message, message
    after = Client(address, verbose=False, analytics_enabled=False)
    assert FOUND in ask(after, clips / "both.mp4")[0]
    left = uploads()  # those of who may ask again
    assert len(left) <= len(refused)
    for path in left:
        path.unlink()


def test_a_full_queue_says_so_and_keeps_the_clip_for_another_try(address, tmp_path):
    """Asked as the browser does, faster than clips of 15 s are tagged."""
    path = tmp_path / "noise.wav"
    soundfile.write(path, np.random.default_rng(0).normal(0, 0.1, 15 * 16000), 16000)

    def upload():
        files = {"files": ("noise.wav", path.read_bytes())}
        (place,) = requests.post(f"{address}gradio_api/upload", files=files).json()
        return {"path": place, "meta": {"_type": "gradio.FileData"}}

    session, call = requests.Session(), f"{address}gradio_api/call/tag"
    filling, kept = upload(), upload()

    def question(clip):
        return session.post(call, json={"data": [clip, None, "", "fused"]})

    joined = [question(filling).json()["event_id"] for _ in range(MOST_WAITING)]
    while (refused := question(kept)).status_code == 200:  # one is tagged meanwhile
        joined.append(refused.json()["event_id"])
        kept = upload()
    assert (refused.status_code, refused.json()) == (429, {"detail": BUSY})
    assert int(refused.headers["retry-after"]) > 0 and pathlib.Path(kept["path"]).is_file()
    for event in joined:
        session.get(f"{call}/{event}")
    again = question(kept).json()
    assert FOUND in session.get(f"{call}/{again['event_id']}").text
    assert uploads() == []


def test_what_is_too_large_is_refused_before_it_is_taken(address):
    url = f"{address}gradio_api/upload"
    response = requests.post(url, files={"files": ("big.wav", bytes(3_000_000))})
    assert (
        response.status_code == 413
        and "larger than 2 MB, the most this page takes" in response.text
    )
    chunked = requests.post(url, data=iter([b"x"]), headers={"content-type": "multipart/form-data"})
    assert chunked.status_code == 411
    assert uploads() == []


@pytest.mark.parametrize(
    "path", ["process_recording", "vibe-edit", "vibe-code", "component_server", "run/tag", "login"]
)
def test_what_else_gradio_can_do_is_not_there(address, path):
    response = requests.post(f"{address}gradio_api/{path}", json={})
    assert (response.status_code, response.text) == (404, "the page takes nothing here")
    assert requests.delete(f"{address}gradio_api/{path}").status_code == 404


def test_a_request_without_end_is_refused(address):
    response = requests.post(f"{address}gradio_api/queue/join", data=b"x" * 300_000)
    assert response.status_code == 413


def test_the_disk_has_a_limit_too(address, tmp_path):
    """Uploads that nobody asks about."""
    url, statuses = f"{address}gradio_api/upload", []
    for i in range(10):
        content = bytes([i]) * 1_900_000
        statuses.append(requests.post(url, files={"files": ("a.wav", content)}).status_code)
    assert statuses[0] == 200 and statuses[-1] == 503
    assert sum(path.stat().st_size for path in uploads()) <= 8 * LIMITS.bytes
    for path in uploads():
        path.unlink()


@pytest.mark.parametrize(
    "elsewhere", ["{tmp_path}/secret.wav", "/etc/passwd", "http://127.0.0.1:1/a"]
)
def test_files_of_the_machine_and_of_others_are_not_read(address, tmp_path, elsewhere):
    """Asked without Gradio's client, which would upload the file."""
    secret = tmp_path / "secret.wav"
    soundfile.write(secret, np.zeros(16000), 16000)
    sent = {"path": elsewhere.format(tmp_path=tmp_path), "meta": {"_type": "gradio.FileData"}}
    call = f"{address}gradio_api/call/tag"
    event = requests.post(call, json={"data": [sent, None, "", "fused"]}).json()["event_id"]
    response = requests.get(f"{call}/{event}").text
    assert "this is no upload" in response or "event: error" in response
    assert FOUND not in response and secret.exists()


def test_the_browser_may_load_from_nobody_else(address):
    response = requests.get(address)
    assert {name: response.headers[name] for name in HEADERS} == HEADERS
    assert "fonts.googleapis" not in response.text + requests.get(f"{address}theme.css").text


def test_the_page_is_for_this_machine_and_a_taken_port_is_one_line(address, exports):
    assert address.startswith("http://127.0.0.1:")
    port = int(address.rstrip("/").rpartition(":")[2])
    taken = serving([exports["audio"]], port=port)
    with pytest.raises(InputError, match=f"--port {port}: cannot be used"), taken:
        pass


def test_the_command_loads_the_export_alone_and_stopped_leaves_nothing(exports, clips, tmp_path):
    """A process of its own, ended as a service manager does.

    No model of mmat is imported, only the features that the timeline is drawn with.
    """
    command = program("serving_a_page", "app", "--model", exports["fused"], "--port", "0")
    with (
        open(tmp_path / "errors", "w+") as errors,
        subprocess.Popen(
            command,
            env=environment(TMPDIR=str(tmp_path)),
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        ) as process,
    ):
        words = process.stdout.readline().split()
        assert words[:1] == ["open"], (tmp_path / "errors").read_text()
        client = Client(words[1], verbose=False, analytics_enabled=False)
        assert FOUND in ask(client, clips / "both.mp4")[0]
        assert list(tmp_path.glob("mmat-app-*"))
        process.terminate()
        status, imported = process.communicate(timeout=120)[0].splitlines()
    assert status == "0"
    assert set(imported.split()) <= {
        "mmat.models.features",
        "mmat.models.masking",
    }
    assert not list(tmp_path.glob("mmat-app-*"))
