"""Downloads from a server on this machine, whole, broken off, changed, refused, killed."""

import fcntl
import os
import random
import signal
import subprocess
import time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mmat.corpora.downloads import PIECE_BYTES, Patience, download
from mmat.files import InputError
from tests.corpora.loopback import QUICK, Served, serve
from tests.processes import environment, program, run_process

CONTENT = random.Random(0).randbytes(300_000)
OTHER = random.Random(1).randbytes(310_000)
HALF = 18 * PIECE_BYTES


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


@pytest.fixture
def server():
    with serve() as loopback:
        yield loopback


@pytest.fixture
def path(tmp_path):
    return tmp_path / "lists" / "list.csv"


def fetch(server, path, sha256=None, name="list.csv", **kwargs):
    sha256 = sha256 or server.files[name].sha256
    return download(f"{server.url}/{name}", path, sha256, progress=False, patience=QUICK, **kwargs)


def names(path):
    return sorted(each.name for each in path.parent.iterdir())


def leave_part(path, content, etag=""):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.with_name("list.csv.part").write_bytes(content)
    if etag:
        path.with_name("list.csv.part.etag").write_text(etag)


def test_whole_then_never_again(server, path):
    server.files["list.csv"] = Served(CONTENT, etag='"1"')
    assert fetch(server, path) == path
    assert path.read_bytes() == CONTENT
    assert names(path) == ["list.csv"]
    fetch(server, path)
    assert server.ranges == [None]


def test_an_empty_file(server, path):
    server.files["list.csv"] = Served(b"")
    assert fetch(server, path).read_bytes() == b""
    assert names(path) == ["list.csv"]


@pytest.mark.parametrize("etag", ["", '"1"', 'W/"1"'])
def test_broken_off_and_continued(server, path, etag):
    server.files["list.csv"] = Served(CONTENT, etag=etag, cuts=[HALF + 10, 3 * PIECE_BYTES])
    fetch(server, path)
    assert path.read_bytes() == CONTENT
    assert server.ranges == [None, f"bytes={HALF}-", f"bytes={HALF + 3 * PIECE_BYTES}-"]
    assert names(path) == ["list.csv"]


def test_more_breaks_than_tries_while_it_comes_forward(server, path):
    server.files["list.csv"] = Served(CONTENT, cuts=[3 * PIECE_BYTES] * 10)
    fetch(server, path)
    assert path.read_bytes() == CONTENT
    assert len(server.requests) == 11 > QUICK.tries


def test_no_headway_ends_with_what_came(server, path):
    server.files["list.csv"] = Served(CONTENT, etag='"1"', cuts=[HALF, 0, 0, 0, 0, 0, 0, 0])
    with pytest.raises(InputError, match=r"/list\.csv: .*; what came is kept: try again") as error:
        fetch(server, path)
    assert "\n" not in str(error.value)
    assert len(server.requests) == QUICK.tries
    assert names(path) == ["list.csv.part", "list.csv.part.etag"]
    server.files["list.csv"].cuts.clear()
    fetch(server, path)
    assert server.ranges[-1] == f"bytes={HALF}-"
    assert path.read_bytes() == CONTENT


def test_a_server_without_ranges_starts_again(server, path):
    server.files["list.csv"] = Served(CONTENT, ranges=False, cuts=[HALF])
    fetch(server, path)
    assert path.read_bytes() == CONTENT
    assert server.ranges == [None, f"bytes={HALF}-"]


def test_content_without_a_length_that_breaks_off_is_refused(server, path):
    server.files["list.csv"] = Served(CONTENT, cuts=[HALF], length=False)
    with pytest.raises(InputError, match="its sha256 is"):
        fetch(server, path)
    assert names(path) == []


@pytest.mark.parametrize("heeds_if_range", [True, False])
@pytest.mark.parametrize("etag", ['"2"', 'W/"2"'])
def test_a_file_that_changed_between_the_parts(server, path, heeds_if_range, etag):
    server.files["list.csv"] = Served(CONTENT, etag=etag, heeds_if_range=heeds_if_range)
    leave_part(path, OTHER[:HALF], etag.replace("2", "1"))
    fetch(server, path)
    assert path.read_bytes() == CONTENT
    assert names(path) == ["list.csv"]


def test_a_wrong_part_without_etag_is_found_out_by_its_sha256(server, path):
    server.files["list.csv"] = Served(CONTENT)
    leave_part(path, OTHER[:HALF])
    fetch(server, path)
    assert path.read_bytes() == CONTENT
    assert server.ranges == [f"bytes={HALF}-", None]


@pytest.mark.parametrize("part", [CONTENT, CONTENT + b"more", OTHER])
def test_a_part_as_long_as_the_file_or_longer(server, path, part):
    server.files["list.csv"] = Served(CONTENT)
    leave_part(path, part)
    fetch(server, path)
    assert path.read_bytes() == CONTENT
    assert names(path) == ["list.csv"]
    if part == CONTENT:
        assert server.requests == []


def test_a_server_that_answers_another_range(server, path):
    server.files["list.csv"] = Served(CONTENT, begins_wrong=True)
    leave_part(path, CONTENT[:HALF])
    fetch(server, path)
    assert path.read_bytes() == CONTENT


def test_wrong_content_is_named_and_not_kept(server, path):
    server.files["list.csv"] = Served(OTHER)
    expected = Served(CONTENT).sha256
    with pytest.raises(InputError) as error:
        fetch(server, path, expected)
    for piece in (f"{server.url}/list.csv", server.files["list.csv"].sha256, expected):
        assert piece in str(error.value)
    assert names(path) == []
    assert len(server.requests) == 1


def test_wrong_content_after_a_part_is_fetched_once_more_and_no_more(server, path):
    server.files["list.csv"] = Served(OTHER)
    leave_part(path, CONTENT[:HALF])
    with pytest.raises(InputError, match="its sha256 is"):
        fetch(server, path, Served(CONTENT).sha256)
    assert server.ranges == [f"bytes={HALF}-", None]


def test_another_file_in_the_place_stays(server, path):
    server.files["list.csv"] = Served(CONTENT)
    path.parent.mkdir()
    path.write_text("mine")
    with pytest.raises(InputError, match=r"list\.csv: another file is there already.*move it"):
        fetch(server, path)
    assert path.read_text() == "mine"
    assert (names(path), server.requests) == (["list.csv"], [])


@pytest.mark.parametrize("status", [404, 403, 410, 204])
def test_what_no_further_try_helps(server, path, status):
    server.files["list.csv"] = Served(CONTENT, statuses=[status])
    with pytest.raises(InputError, match=rf"/list\.csv: HTTP {status} "):
        fetch(server, path)
    assert len(server.requests) == 1
    assert names(path) == []


@pytest.mark.parametrize("status", [500, 502, 503, 429, 408])
def test_a_server_in_trouble_is_asked_again(server, path, status):
    server.files["list.csv"] = Served(CONTENT, statuses=[status, status])
    fetch(server, path)
    assert path.read_bytes() == CONTENT
    assert len(server.requests) == 3


def test_a_server_that_stays_in_trouble(server, path):
    server.files["list.csv"] = Served(CONTENT, statuses=[503] * 9)
    with pytest.raises(InputError, match=r"HTTP 503 Service Unavailable; try again"):
        fetch(server, path)
    assert len(server.requests) == QUICK.tries
    assert names(path) == []


def test_nobody_there(path):
    with serve() as gone:
        url = f"{gone.url}/list.csv"
    with pytest.raises(InputError) as error:
        download(url, path, "0" * 64, progress=False, patience=QUICK)
    assert str(error.value) == f"{url}: Connection refused; try again later"


def test_a_silent_server(server, path):
    server.files["list.csv"] = Served(CONTENT, hold_after=PIECE_BYTES)
    patience = Patience(tries=1, limit_seconds=0.2)
    with pytest.raises(InputError, match=r"/list\.csv: .*timed out; what came is kept"):
        download(
            f"{server.url}/list.csv", path, Served(CONTENT).sha256, None, False, patience=patience
        )
    assert path.with_name("list.csv.part").read_bytes() == CONTENT[:PIECE_BYTES]


@pytest.mark.parametrize("url", ["list.csv", "ftp://127.0.0.1/list.csv", "http://", "http://[/"])
def test_what_is_no_address(url, path):
    with pytest.raises(InputError, match="give a whole http") as error:
        download(url, path, "0" * 64, progress=False, patience=QUICK)
    assert str(error.value).startswith(f"{url}: ") and "\n" not in str(error.value)


def test_a_place_that_cannot_be_written_to(server, tmp_path):
    server.files["list.csv"] = Served(CONTENT)
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="file.*: cannot write list.csv: .*another folder"):
        fetch(server, tmp_path / "file" / "list.csv")


def test_a_full_disk_leaves_a_part_to_go_on_from(server, path):
    server.files["list.csv"] = Served(CONTENT)
    words = [f"{server.url}/list.csv", path, Served(CONTENT).sha256, HALF]
    done = run_process(program("downloading", *words))
    assert "InputError" in done.stderr and "File too large; make room" in done.stderr
    assert names(path) == ["list.csv.part", "list.csv.part.etag"]
    fetch(server, path)
    assert path.read_bytes() == CONTENT


def test_a_check_refuses_before_the_file_is_in_place(server, path):
    server.files["list.csv"] = Served(CONTENT)

    def check(found):
        assert found.read_bytes() == CONTENT
        raise InputError("too many rows")

    with pytest.raises(InputError, match="too many rows"):
        fetch(server, path, check=check)
    assert names(path) == []


@pytest.mark.parametrize("name", ["list.csv.part", "list.csv.part.etag"])
@pytest.mark.parametrize("link", [os.symlink, os.link], ids=["symbolic", "hard"])
def test_a_link_in_a_parts_place_is_refused_and_its_target_stays(server, path, name, link):
    server.files["list.csv"] = Served(CONTENT, etag='"1"')
    target = path.parent.parent / "precious"
    target.write_bytes(b"mine")
    path.parent.mkdir()
    link(target, path.with_name(name))
    with pytest.raises(InputError, match=f"{name}: is a link or a .*; remove it"):
        fetch(server, path)
    assert target.read_bytes() == b"mine" and not path.exists()


def test_a_link_to_nowhere_makes_no_file_there(server, path):
    server.files["list.csv"] = Served(CONTENT)
    path.parent.mkdir()
    os.symlink(path.parent / "nowhere", path.with_name("list.csv.part"))
    with pytest.raises(InputError, match="is a link"):
        fetch(server, path)
    assert not (path.parent / "nowhere").exists()


def test_a_pipe_in_a_parts_place_is_not_waited_for(server, path):
    server.files["list.csv"] = Served(CONTENT)
    path.parent.mkdir()
    os.mkfifo(path.with_name("list.csv.part"))
    with pytest.raises(InputError, match="is a link or a pipe"):
        fetch(server, path)


@pytest.mark.parametrize("umask", [0o022, 0o077, 0o002])
def test_a_part_is_for_its_owner_and_the_whole_as_the_umask_says(server, path, umask):
    server.files["list.csv"] = Served(CONTENT)
    modes = []

    def check(found):
        modes.append(found.stat().st_mode & 0o777)

    before = os.umask(umask)
    try:
        fetch(server, path, check=check)
    finally:
        assert os.umask(before) == umask
    assert modes == [0o600] and path.stat().st_mode & 0o777 == 0o666 & ~umask


def test_two_at_once_do_not_mix(server, path):
    server.files["list.csv"] = Served(CONTENT)
    leave_part(path, CONTENT[:HALF])
    with open(path.with_name("list.csv.part"), "ab") as part:
        fcntl.flock(part, fcntl.LOCK_EX)
        with pytest.raises(InputError, match="another process"):
            fetch(server, path)
    assert path.with_name("list.csv.part").read_bytes() == CONTENT[:HALF]
    fetch(server, path)
    assert path.read_bytes() == CONTENT


def test_killed_and_continued(server, path):
    file = server.files["list.csv"] = Served(CONTENT, etag='"1"', hold_after=HALF)
    command = program("downloading", f"{server.url}/list.csv", path, file.sha256)
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL, env=environment())
    part = path.with_name("list.csv.part")
    try:
        deadline = time.monotonic() + 60
        while not (part.exists() and part.stat().st_size == HALF):
            assert process.poll() is None and time.monotonic() < deadline
            time.sleep(0.02)
    finally:
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    file.released.set()
    file.hold_after = None
    assert not path.exists()
    fetch(server, path)
    assert path.read_bytes() == CONTENT
    assert server.ranges == [None, f"bytes={HALF}-"]
    assert names(path) == ["list.csv"]


@given(
    cuts=st.lists(st.integers(0, len(CONTENT)), max_size=3),
    etag=st.sampled_from(["", '"1"', 'W/"1"']),
    ranges=st.booleans(),
    part=st.one_of(st.just(b""), st.integers(0, 2000).map(lambda n: OTHER[:n])),
    statuses=st.lists(st.sampled_from([500, 503]), max_size=1),
)
@settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_whatever_happens_the_file_is_right_or_absent(
    server, path, cuts, etag, ranges, part, statuses
):
    for left in path.parent.glob("*") if path.parent.exists() else []:
        left.unlink()
    server.files["list.csv"] = Served(
        CONTENT, etag=etag, ranges=ranges, cuts=cuts, statuses=statuses
    )
    leave_part(path, part)
    try:
        fetch(server, path)
    except InputError as error:
        assert "\n" not in str(error) and not path.exists()
    else:
        assert path.read_bytes() == CONTENT and names(path) == ["list.csv"]
