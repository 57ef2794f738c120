"""`mmat lists` as it is run: tables or JSON on standard output, wrong rows on standard error."""

import json
import re

import pytest
import soundfile

from mmat.cli import main
from tests.processes import environment, mmat_command, program, run_process

VIDEO = "-5QrBL6MzLg"
LIST = f"""{VIDEO},60.000,70.000,"Train horn,Train","/m/0284vy3,/m/07jdr"
{VIDEO},80.000,85.000,Car,/m/0k4j
{VIDEO},80.000,85.000,Car,/m/0k4j
{VIDEO},90.000,90.000,Car,/m/0k4j
{VIDEO},90.000,95.000,Dog,/m/0bt9lr
"""


@pytest.fixture
def public(tmp_path):
    path = tmp_path / "training_set.csv"
    path.write_text(LIST)
    return path


def run(capsys, *words) -> tuple[str, str]:
    assert main(["lists", *map(str, words)]) == 0
    captured = capsys.readouterr()
    return captured.out, captured.err


def test_json_holds_the_counts_and_the_wrong_rows(public, capsys):
    out, err = run(capsys, public, "--json")
    report = json.loads(out)
    assert out.count("\n") == 1
    assert report["clips"] == 2 and report["hours"] == pytest.approx(15 / 3600, abs=1e-6)
    assert len(report["labels"]) == 17 and next(iter(report["labels"])) == "Train horn"
    occurring = {name: n for name, n in report["labels"].items() if n}
    assert occurring == {"Train horn": 1, "Car": 1, "Train": 1}
    assert report["labels_per_clip"] == {"1": 1, "2": 1} and report["dropped"] == 3
    assert [row["line"] for row in report["dropped_rows"]] == [3, 4, 5]
    assert report["dropped_rows"][1] == {
        "file": str(public),
        "line": 4,
        "reason": "end 90.000 is not after start 90.000",
    }
    assert "media" not in report
    assert err.splitlines()[1] == f"mmat: dropped: {public}:4: end 90.000 is not after start 90.000"


def test_tables_say_the_same(public, capsys):
    out, _ = run(capsys, public)
    assert re.search(r"^clips +2$", out, re.M) and re.search(r"^rows dropped +3$", out, re.M)
    assert re.search(r"^Train +1$", out, re.M) and re.search(r"^Bus +0$", out, re.M)
    assert re.search(r"labels a clip +clips\n.*\n +1 +1\n +2 +1\n", out)
    assert "unknown length" not in out


def test_labels_are_counted_by_split(tmp_path, capsys):
    path = tmp_path / "own.csv"
    path.write_text("file,labels,split\na.wav,Dog,train\nb.wav,Dog;Cat,test\nc.wav,Dog,train\n")
    out, _ = run(capsys, path)
    assert re.search(r"^label +clips +train +test$", out, re.M)
    assert re.search(r"^Dog +3 +2 +1$", out, re.M) and re.search(r"^Cat +1 +0 +1$", out, re.M)
    out, _ = run(capsys, path, "--json")
    by_split = {"train": {"Dog": 2, "Cat": 0}, "test": {"Dog": 1, "Cat": 1}}
    assert json.loads(out)["labels_by_split"] == by_split
    path.write_text("file,labels,split\na.wav,Dog,train\n")
    out, _ = run(capsys, path)
    assert re.search(r"^label +clips$", out, re.M)  # one split says nothing more


def test_media_are_counted_a_class_and_drawn(public, tmp_path, capsys):
    media = tmp_path / "media"
    media.mkdir()
    soundfile.write(media / f"Y{VIDEO}_80.000_85.000.wav", [0.0] * 160, 16000)
    out, _ = run(capsys, public, "--media", media, "--json", "--plot", tmp_path / "bars.svg")
    found = json.loads(out)["media"]
    assert (found["found"], found["missing"]) == (1, 1)
    assert found["labels"]["Car"] == {"found": 1, "missing": 0}
    assert found["labels"]["Train"] == {"found": 0, "missing": 1}
    assert b"<svg" in (tmp_path / "bars.svg").read_bytes()
    out, _ = run(capsys, public, "--media", media)
    assert re.search(r"^media missing +1$", out, re.M)
    assert re.search(r"^label +clips +found +missing$", out, re.M)
    assert re.search(r"^Train +1 +0 +1$", out, re.M)


def test_trimmed_files_and_what_is_no_media_are_told(public, tmp_path, capsys):
    media = tmp_path / "media"
    media.mkdir()
    soundfile.write(media / f"Y{VIDEO}.wav", [0.0] * 10_000, 1000)
    out, err = run(capsys, public, "--media", media)
    assert re.search(r"^read whole, trimmed already +1$", out, re.M)  # of 60 to 70 s
    assert re.search(r"^too short for their range +1$", out, re.M)  # of 80 to 85 s
    assert "left out" not in err  # nothing is missing
    ways = json.loads(run(capsys, public, "--media", media, "--json")[0])["media"]["ways"]
    assert ways == {"trimmed": 1, "too_short": 1}
    (media / f"Y{VIDEO}.wav").rename(media / f"Y{VIDEO}.wav.part")
    (media / "notes.txt").touch()
    out, err = run(capsys, public, "--media", media)
    assert "trimmed" not in out
    assert err.splitlines()[-1] == f"mmat: media: {media}: 2 files left out: 1 .part, 1 .txt"


def test_a_file_that_is_taken_for_several_clips_is_a_warning(tmp_path, capsys):
    soundfile.write(tmp_path / "rex.wav", [0.0] * 10_000, 1000)
    path = tmp_path / "list.csv"
    rows = [f"rex.wav,Dog,{start},{start + 10}" for start in (20, 40)]
    path.write_text("\n".join(["file,labels,start_seconds,end_seconds", *rows]) + "\n")
    out, err = run(capsys, path, "--media", tmp_path)
    assert re.search(r"^read whole, trimmed already +2$", out, re.M)
    assert err.startswith("mmat: warning: 2 clips are read whole from files that other clips lie")


def test_a_users_own_list_with_a_label_set_and_events(tmp_path, capsys):
    labels = tmp_path / "labels.csv"
    labels.write_text("index,mid,display_name\n0,,Ähre\n1,,Dog\n")
    first, second, events = (tmp_path / name for name in ("1.csv", "2.csv", "events.tsv"))
    first.write_text("file,labels\na.wav,Dog;Ähre\nb.wav,Dog\n")
    second.write_text("file,labels,end_seconds\nc.wav,,3600\n")
    events.write_text("filename\tonset\toffset\tevent_label\na.wav\t0\t1\tDog\nc.wav\t0\t1\tDog\n")
    words = [first, second, "--labels", labels, "--events", events, "--split", "test"]
    out, err = run(capsys, *words)
    assert re.search(r"^of unknown length +2 \(not in the hours\)$", out, re.M)
    assert re.search(r"^hours +1.00$", out, re.M) and re.search(r"^split test +3$", out, re.M)
    assert err.count("\n") == 1 and "events.tsv:3" in err
    report = json.loads(run(capsys, *words, "--json")[0])
    assert report["labels"] == {"Ähre": 1, "Dog": 2}
    assert report["labels_per_clip"] == {"0": 1, "1": 1, "2": 1}
    assert report["clips_without_length"] == 2


def test_labels_are_typed_as_for_tagging(tmp_path, capsys):
    path, names = tmp_path / "list.csv", tmp_path / "names.txt"
    path.write_text("file,labels\na.wav,Dog;Train horn\nb.wav,Dog\n")
    names.write_text("Train horn\nDog\nCat\n")
    for typed in ("Train horn;Dog; Cat", names):
        out, _ = run(capsys, path, "--json", "--labels", typed)
        assert json.loads(out)["labels"] == {"Train horn": 1, "Dog": 2, "Cat": 0}
    _, err = run(capsys, path, "--labels", "Dog")
    assert err.splitlines() == [f"mmat: dropped: {path}:2: unknown label 'Train horn'"]


def test_only_the_first_wrong_rows_are_said(tmp_path, capsys):
    path = tmp_path / "list.csv"
    path.write_text("file,labels\n" + "a.wav,Dog\n" * 51)
    _, err = run(capsys, path)
    assert len(err.splitlines()) == 21
    assert err.splitlines()[-1] == "mmat: dropped: and 30 more rows"


def test_names_that_the_terminal_cannot_show_are_no_crash(tmp_path):
    path = tmp_path / "list.csv"
    path.write_text("file,labels\na.wav,Ähre\n../b.wav,Ähre\n")
    in_ascii = environment(PYTHONIOENCODING="ascii")
    done = run_process(mmat_command("lists", path), in_ascii)
    assert done.returncode == 0 and "\\xc4hre" in done.stdout


def test_it_is_said_without_tensorflow(public):
    done = run_process(program("reading_a_list", public))
    assert done.returncode == 0, done.stderr


def test_lists_that_others_wrote(tmp_path, capsys):
    """Excel's, AudioSet's strong labels, and events as `mmat tag --format tsv` writes them."""
    excel, strong, events = (tmp_path / name for name in ("excel.csv", "strong.tsv", "pred.tsv"))
    excel.write_text("\ufefffile;labels;end_seconds\r\nrex.mp4;Dog;36,5\r\n")
    strong.write_text(
        "segment_id\tstart_time_seconds\tend_time_seconds\tlabel\n"
        "b0RFKhbpFJA_30000\t0.000\t10.000\t/m/0bt9lr\n--4gqARaEJE_0\t0.000\t2.000\t/m/none\n"
    )
    events.write_text("filename\tonset\toffset\tevent_label\nrex.mp4\t3.4\t5.7\tDog\n")
    report = json.loads(run(capsys, excel, "--events", events, "--json")[0])
    assert (report["clips"], report["labels"], report["dropped"]) == (1, {"Dog": 1}, 0)
    assert report["hours"] == pytest.approx(36.5 / 3600, abs=1e-6)
    out, err = run(capsys, strong, "--json")
    report = json.loads(out)
    assert report["labels"] == {"/m/none": 1, "Dog": 1} and report["clips"] == 2
    assert report["hours"] == pytest.approx(20 / 3600, abs=1e-6)
    assert err.startswith(f"mmat: warning: {strong}: 1 machine ids, first /m/none")


def test_what_a_joined_list_and_names_that_look_alike_are(tmp_path, capsys):
    path = tmp_path / "list.csv"
    path.write_text("file,labels\na.wav,Dog\nfile,labels\nb.wav,D\u043eg\nc.wav,Dog\u200b\n")
    out, err = run(capsys, path, "--json")
    report = json.loads(out)
    assert report["splits"] == {"train": 3}
    assert report["labels"] == {"Dog": 2, "D\u043eg": 1}
    assert "list.csv: the labels 'Dog' and 'D\\u043eg' look alike" in err
    assert "list.csv:3: the header of line 1 again" in err


def test_the_bound_of_times_can_be_moved(tmp_path, capsys):
    path = tmp_path / "list.csv"
    path.write_text("file,labels,end_seconds\na.wav,Dog,1\nb.wav,Dog,172800\n")
    assert "list.csv:3: end_seconds '172800' is later than 86400 s" in run(capsys, path)[1]
    out, err = run(capsys, path, "--max-seconds", "1e6")
    assert err == "" and re.search(r"^clips +2$", out, re.M)
