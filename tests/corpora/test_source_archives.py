"""Source archives from folders and from an index on this machine; nothing in them may ever run."""

import base64
import dataclasses
import datetime
import hashlib
import ipaddress
import os
import random
import subprocess
import sys
import tarfile

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from mmat.corpora.source_archives import (
    PipSettings,
    SourceArchive,
    fetch_source_archive,
    read_members,
)
from mmat.files import InputError
from tests.corpora.archives import make_source_archive
from tests.corpora.loopback import QUICK, Served, serve

PROJECT = "small-words"
PAGE = f"simple/{PROJECT}/"
WORDS = random.Random(0).randbytes(200_000)  # that do not shrink, for a download in parts


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


@pytest.fixture
def witness(tmp_path):
    """The file that the archive's code writes when it is run."""
    return tmp_path / "ran"


@pytest.fixture
def content(witness):
    code = f"open({str(witness)!r}, 'w').close()\n"
    setup = f"{code}from setuptools import setup\nsetup(name={PROJECT!r}, version='1.0')\n"
    return make_source_archive({"setup.py": setup.encode(), "data/words": WORDS}, PROJECT)


@pytest.fixture
def archive(content):
    return archive_of(content, {"data/words": hashlib.sha256(WORDS).hexdigest()})


@pytest.fixture
def server():
    with serve() as loopback:
        yield loopback


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "cache"


def archive_of(content, members, version="1.0"):
    return SourceArchive(PROJECT, version, hashlib.sha256(content).hexdigest(), members)


def offer(server, content, file=f"{PROJECT}-1.0.tar.gz", states=None, **kwargs):
    """Put a file on the server, and a page of the index that links to it; return pip's settings."""
    fragment = f"#sha256={states}" if states else ""
    page = f'<a href="/files/{file}{fragment}">{file}</a>'.encode()
    server.files[f"files/{file}"] = Served(content, **kwargs)
    server.files[PAGE] = Served(page, content_type="text/html")
    return PipSettings(index_urls=(f"{server.url}/simple",))


def shelve(tmp_path, content, file=f"{PROJECT}-1.0.tar.gz"):
    """Put a file into a folder that pip takes archives from; return pip's settings."""
    (tmp_path / "shop").mkdir(exist_ok=True)
    (tmp_path / "shop" / file).write_bytes(content)
    return PipSettings(find_links=(str(tmp_path / "shop"),))


def fetch(archive, folder, settings):
    return fetch_source_archive(archive, folder, False, QUICK, settings)


def names(folder):
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


def pip_environment(**settings):
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PIP_")}
    return kept | {"PIP_CONFIG_FILE": os.devnull} | settings


@pytest.mark.parametrize("place", ["folder", "index"])
def test_nothing_of_it_is_run(
    place, archive, content, server, folder, tmp_path, witness, monkeypatch
):
    """Under the settings that a user gives pip; with the same, pip's own download runs it."""
    if place == "folder":
        shelve(tmp_path, content)
        settings = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(tmp_path / "shop")}
    else:
        settings = {"PIP_INDEX_URL": offer(server, content).index_urls[0]}
    environment = pip_environment(**settings)
    for name in set(os.environ) | set(environment):
        if name in environment:
            monkeypatch.setenv(name, environment[name])
        else:
            monkeypatch.delenv(name)
    path = fetch_source_archive(archive, folder, progress=False)
    assert path.read_bytes() == content
    assert path.parent == (tmp_path / "shop" if place == "folder" else folder)
    assert read_members(archive, path) == {"data/words": WORDS}
    assert not witness.exists()
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", str(archive)]
    command += ["--no-build-isolation", "--no-cache-dir", "--dest", str(tmp_path / "by pip")]
    subprocess.run(command, check=True, capture_output=True, env=environment)
    assert witness.exists()


def test_what_is_there_asks_nobody(archive, content, server, folder):
    settings = offer(server, content)
    path = fetch(archive, folder, settings)
    asked = len(server.requests)
    assert fetch(archive, folder, settings) == path
    assert (len(server.requests), names(folder)) == (asked, [archive.file])


def test_stopped_and_continued(archive, content, server, folder):
    settings = offer(server, content, etag='"1"', cuts=[100_000, 0, 0, 0])
    with pytest.raises(InputError, match="what came is kept: try again later"):
        fetch(archive, folder, settings)
    assert f"{archive.file}.part" in names(folder)
    assert fetch(archive, folder, settings).read_bytes() == content
    assert server.ranges[-1].startswith("bytes=9")  # a piece before the 100,000th
    assert names(folder) == [archive.file]


def test_an_index_that_trips_is_asked_again(archive, content, server, folder):
    settings = offer(server, content)
    server.files[PAGE].cuts = [3, 3]
    assert fetch(archive, folder, settings).read_bytes() == content


@pytest.mark.parametrize("stated", [True, False])
def test_another_file_on_the_index_is_refused(stated, archive, server, folder):
    other = make_source_archive({"data/words": b"other"}, PROJECT)
    sha256 = hashlib.sha256(other).hexdigest()
    settings = offer(server, other, states=sha256 if stated else None)
    with pytest.raises(InputError, match=f"its sha256 is {sha256}, expected {archive.sha256}"):
        fetch(archive, folder, settings)
    assert names(folder) == []
    fetched = [path for path, _ in server.requests if path.startswith("/files/")]
    assert bool(fetched) != stated  # what the index itself says is another is not even fetched


def test_another_file_in_a_folder_is_passed_over(archive, content, server, folder, tmp_path):
    shop = shelve(tmp_path, make_source_archive({"data/words": b"other"}, PROJECT))
    with pytest.raises(InputError, match=f"shop/{archive.file}: its sha256 is .*, expected"):
        fetch(archive, folder, shop)
    both = PipSettings(offer(server, content).index_urls, shop.find_links)
    assert fetch(archive, folder, both).read_bytes() == content


def test_another_version_or_a_wheel_is_none(archive, content, server, folder, tmp_path):
    shelve(tmp_path, content, f"{PROJECT}-1.1.tar.gz")
    settings = shelve(tmp_path, content, "small_words-1.0-py3-none-any.whl")
    with pytest.raises(InputError, match="small-words==1.0: found no source archive of it: .*shop"):
        fetch(archive, folder, settings)
    settings = PipSettings((f"{server.url}/nowhere", "http://127.0.0.1:9/simple"))
    with pytest.raises(InputError, match="nowhere/small-words/: .*404.*:9/simple: .*pip") as caught:
        fetch(archive, folder, settings)
    assert "\n" not in str(caught.value)
    assert names(folder) == []


def test_pip_that_is_reported_to_look_nowhere(archive, folder):
    with pytest.raises(InputError, match="told to look nowhere"):
        fetch(archive, folder, PipSettings())


def test_a_name_and_password_in_the_setting_are_used_and_kept_quiet(
    archive, content, server, folder
):
    wanted = f"Basic {base64.b64encode(b'me:secret').decode()}"
    settings = offer(server, content, authorization=wanted)
    server.files[PAGE].authorization = wanted
    own = PipSettings((settings.index_urls[0].replace("//", "//me:secret@"),))
    assert fetch(archive, folder, own).read_bytes() == content
    (folder / archive.file).unlink()
    with pytest.raises(InputError, match="401"):
        fetch(archive, folder, settings)
    server.files.clear()
    with pytest.raises(InputError, match="404") as caught:
        fetch(archive, folder, own)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("trusted", [(), ("packages.invalid",)])
def test_by_a_proxy(trusted, archive, content, server, folder):
    offer(server, content)
    server.files = {f"http://packages.invalid/{path}": file for path, file in server.files.items()}
    settings = PipSettings(("http://packages.invalid/simple",), (), trusted, proxy=server.url)
    if trusted:
        assert fetch(archive, folder, settings).read_bytes() == content
    else:  # as pip holds it with hosts that could be anybody
        with pytest.raises(InputError, match="not being trusted"):
            fetch(archive, folder, settings)
        assert server.requests == []


def write_certificate(path):
    """Write a certificate of this machine, signed by itself, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "loopback")])
    now = datetime.datetime.now(datetime.UTC)
    here = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([here]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    plain = serialization.NoEncryption()
    kinds = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    path.write_bytes(
        certificate.public_bytes(kinds[0]) + key.private_bytes(*kinds, plain),
    )
    return path


@pytest.mark.filterwarnings("ignore::urllib3.exceptions.InsecureRequestWarning")
@pytest.mark.parametrize("trust", ["nobody", "its certificate", "its host"])
def test_certificates(trust, archive, content, folder, tmp_path):
    pem = write_certificate(tmp_path / "loopback.pem")
    with serve(pem) as server:
        settings = offer(server, content)
        if trust == "nobody":
            with pytest.raises(InputError, match="CERTIFICATE_VERIFY_FAILED"):
                fetch(archive, folder, settings)
            assert server.requests == []
            return
        own = {"its certificate": {"certificates": str(pem)}}
        own["its host"] = {"trusted_hosts": (server.url.removeprefix("https://"),)}
        settings = dataclasses.replace(settings, **own[trust])
        assert fetch(archive, folder, settings).read_bytes() == content


def test_certificates_that_are_none(archive, folder, tmp_path):
    settings = PipSettings(("https://localhost:9",), certificates=str(tmp_path / "none.pem"))
    with pytest.raises(InputError, match=r"none\.pem: cannot be read as the certificates"):
        fetch(archive, folder, settings)


@pytest.mark.parametrize(
    ("files", "reason"),
    [
        ({}, "data/words: not in this archive; get small-words==1.0"),
        ({"data/words": b"other"}, "data/words: its sha256 is .*, expected"),
        ({"../../data/words": WORDS}, "data/words: not in this archive"),
        ({"filler": bytes(2_000_000), "data/words": WORDS}, "more than 1000000 bytes"),
    ],
)
def test_members_that_are_not_as_listed(files, reason, archive, tmp_path):
    path = tmp_path / "an.tar.gz"
    path.write_bytes(make_source_archive(files, PROJECT))
    with pytest.raises(InputError, match=f"an.tar.gz: .*{reason}"):
        read_members(archive, path, max_bytes=1_000_000)
    assert names(tmp_path) == ["an.tar.gz"]


def test_a_member_that_is_a_link_is_not_followed(archive, tmp_path):
    (tmp_path / "words").write_bytes(WORDS)
    entry = tarfile.TarInfo(f"{PROJECT}-1.0/data/words")
    entry.type, entry.linkname = tarfile.SYMTYPE, str(tmp_path / "words")
    with tarfile.open(tmp_path / "an.tar.gz", "w:gz") as tar:
        tar.addfile(entry)
    with pytest.raises(InputError, match="data/words: not in this archive"):
        read_members(archive, tmp_path / "an.tar.gz")


@pytest.mark.parametrize("damage", [lambda c: c[:-40], lambda c: b"no archive", lambda c: b""])
def test_a_damaged_archive_is_named(damage, content, tmp_path):
    path = tmp_path / "an.tar.gz"
    path.write_bytes(damage(content))
    archive = archive_of(content, {"not there": "0" * 64})
    with pytest.raises(InputError, match="an.tar.gz: ") as caught:
        read_members(archive, path)
    assert "\n" not in str(caught.value)
