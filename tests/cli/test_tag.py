"""`mmat tag` end to end on small real files; what goes wrong stands in test_bad_input.py."""

import csv
import io
import json
import os
import signal
import subprocess
import sys

import numpy as np
import pytest
import sed_scores_eval

from mmat.cli import main
from mmat.lists.read import read_list
from tests.processes import mmat_command, user_environment

pytest_plugins = ["tests.export.tiny"]
pytestmark = pytest.mark.usefixtures("loaded_once")


def run_tag(capsys, *words) -> str:
    assert main(["tag", *map(str, words)]) == 0
    captured = capsys.readouterr()
    assert captured.err == ""
    return captured.out


def test_tag_prints_a_table_of_tags_and_events(clips, exports, capsys):
    lines = run_tag(capsys, clips / "both.mp4", "--model", exports["fused"]).splitlines()
    assert lines[0] == f"{clips / 'both.mp4'}: 2.0 s, sound and pictures"
    assert lines[1].split() == ["tag", "sure", "fires", "audio", "video"]
    assert lines[3].split()[::2] == ["Dog", "yes", lines[3].split()[-1]]
    assert [line.startswith("sure: 50 and more fires") for line in lines].index(True) == 6
    assert [line.split()[0] for line in lines if line.startswith("event")] == ["event"]


# A clip without pictures or without sound is no error for a model of both.
@pytest.mark.parametrize(
    ("file", "senses"),
    [("sound.mp4", "sound"), ("pictures.mp4", "pictures"), ("sound.wav", "sound")],
)
def test_tag_falls_back_to_the_sense_there_is(file, senses, clips, exports, capsys):
    lines = run_tag(capsys, clips / file, "--model", exports["fused"]).splitlines()
    assert lines[0].endswith(f" s, {senses}")


def test_tag_as_json_and_csv(clips, exports, capsys):
    model = ["--model", exports["fused"], "--format"]
    one = json.loads(run_tag(capsys, clips / "both.mp4", *model, "json"))
    assert one["file"] == str(clips / "both.mp4")
    scores = {"score", "audio_score", "video_score", "confidence"}
    assert scores | {"label", "fired"} == set(one["tags"][0])
    times = {"onset_seconds", "offset_seconds"}
    assert times | {"label", "score", "modality", "confidence"} == set(one["events"][0])
    for tag in one["tags"]:
        assert (tag["confidence"] >= 0.5) == tag["fired"]
    files = [clips / "both.mp4", clips / "sound.wav"]
    both = json.loads(run_tag(capsys, *files, *model, "json"))
    assert both[0] == one
    assert both[1]["tags"][0]["video_score"] is None
    rows = list(csv.DictReader(io.StringIO(run_tag(capsys, *files, *model, "csv"))))
    assert len(rows) == 6
    for row, tag in zip(rows, one["tags"] + both[1]["tags"], strict=True):
        assert (row["label"], row["fired"]) == (tag["label"], str(int(tag["fired"])))
        assert float(row["score"]) == pytest.approx(tag["score"], abs=1e-6)


@pytest.mark.parametrize("file", ["both.mp4", "sound.wav"])
def test_tag_draws_a_plot(file, clips, exports, tmp_path, capsys):
    path = tmp_path / "new" / "plot.png"
    run_tag(capsys, clips / file, "--model", exports["fused"], "--plot", path)
    from matplotlib.image import imread

    picture = imread(path)
    assert picture.shape[0] > 300 and picture.shape[1] > 900
    assert np.ptp(picture[..., :3]) > 0.5
    assert os.listdir(path.parent) == ["plot.png"]


def test_a_file_alone_is_tagged_by_all_that_yamnet_knows(clips, models_cache, capsys):
    whole = json.loads(run_tag(capsys, clips / "both.mp4", "--format", "json"))
    assert whole["n_labels"] == 521 and whole["has_video"]
    assert len(whole["tags"]) == min(10, whole["n_fired"]) and whole["n_fired"] > 0
    assert all(tag["fired"] for tag in whole["tags"])
    words = [clips / "both.mp4", "--top", "2"]
    lines = run_tag(capsys, *words).splitlines()
    assert lines[3].split("  ")[0] == whole["tags"][0]["label"]
    assert lines[5].startswith("sure: ") and lines[5].endswith("that do not")
    best = json.loads(run_tag(capsys, *words, "--format", "json"))
    assert best["tags"] == whole["tags"][:2]
    assert {event["label"] for event in best["events"]} <= {tag["label"] for tag in best["tags"]}


def test_lines_on_standard_error_do_not_stick_to_the_tables(clips, exports, tmp_path):
    """On a terminal both are one stream."""
    files = [clips / "sound.wav", tmp_path / "none.wav", clips / "sound.wav"]
    command = mmat_command("tag", *files, "--model", exports["audio"])
    both = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    lines = subprocess.run(command, timeout=300, **both).stdout.splitlines()
    errors = [line for line in lines if "mmat: error: " in line]
    assert errors == [f"mmat: error: {files[1]}: no such file"]


def test_files_tagged_ahead_are_those_tagged_one_by_one(clips, exports, tmp_path, capsys):
    """To the last digit and in their order, with a broken file in the middle."""
    import soundfile

    from mmat.tagging.tagger import load

    sounds = np.random.default_rng(0).normal(0, 0.1, (6, 16000)).astype(np.float32)
    files = [clips / "both.mp4", clips / "sound.wav", clips / "pictures.mp4"]
    for n, sound in enumerate(sounds):
        files.append(tmp_path / f"{n}.wav")
        soundfile.write(files[-1], np.tile(sound, n + 7), 16000)  # some of several windows
    broken = tmp_path / "broken.mp4"
    broken.write_bytes((clips / "both.mp4").read_bytes()[:900])
    files.insert(4, broken)

    scores = tmp_path / "scores"
    words = ["tag", *files, "--model", exports["fused"], "--format", "json"]
    assert main([str(word) for word in [*words, "--frame-scores", scores]]) == 3
    captured = capsys.readouterr()
    assert captured.err.startswith(f"mmat: error: {broken}: ") and captured.err.count("\n") == 1
    found = json.loads(captured.out)
    files.remove(broken)
    assert [each["file"] for each in found] == [str(file) for file in files]
    tagger = load(exports["fused"])
    for each, file in zip(found, files, strict=True):
        alone = tagger.tag(file)
        assert each["tags"] == [
            {name: x for name, x in vars(tag).items() if name in each["tags"][0]}
            for tag in alone.tags
        ]
        assert each["events"] == [vars(event) for event in alone.events]
        written = sed_scores_eval.io.read_sed_scores(str(scores / f"{file.stem}.tsv"))
        np.testing.assert_array_equal(
            written[list(tagger.labels)].to_numpy(np.float32), alone.frame_scores
        )


def test_ctrl_c_ends_a_batch_at_once(exports, tmp_path):
    """Half an hour of sound lies ahead of it, some of it begun."""
    import soundfile

    silence = np.zeros(16000 * 600, np.int16)
    files = [tmp_path / f"{n}.flac" for n in range(4)]
    for n, file in enumerate(files):
        soundfile.write(file, silence[: 16000 if n == 0 else None], 16000)
    words = ["tag", *files, "--model", exports["audio"], "--format", "csv", "--hop-seconds", "0.1"]
    how = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    # A shell's background job ignores the signal, and what it starts does so too.
    how["preexec_fn"] = lambda: signal.signal(signal.SIGINT, signal.SIG_DFL)
    with subprocess.Popen(mmat_command(*words), **how, env=user_environment()) as process:
        assert process.stdout.readline().startswith("file,label,")
        process.stdout.readline()  # of the first file, while the others are being tagged
        process.send_signal(signal.SIGINT)
        try:
            rest, errors = process.communicate(timeout=120)
        finally:
            process.kill()
    assert process.returncode == 130
    assert errors == "" and str(files[1]) not in rest


def test_one_bad_file_does_not_stop_the_others(clips, exports, capsys):
    files = [clips / "both.mp4", clips / "none.mp4", clips / "sound.wav"]
    argv = ["tag", *files, "--model", exports["fused"], "--format", "json"]
    assert main([str(word) for word in argv]) == 3
    captured = capsys.readouterr()
    assert [each["file"] for each in json.loads(captured.out)] == [str(files[0]), str(files[2])]
    assert captured.err == f"mmat: error: {files[1]}: no such file\n"


def test_a_folder_is_its_media_in_order_and_one_file_an_array(clips, exports, tmp_path, capsys):
    folder = tmp_path / "media" / "below"
    folder.mkdir(parents=True)
    for name in ("b.wav", "a.wav"):
        (folder / name).write_bytes((clips / "sound.wav").read_bytes())
    (folder / "notes.txt").write_text("no media")
    words = [tmp_path / "media", "--model", exports["audio"], "--format", "json"]
    assert main(["tag", *map(str, words)]) == 0
    captured = capsys.readouterr()
    found = json.loads(captured.out)
    assert [each["file"] for each in found] == [str(folder / "a.wav"), str(folder / "b.wav")]
    assert captured.err == f"mmat: note: {tmp_path / 'media'}: 1 file left out: 1 .txt\n"
    for name in ("b.wav", "notes.txt"):
        (folder / name).unlink()
    assert len(json.loads(run_tag(capsys, *words))) == 1


def test_out_takes_what_would_be_printed_whole_or_not_at_all(clips, exports, tmp_path, capsys):
    words = [clips / "both.mp4", "--model", exports["fused"], "--format", "tsv"]
    printed = run_tag(capsys, *words)
    assert printed.splitlines()[0] == "filename\tonset\toffset\tevent_label"
    assert run_tag(capsys, *words, "--out", tmp_path / "events.tsv") == ""
    assert (tmp_path / "events.tsv").read_text() == printed
    assert os.listdir(tmp_path) == ["events.tsv"]
    track = run_tag(capsys, clips / "both.mp4", "--model", exports["fused"], "--format", "audacity")
    assert track.split("\t")[0] == "0.000000"


def test_events_for_other_tools_come_back_as_a_list(clips, exports, tmp_path, capsys):
    raven, parquet = tmp_path / "events.txt", tmp_path / "events.parquet"
    words = [clips / "both.mp4", clips / "sound.wav", "--model", exports["audio"], "--top", 1]
    for out in (raven, parquet):
        form = "raven" if out == raven else "parquet"
        assert run_tag(capsys, *words, "--format", form, "--out", out) == ""
    found, again = (read_list(path, strict=True).clips for path in (raven, parquet))
    assert [clip.file for clip in found] == ["both.mp4", "sound.wav"]
    assert all(clip.events and len(clip.labels) == 1 for clip in found)
    assert found == again
    assert main(["lists", str(raven), "--media", str(clips), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["media"]["found"] == 2


def test_where_nothing_was_tagged_an_earlier_file_stays(exports, tmp_path, capsys):
    out, notes = tmp_path / "x.json", tmp_path / "notes.mp4"
    out.write_text("precious")
    notes.write_text("no media" * 99)
    argv = ["tag", notes, "--model", exports["audio"], "--format", "json", "--out", out]
    assert main([str(word) for word in argv]) == 2
    assert out.read_text() == "precious"
    assert sorted(os.listdir(tmp_path)) == ["notes.mp4", "x.json"]


def test_frame_scores_are_read_by_sed_scores_eval(clips, exports, tmp_path, capsys):
    folder = tmp_path / "scores"
    words = [clips / "both.mp4", clips / "sound.wav", "--model", exports["fused"]]
    run_tag(capsys, *words, "--frame-scores", folder)
    found = sed_scores_eval.io.read_sed_scores(str(folder / "sound.tsv"))
    assert len(found) == 20 and "Train" in found.columns
    assert sorted(os.listdir(folder)) == ["both.tsv", "sound.tsv"]


def test_explain_names_what_was_seen(clips, exports, capsys):
    words = [clips / "both.mp4", "--model", exports["fused"], "--explain"]
    assert "similarity" in run_tag(capsys, *words)
    whole = json.loads(run_tag(capsys, *words, "--format", "json"))
    reasons = [reason for tag in whole["tags"] for reason in tag["reasons"]]
    assert reasons and {reason["sense"] for reason in reasons} == {"video"}
    assert all(0 < reason["probability"] <= 1 for reason in reasons)


@pytest.mark.parametrize("is_media", [True, False])
def test_a_file_of_standard_input(is_media, clips, exports, monkeypatch, capsys):
    content = (clips / "sound.mp4").read_bytes() if is_media else b"no media" * 99
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))
    status = main(["tag", "-", "--format", "json", "--model", str(exports["audio"])])
    captured = capsys.readouterr()
    if is_media:
        assert (status, captured.err, json.loads(captured.out)["file"]) == (0, "", "-")
    else:
        assert status == 2 and captured.err.startswith("mmat: error: -: not a media file")


def test_a_live_stream_is_tagged_while_it_runs(exports):
    """The line of the first second comes before the second one is sent."""
    words = ["tag", "-", "--live", "16000", "--format", "json", "--model", exports["audio"]]
    rng = np.random.default_rng(0)
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(mmat_command(*words), **pipes) as process:
        for second in (1, 2, 3):
            process.stdin.write(rng.integers(-3000, 3000, 16000, np.int16).tobytes())
            process.stdin.flush()
            moment = json.loads(process.stdout.readline())
            assert moment["seconds"] == second
            assert moment["tags"][0]["label"] and moment["tags"][0]["confidence"] >= 0.5
        process.stdin.close()
        assert process.stdout.read() == b""
        assert process.wait(timeout=60) == 0


def test_what_is_wrong_with_part_of_a_file_is_a_warning(exports, tmp_path, capsys):
    import soundfile

    sound = np.full(16000 * 14, 0.1, np.float32)
    sound[16000 * 12 :] = np.nan
    path = tmp_path / "damaged.wav"
    soundfile.write(path, sound, 16000, subtype="FLOAT")
    argv = ["tag", path, "--model", exports["audio"]]
    assert main([str(word) for word in argv]) == 0
    captured = capsys.readouterr()
    assert captured.err.startswith(f"mmat: warning: {path}: the sound ends at")
    assert "ends at 12.0 s of 14.0 s" in captured.err and captured.err.count("\n") == 1
    assert captured.out.startswith(f"{path}: ")


def test_a_guess_is_a_warning(clips, models_cache, capsys):
    assert main(["tag", str(clips / "sound.wav"), "--labels", "Dog;Washing machine"]) == 0
    error = capsys.readouterr().err
    assert error.startswith("mmat: warning: label 'Washing machine': the nearest name of a sound")
    assert "is 'Sewing machine', 0.7" in error and error.count("\n") == 1
