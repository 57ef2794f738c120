"""The two public lists, from a server on this machine; the true files where they are at hand."""

import csv
import hashlib
import os
import pathlib
import re

import pytest

from mmat.cli import main
from mmat.corpora.public_lists import (
    CORPORA,
    RECORD,
    UNBALANCED,
    fetch_lists,
    plan_lists,
    read_list_files,
)
from mmat.files import InputError, data_list
from tests.corpora.loopback import QUICK, Served, serve

REFERENCE = pathlib.Path(
    os.environ.get("MMAT_REFERENCE")
    or pathlib.Path(__file__).resolve().parents[2].parent / "shared" / "reference"
)
LABELS = b"index,mid,display_name\n0,/m/09x0r,Speech\n1,/m/0bt9lr,Dog\n"
BALANCED = b'# a\n# b\n# c\n--PJHxphWEs, 30.000, 40.000, "/m/09x0r"\n'
EVALUATION = b'# a\n# b\n# c\nx, 0.000, 10.000, "/m/0bt9lr"\ny, 0.000, 10.000, "/m/09x0r"\n'
ALL = b'# a\n# b\n# c\nz, 0.000, 10.000, "/m/0bt9lr"'
SMALL = {
    "class_labels_indices.csv": (LABELS, 2, 1),
    "balanced_train_segments.csv": (BALANCED, 1, 3),
    "sub/eval_segments.csv": (EVALUATION, 2, 3),
    UNBALANCED: (ALL, 1, 3),
}
UNKNOWN = list(SMALL)[1:]


@pytest.fixture(autouse=True)
def surroundings(monkeypatch, tmp_path):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("MMAT_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def server():
    with serve() as loopback:
        yield loopback


@pytest.fixture
def small(server, tmp_path):
    """A corpus of small files on the server, of which one has a listed sha256: its list."""
    path = tmp_path / "sources.csv"
    with open(path, "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["file", "url", "sha256", "rows", "header_lines", "license"])
        for name, (content, rows, header_lines) in SMALL.items():
            sha256 = "" if name in UNKNOWN else hashlib.sha256(content).hexdigest()
            url = f"{server.url}/official/{name}"
            writer.writerow([name, url, sha256, rows, header_lines, "CC-BY-4.0"])
            server.files[f"official/{name}"] = Served(content)
    return path


def sha256s(*names):
    return {name: hashlib.sha256(SMALL[name][0]).hexdigest() for name in names}


def fetch(*args, **kwargs):
    return list(fetch_lists(plan_lists(*args, **kwargs), progress=False, patience=QUICK))


@pytest.mark.parametrize("corpus", CORPORA)
def test_the_lists_of_files_are_sound(corpus):
    files = read_list_files(data_list(corpus, "sources.csv"))
    assert len({each.file for each in files}) == len(files)
    for each in files:
        assert each.url.startswith("https://") and each.url.endswith(f"/{each.file}")
        assert not pathlib.PurePosixPath(each.file).is_absolute() and ".." not in each.file
        assert re.fullmatch(r"([0-9a-f]{64})?", each.sha256)
        assert each.rows > 0 and each.license
        if "raw.githubusercontent.com" in each.url:  # of a commit, not of a branch
            assert re.search(r"/[0-9a-f]{40}/", each.url) and each.sha256
    unknown = [each.file for each in files if not each.sha256]
    segments = ["balanced_train_segments.csv", "eval_segments.csv", UNBALANCED]
    assert unknown == {"dcase2017": [], "audioset": segments}[corpus]


def test_a_whole_corpus_into_the_cache(server, small, tmp_path):
    folder = tmp_path / "cache" / "lists" / "audioset"
    given = sha256s(*UNKNOWN)
    found = fetch("audioset", expected_sha256=given, unbalanced=True, sources=small)
    assert found == [(folder / name, rows) for name, (_, rows, _) in SMALL.items()]
    for name, (content, _, _) in SMALL.items():
        assert (folder / name).read_bytes() == content
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert len(files) == len(server.requests) == 4
    assert fetch("audioset", expected_sha256=given, unbalanced=True, sources=small) == found
    assert len(server.requests) == 4


def test_the_unbalanced_list_is_for_those_who_ask(small, tmp_path):
    given = sha256s(*UNKNOWN[:2])
    found = fetch("audioset", tmp_path / "lists", expected_sha256=given, sources=small)
    assert [path.name for path, _ in found] == [pathlib.Path(n).name for n in list(SMALL)[:3]]
    with pytest.raises(InputError, match="add --unbalanced"):
        plan_lists("audioset", expected_sha256=sha256s(UNBALANCED), sources=small)


def test_a_mirror_is_held_to_the_same_sha256(server, small, tmp_path):
    content = SMALL["class_labels_indices.csv"][0]
    server.files["copy/class_labels_indices.csv"] = Served(content)
    planned = plan_lists("audioset", tmp_path, f"{server.url}/copy/", sources=small)
    steps = fetch_lists(planned, progress=False, patience=QUICK)
    assert next(steps) == (tmp_path / "class_labels_indices.csv", 2)
    assert server.requests == [("/copy/class_labels_indices.csv", None)]
    (tmp_path / "class_labels_indices.csv").unlink()
    server.files["copy/class_labels_indices.csv"] = Served(content + b"2,/m/x,Other\n")
    with pytest.raises(InputError, match="/copy/class_labels_indices.csv: its sha256 is"):
        list(fetch_lists(planned, progress=False, patience=QUICK))
    assert not (tmp_path / "class_labels_indices.csv").exists()


def test_without_a_sha256_a_file_is_not_fetched(server, small, tmp_path):
    steps = fetch_lists(plan_lists("audioset", tmp_path / "lists", sources=small), progress=False)
    assert next(steps) == (tmp_path / "lists" / "class_labels_indices.csv", 2)
    with pytest.raises(InputError, match=r"balanced.*, sub/eval_.*: not fetched: .*FILE=HEX"):
        next(steps)
    assert [path for path, _ in server.requests] == ["/official/class_labels_indices.csv"]


def test_a_trusted_server_is_held_to_what_it_gave(server, small, tmp_path):
    folder = tmp_path / "lists"
    planned = plan_lists("audioset", folder, sources=small)
    found = list(fetch_lists(planned, progress=False, patience=QUICK, trust_server=True))
    assert [path.name for path, _ in found] == [pathlib.Path(n).name for n in list(SMALL)[:3]]
    sums = dict(line.split("  ")[::-1] for line in (folder / RECORD).read_text().splitlines())
    assert sums == sha256s(*UNKNOWN[:2])
    assert fetch("audioset", folder, sources=small) == found  # without being told to trust
    (folder / UNKNOWN[0]).unlink()
    server.files[f"official/{UNKNOWN[0]}"] = Served(BALANCED.replace(b"--PJ", b"--PK"))
    with pytest.raises(InputError, match=r"balanced_.*: its sha256 is .*, expected"):
        fetch("audioset", folder, sources=small)
    server.files[f"official/{UNKNOWN[0]}"] = Served(BALANCED + BALANCED[-40:])
    (folder / RECORD).unlink()
    planned = plan_lists("audioset", folder, sources=small)
    with pytest.raises(InputError, match="rows, expected 1"):
        list(fetch_lists(planned, progress=False, patience=QUICK, trust_server=True))
    assert not (folder / UNKNOWN[0]).exists()
    (folder / RECORD).write_text("damaged")
    with pytest.raises(InputError, match="not in the form of sha256sum"):
        fetch("audioset", folder, sources=small)


def test_the_rows_must_be_right_where_the_user_vouches(server, small, tmp_path):
    name = UNKNOWN[0]
    wrong = BALANCED + b'b, 0.000, 10.000, "/m/09x0r"\n'
    server.files[f"official/{name}"] = Served(wrong)
    given = sha256s(*UNKNOWN[:2]) | {name: hashlib.sha256(wrong).hexdigest().upper()}
    for _ in range(2):
        with pytest.raises(InputError, match=r"balanced_.*: 2 rows, expected 1"):
            fetch("audioset", tmp_path / "lists", expected_sha256=given, sources=small)
        assert not (tmp_path / "lists" / name).exists()
    (tmp_path / "lists" / name).write_bytes(wrong)  # the user's own copy
    with pytest.raises(InputError, match=r"balanced_.*: 2 rows, expected 1"):
        fetch("audioset", tmp_path / "lists", expected_sha256=given, sources=small)
    assert (tmp_path / "lists" / name).read_bytes() == wrong


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"eval.csv": "0" * 64}, "'eval.csv': not among the files"),
        ({"sub/eval_segments.csv": "0" * 63}, "not 64 hexadecimal digits"),
        ({"class_labels_indices.csv": "0" * 64}, "is not the listed"),
    ],
)
def test_expectations_that_cannot_be(small, given, why):
    with pytest.raises(InputError, match=why):
        plan_lists("audioset", expected_sha256=given, sources=small)


def test_an_unknown_corpus():
    with pytest.raises(InputError, match="'dcase': not known; choose from dcase2017, audioset"):
        plan_lists("dcase")


def test_the_true_lists_have_the_listed_sha256(server, tmp_path, capsys):
    folder = REFERENCE / "dcase2017_task4"
    if not folder.is_dir():
        pytest.skip(f"the true lists of DCASE 2017 are not at {folder}")
    planned = plan_lists("dcase2017", tmp_path, server.url)
    at_hand = [each.listed for each in planned if (folder / each.listed.file).exists()]
    assert len(at_hand) >= 5
    for file in at_hand:
        content = (folder / file.file).read_bytes()
        server.files[file.file] = Served(content, etag='"1"', cuts=[len(content) // 2])
    found = []
    try:
        for step in fetch_lists(planned, progress=False, patience=QUICK):
            found.append(step)
    except InputError as error:  # the evaluation's truth may be missing at the reference
        assert "HTTP 404" in str(error) and len(at_hand) < len(planned)
    assert found == [(tmp_path / file.file, file.rows) for file in at_hand]
    for path, _ in found:
        assert path.read_bytes() == (folder / path.relative_to(tmp_path)).read_bytes()

    complete = len(at_hand) == len(planned)
    argv = ["fetch", "dcase2017", "--mirror", server.url, "--out", str(tmp_path)]
    assert main(argv) == (0 if complete else 2)
    printed = capsys.readouterr()
    assert printed.out.splitlines() == [f"{path}: {rows} rows" for path, rows in found]
    assert len(printed.err.splitlines()) == (0 if complete else 1)


@pytest.mark.parametrize("corpus", CORPORA)
def test_a_dry_run_names_addresses_and_folder(corpus, tmp_path, capsys):
    assert main(["fetch", corpus, "--dry-run"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == {"dcase2017": 7, "audioset": 3}[corpus]
    for line, file in zip(lines, read_list_files(data_list(corpus, "sources.csv")), strict=False):
        assert line.startswith(f"would fetch {file.url} into {tmp_path}/cache/lists/{corpus}")
        assert ("no sha256 on record" in line) == (not file.sha256)
    assert not (tmp_path / "cache").exists()


def test_a_mirror_with_other_content_is_one_line(server, tmp_path, capsys):
    server.files["class_labels_indices.csv"] = Served(LABELS)
    argv = ["fetch", "audioset", "--mirror", server.url, "--out", str(tmp_path / "lists")]
    assert main(argv) == 2
    printed = capsys.readouterr()
    assert (printed.out, len(printed.err.splitlines())) == ("", 1)
    for piece in (f"{server.url}/class_labels_indices.csv", Served(LABELS).sha256, "expected cdd1"):
        assert piece in printed.err
    assert list((tmp_path / "lists").iterdir()) == []


@pytest.mark.parametrize(
    "words",
    [
        ["mini", "--out", "x"],
        ["models", "--mirror", "http://127.0.0.1"],
        ["models", "--sha256", "a=b"],
        ["dcase2017", "--unbalanced"],
        ["audioset", "--debs", "x"],
        ["audioset", "--sha256", "eval_segments.csv"],
        ["audioset", "--sha256", "=00"],
        ["audioset", "--sha256", "eval_segments.csv=00"],
    ],
)
def test_options_that_do_not_fit(words, capsys):
    assert main(["fetch", *words]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert len(printed.err.splitlines()) == 1 and words[1].strip("-") in printed.err
