"""Whatever is wrong with what a user gives: one line that names it and says why, and status 2.

Every case is a function that gets a `Bench`, makes something bad in its folder, and returns the
command line. Its docstring is what the one line must hold, in pieces parted by `|`.
"""

import dataclasses
import os
import pathlib
import shutil
import struct
import subprocess
import sys
import tempfile

import numpy as np
import pytest
import soundfile

from mmat.cli import main

pytest_plugins = ["tests.export.tiny"]


@dataclasses.dataclass
class Bench:
    """A folder to work in, and good models, media and shards to spoil."""

    folder: pathlib.Path
    bundles: dict[str, pathlib.Path]
    exports: dict[str, pathlib.Path]
    clips: pathlib.Path
    shards: pathlib.Path

    def file(self, name: str, content: str | bytes = "") -> pathlib.Path:
        path = self.folder / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    def copy(self, source: pathlib.Path, name: str = "copy") -> pathlib.Path:
        return pathlib.Path(shutil.copytree(source, self.folder / name))

    def tag(self, file, model: str = "fused") -> list:
        return ["tag", file, "--model", self.exports[model]]

    def prepare(self, text: str | bytes = "file,labels\nboth.mp4,Dog\n", **options) -> list:
        options = {
            "media": self.clips,
            "labels": self.bundles["fused"] / "labels.csv",
            "out": self.folder / "out",
            "workers": 0,
        } | options
        words = [word for key, value in options.items() for word in (f"--{key}", value)]
        return ["prepare", self.file("list.csv", text), *words]

    def evaluate(self, model=None, data=None, **options) -> list:
        options = {
            "model": model or self.bundles["fused"],
            "data": data or self.shards,
            "out": self.folder / "out",
        } | options
        return ["evaluate", *[x for key, value in options.items() for x in (f"--{key}", value)]]


CASES = []


def case(function):
    CASES.append(function)
    return function


# --- what is tagged


@case
def tag_no_such_file(bench):
    """none.mp4: no such file"""
    return bench.tag(bench.folder / "none.mp4")


@case
def tag_a_folder_without_media(bench):
    """: no media file in this folder"""
    return bench.tag(bench.folder)


@case
def tag_text(bench):
    """notes.mp4: not a media file that can be read"""
    return bench.tag(bench.file("notes.mp4", "Dear diary,\nno sound today.\n" * 99))


@case
def tag_text_called_sound(bench):
    """notes.wav: not a media file that can be read"""
    return bench.tag(bench.file("notes.wav", "Dear diary,\nno sound today.\n" * 99))


@case
def tag_an_empty_file(bench):
    """empty.mp4: the file is empty"""
    return bench.tag(bench.file("empty.mp4"))


@case
def tag_a_truncated_film(bench):
    """cut.mp4: not a media file that can be read"""
    whole = (bench.clips / "both.mp4").read_bytes()
    return bench.tag(bench.file("cut.mp4", whole[: len(whole) // 2]))


@case
def tag_a_container_without_tracks(bench):
    """bare.mp4: no sound track and no picture track"""
    header = struct.pack(">I4s92x4s", 108, b"mvhd", struct.pack(">I", 1))
    file_type = struct.pack(">I4s4sI4s", 20, b"ftyp", b"isom", 512, b"isom")
    movie = struct.pack(">I4s", 8 + 108, b"moov") + header.ljust(108, b"\0")
    return bench.tag(bench.file("bare.mp4", file_type + movie))


@case
def tag_a_track_without_samples(bench):
    """mute.wav: no sound"""
    soundfile.write(bench.folder / "mute.wav", np.zeros((0, 1)), 16000)
    return bench.tag(bench.folder / "mute.wav")


@case
def tag_sound_alone_with_a_model_of_pictures(bench):
    """sound.mp4: no picture track"""
    return bench.tag(bench.clips / "sound.mp4", "video")


@case
def tag_pictures_alone_with_a_model_of_sound(bench):
    """pictures.mp4: no sound track"""
    return bench.tag(bench.clips / "pictures.mp4", "audio")


@case
def tag_a_name_with_a_line_break(bench):
    """mp4: no such file"""
    return bench.tag(bench.folder / "two\nlines.mp4")


@case
def tag_with_neither_model_nor_labels(bench):
    """name either --model EXPORT, or --labels without a model"""
    return ["tag", bench.clips / "both.mp4"]


@case
def tag_with_both_model_and_labels(bench):
    """name either --model EXPORT, or --labels without a model"""
    return [*bench.tag(bench.clips / "both.mp4"), "--labels", "Dog"]


@case
def tag_with_labels_of_no_name(bench):
    """label"""
    return ["tag", bench.clips / "both.mp4", "--labels", " ; "]


@case
def tag_with_a_label_file_that_is_not_there(bench):
    """none.csv: no such file"""
    return ["tag", bench.clips / "both.mp4", "--labels", bench.folder / "none.csv"]


@case
def tag_live_from_a_file(bench):
    """--live: tags standard input as it comes; name - as the only file"""
    return [*bench.tag(bench.clips / "sound.wav"), "--live", "16000"]


@case
def tag_live_as_an_event_list(bench):
    """--live: prints lines or JSON lines, not tsv"""
    return [*bench.tag("-"), "--live", "16000", "--format", "tsv"]


@case
def tag_live_at_no_rate(bench):
    """a rate of 0 Hz"""
    return [*bench.tag("-", "audio"), "--live", "0"]


@case
def tag_live_with_what_is_about_files(bench):
    """--explain: is about files, not about --live"""
    return [*bench.tag("-"), "--live", "16000", "--explain"]


@case
def tag_with_a_model_and_another_ear(bench):
    """--sound-model and --image-model: are about --labels"""
    return [*bench.tag(bench.clips / "both.mp4"), "--sound-model", "yamnet"]


@case
def tag_with_an_eye_that_is_unknown(bench):
    """image network 'owl': unknown"""
    return ["tag", bench.clips / "both.mp4", "--labels", "Dog", "--image-model", "owl"]


@case
def app_at_no_port(bench):
    """70000 is no port; the highest is 65535"""
    return ["app", "--port", "70000"]


@case
def tag_two_files_as_one_label_track(bench):
    """--format audacity: is about one file, not 2"""
    files = [bench.clips / "both.mp4", bench.clips / "sound.wav"]
    return ["tag", *files, *bench.tag("")[2:], "--format", "audacity"]


@case
def tag_into_a_folder(bench):
    """is a folder; name the file"""
    return [*bench.tag(bench.clips / "both.mp4"), "--out", bench.folder]


@case
def tag_with_frame_scores_over_others(bench):
    """is there already; name a new folder"""
    return [*bench.tag(bench.clips / "both.mp4"), "--frame-scores", bench.folder]


@case
def tag_with_a_hop_that_leaves_gaps(bench):
    """windows of 10 s follow each other by 0.1 s at least, and by their length at most"""
    return [*bench.tag(bench.clips / "both.mp4"), "--hop-seconds", "11"]


@case
def tag_with_a_share_that_is_none(bench):
    """hysteresis: 2.0 is no share above 0 and up to 1"""
    return [*bench.tag(bench.clips / "both.mp4"), "--hysteresis", "2"]


@case
def tag_with_a_filter_of_less_than_nothing(bench):
    """median_filter_seconds: -1 s is no duration"""
    return [*bench.tag(bench.clips / "both.mp4"), "--median-filter-seconds", "-1"]


# --- with what it is tagged, and where the picture goes


@case
def tag_without_a_model(bench):
    """none: no such folder"""
    return ["tag", bench.clips / "both.mp4", "--model", bench.folder / "none"]


@case
def tag_with_a_file_as_model(bench):
    """model.pb: no such folder"""
    return ["tag", bench.clips / "both.mp4", "--model", bench.file("model.pb", "x")]


@case
def tag_with_an_empty_folder_as_model(bench):
    """: no exported model here"""
    return ["tag", bench.clips / "both.mp4", "--model", bench.folder]


@case
def tag_with_a_damaged_model_not_exported(bench):
    """copy: not a readable model"""
    folder = bench.copy(bench.bundles["fused"])
    (folder / "model.keras").write_bytes(b"no model at all")
    return ["tag", bench.clips / "both.mp4", "--model", folder]


@case
def tag_with_a_damaged_graph(bench):
    """copy: a damaged export"""
    graph = bench.copy(bench.exports["audio"]) / "saved_model.pb"
    graph.write_bytes(graph.read_bytes()[:5000])
    return ["tag", bench.clips / "both.mp4", "--model", graph.parent]


@case
def tag_with_missing_weights(bench):
    """copy: a damaged export"""
    folder = bench.copy(bench.exports["audio"])
    shutil.rmtree(folder / "variables")
    return ["tag", bench.clips / "both.mp4", "--model", folder]


@case
def plot_of_two_files(bench):
    """--plot: is about one file, not 2"""
    command, *rest = bench.tag(bench.clips / "both.mp4")
    return [command, bench.clips / "sound.mp4", *rest, "--plot", bench.folder / "plot.png"]


@case
def plot_to_a_folder(bench):
    """: is a folder; name the file"""
    return [*bench.tag(bench.clips / "both.mp4"), "--plot", bench.folder]


@case
def plot_where_nothing_can_be_written(bench):
    """file"""
    path = bench.file("file", "no folder") / "plot.png"
    return [*bench.tag(bench.clips / "both.mp4"), "--plot", path]


# --- lists, labels, media


@case
def prepare_no_such_list(bench):
    """none.csv: |No such file"""
    return ["prepare", bench.folder / "none.csv", *bench.prepare()[2:]]


@case
def prepare_an_unknown_label(bench):
    """list.csv|3|unknown label 'Unicorn'"""
    return [*bench.prepare("file,labels\nboth.mp4,Dog\nsound.mp4,Unicorn\n"), "--strict"]


@case
def prepare_a_list_not_in_utf8(bench):
    """list.csv|UTF-8"""
    return bench.prepare("file,labels\ncafé.mp4,Dog\n".encode("latin-1"))


@case
def prepare_a_list_without_header(bench):
    """list.csv:1: no column 'file'"""
    return bench.prepare("both.mp4,Dog\n")


@case
def prepare_an_empty_list(bench):
    """list.csv: |empty"""
    return bench.prepare("file,labels\n")


@case
def prepare_a_list_that_leaves_its_folder(bench):
    """list.csv|'../both.mp4' leaves the media folder"""
    return bench.prepare("file,labels\n../both.mp4,Dog\n")


@case
def prepare_without_media_folder(bench):
    """none: no such media folder"""
    return bench.prepare(media=bench.folder / "none")


@case
def prepare_without_labels(bench):
    """none.csv: |No such file"""
    return bench.prepare(labels=bench.folder / "none.csv")


@case
def prepare_with_labels_without_names(bench):
    """labels.csv: no column 'display_name'"""
    return bench.prepare(labels=bench.file("labels.csv", "index,name\n0,Dog\n"))


@case
def prepare_with_events_of_no_clip(bench):
    """events.tsv|other.mp4"""
    text = "filename\tonset\toffset\tevent_label\nother.mp4\t0\t1\tDog\n"
    return [*bench.prepare(events=bench.file("events.tsv", text)), "--strict"]


@case
def prepare_with_an_unknown_image_network(bench):
    """image network 'eye': unknown"""
    return bench.prepare(**{"image-model": "eye"})


@case
def prepare_with_no_number_of_workers(bench):
    """--workers|'-1' is no whole number from 0 up"""
    return bench.prepare(workers="-1")


@case
def prepare_into_a_file(bench):
    """out: holds something other than shards"""
    return bench.prepare(out=bench.file("out", "precious"))


@case
def prepare_into_a_folder_of_other_things(bench):
    """: holds something other than shards"""
    return bench.prepare(out=bench.folder)


# --- lists


@case
def lists_no_such_file(bench):
    """none.csv: cannot read the list: No such file"""
    return ["lists", bench.folder / "none.csv"]


@case
def lists_a_folder(bench):
    """: cannot read the list: Is a directory"""
    return ["lists", bench.folder]


@case
def lists_an_empty_file(bench):
    """list.csv: the list is empty"""
    return ["lists", bench.file("list.csv")]


@case
def lists_a_film(bench):
    """both.mp4: |is it a list?"""
    return ["lists", bench.clips / "both.mp4"]


@case
def lists_in_utf_16(bench):
    """list.csv: |save the list as UTF-8"""
    return ["lists", bench.file("list.csv", "file,labels\na.wav,Dog\n".encode("utf-16"))]


@case
def lists_some_prose(bench):
    """notes.txt:1: no column 'file'"""
    return ["lists", bench.file("notes.txt", "Dear diary,\nno list today.\n")]


@case
def lists_without_a_good_row(bench):
    """list.csv:2: 'C:\\\\a.wav' is an absolute path|nor can the other 1"""
    return ["lists", bench.file("list.csv", "file,labels\nC:\\a.wav,Dog\n../b.wav,Dog\n")]


@case
def lists_strictly(bench):
    """list.csv:3: not UTF-8"""
    text = b"file,labels\na.wav,Dog\nb\xff.wav,Dog\n../c.wav,Dog\n"
    return ["lists", bench.file("list.csv", text), "--strict"]


@case
def lists_by_machine_id_with_labels_that_have_none(bench):
    """eval_segments.csv: |the label set has no column 'mid'"""
    segments = bench.file("eval_segments.csv", '--4gqARaEJE, 0.000, 10.000, "/m/068hy"\n')
    labels = bench.file("labels.csv", "index,display_name\n0,Dog\n")
    return ["lists", segments, "--labels", labels]


@case
def lists_with_an_unknown_label_set(bench):
    """dcase2016: cannot read the label set"""
    return ["lists", bench.file("list.csv", "file,labels\na.wav,Dog\n"), "--labels", "dcase2016"]


@case
def lists_with_weak_truth_for_events(bench):
    """weak.tsv: its times are whole clips, not events"""
    name = "-5QrBL6MzLg_60.000_70.000.wav"
    weak = bench.file("weak.tsv", f"{name}\t60.000\t70.000\tTrain\n")
    return ["lists", weak, "--events", weak]


@case
def lists_into_a_split_that_is_none(bench):
    """split '../x': |letters, digits"""
    return ["lists", bench.file("list.csv", "file,labels\na.wav,Dog\n"), "--split", "../x"]


@case
def lists_without_media_folder(bench):
    """none: no such media folder"""
    text = bench.file("list.csv", "file,labels\na.wav,Dog\n")
    return ["lists", text, "--media", bench.folder / "none"]


@case
def lists_drawn_as_something_else(bench):
    """bars.jpg: a plot ends in .png, .pdf or .svg"""
    return ["lists", bench.folder / "none.csv", "--plot", bench.folder / "bars.jpg"]


@case
def lists_drawn_into_a_folder(bench):
    """bars.png: is a folder"""
    (bench.folder / "bars.png").mkdir()
    return ["lists", bench.folder / "none.csv", "--plot", bench.folder / "bars.png"]


@case
def prepare_into_shards_of_another_list(bench):
    """out: holds shards |; give another folder, or --overwrite"""
    bench.copy(bench.shards, "out")
    return bench.prepare()


@case
def prepare_over_a_damaged_index(bench):
    """index.json: damaged|remove the folder"""
    index = bench.copy(bench.shards, "out") / "index.json"
    index.write_text(index.read_text()[:100])
    return [*bench.prepare(), "--overwrite"]


@case
def prepare_from_a_folder(bench):
    """: |Is a directory"""
    return ["prepare", bench.folder, *bench.prepare()[2:]]


@case
def estimate_without_media(bench):
    """holds none of the 1 clips"""
    return [*bench.prepare("file,labels\na.mp4,Dog\n"), "--dry-run"]


@case
def verify_no_shards(bench):
    """: holds no index.json, so it is no folder of shards"""
    return ["prepare", "--verify", bench.folder]


@case
def verify_a_damaged_shard(bench):
    """.tfrecord: record 0: damaged"""
    (shard,) = bench.copy(bench.shards).glob("test-*.tfrecord")
    content = bytearray(shard.read_bytes())
    content[len(content) // 2] ^= 255
    shard.write_bytes(content)
    return ["prepare", "--verify", shard.parent]


@case
def evaluate_on_unfinished_shards(bench):
    """copy: unfinished; run the same mmat prepare command again"""
    index = bench.copy(bench.shards) / "index.json"
    index.write_text(index.read_text().replace('"complete": true', '"complete": false'))
    return bench.evaluate(data=index.parent)


# --- trained models and shards


@case
def evaluate_without_a_model(bench):
    """none: no trained model here"""
    return bench.evaluate(model=bench.folder / "none")


@case
def evaluate_a_damaged_model(bench):
    """copy: not a readable model"""
    model = bench.copy(bench.bundles["audio"]) / "model.keras"
    model.write_bytes(model.read_bytes()[:5000])
    return bench.evaluate(model=model.parent)


@case
def evaluate_a_model_damaged_inside(bench):
    """copy: not a readable model"""
    model = bench.copy(bench.bundles["audio"]) / "model.keras"
    content = bytearray(model.read_bytes())
    content[len(content) // 2 : len(content) // 2 + 4000] = bytes(4000)
    model.write_bytes(content)
    return bench.evaluate(model=model.parent)


@case
def evaluate_a_damaged_record(bench):
    """copy: not a readable model"""
    (bench.copy(bench.bundles["audio"]) / "tagger.json").write_text('{"thresholds": [0.5')
    return bench.evaluate(model=bench.folder / "copy")


@case
def evaluate_without_shards(bench):
    """none: no such folder of shards"""
    return bench.evaluate(data=bench.folder / "none")


@case
def evaluate_a_damaged_shard(bench):
    """.tfrecord|damaged"""
    folder = bench.copy(bench.shards)
    (shard,) = folder.glob("test-*.tfrecord")
    content = bytearray(shard.read_bytes())
    content[len(content) // 2] ^= 255
    shard.write_bytes(content)
    return bench.evaluate(bench.bundles["audio"], folder)


@case
def evaluate_an_unknown_split(bench):
    """no clips of a split 'tset'; its splits: test"""
    return bench.evaluate(bench.bundles["audio"], split="tset")


@case
def evaluate_with_other_labels(bench):
    """copy: its labels are not those of the model"""
    index = bench.copy(bench.shards) / "index.json"
    index.write_text(index.read_text().replace('"Dog"', '"Wolf"'))
    return bench.evaluate(data=index.parent)


@case
def evaluate_without_pictures(bench):
    """copy: its pictures went through no network"""
    return bench.evaluate(data=bench.copy(bench.shards))


@case
def evaluate_into_a_file(bench):
    """out: is a file"""
    return bench.evaluate(out=bench.file("out", "precious"))


@case
def export_without_a_model(bench):
    """none: no trained model here"""
    return ["export", bench.folder / "none", "--out", bench.folder / "out"]


@case
def export_an_export(bench):
    """audio: is exported already; name the folder of the trained model"""
    return ["export", bench.exports["audio"], "--out", bench.folder / "out"]


@case
def evaluate_an_export_that_looks(bench):
    """fused: an export that looks at pictures, which shards do not hold"""
    return bench.evaluate(model=bench.exports["fused"])


@case
def export_into_a_file(bench):
    """out: is a file"""
    return ["export", bench.bundles["audio"], "--out", bench.file("out", "precious")]


@case
def export_under_a_file(bench):
    """out: File exists"""
    path = bench.file("out", "precious") / "export"
    return ["export", bench.bundles["audio"], "--out", path]


@case
def export_into_a_folder_of_other_things(bench):
    """: holds something other than an export"""
    bench.file("thesis.txt", "precious")
    return ["export", bench.bundles["audio"], "--out", bench.folder]


# --- the command line itself


@case
def no_command(bench):
    """COMMAND|see `mmat --help`"""
    return []


@case
def unknown_command(bench):
    """'sing'|see `mmat --help`"""
    return ["sing"]


@case
def missing_option(bench):
    """--out|see `mmat export --help`"""
    return ["export", bench.bundles["audio"]]


@case
def unknown_format(bench):
    """'xml'|see `mmat tag --help`"""
    return [*bench.tag(bench.clips / "both.mp4"), "--format", "xml"]


@case
def packages_for_models(bench):
    """--debs"""
    return ["fetch", "models", "--debs", bench.folder]


@pytest.fixture(scope="module")
def good_shards(bundles, clips, tmp_path_factory):
    """Shards of one test clip, without what the image network says."""
    from mmat.labels import LabelSet
    from mmat.lists.clip import Clip
    from mmat.shards.prepare import prepare

    folder = tmp_path_factory.mktemp("good") / "shards"
    labels = LabelSet.from_csv(bundles["fused"] / "labels.csv")
    clip = Clip("a", "both.mp4", ("Dog",), split="test")
    prepare([clip], clips, folder, labels, workers=0, progress=False)
    return folder


@pytest.fixture
def bench(tmp_path, bundles, exports, clips, good_shards) -> Bench:
    folder = tmp_path / "bench"
    folder.mkdir()
    return Bench(folder, bundles, exports, clips, good_shards)


def contents(folder: pathlib.Path) -> dict[str, bytes | None]:
    """Return everything under a folder, hidden files too."""
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None
        for path in folder.rglob("*")
    }


def check(status: int, out: str, err: str, pieces: str) -> None:
    assert (status, out) == (2, "")
    assert err.endswith("\n") and err.count("\n") == 1, err
    assert err.startswith("mmat: error: ")
    for piece in pieces.split("|"):
        assert piece in err


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__)
def test_one_line_and_nothing_left_behind(case, bench, tmp_path, monkeypatch, capsys):
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    argv = [os.fspath(word) if isinstance(word, os.PathLike) else str(word) for word in case(bench)]
    before = contents(tmp_path)
    status = main(argv)
    captured = capsys.readouterr()
    check(status, captured.out, captured.err, case.__doc__)
    assert contents(tmp_path) == before


def test_where_no_clip_can_be_read_their_reasons_are_left(bench, capsys):
    argv = bench.prepare("file,labels\na.mp4,Dog\nb.mp4,Dog\n")
    status = main([str(word) for word in argv])
    captured = capsys.readouterr()
    why = "none of the 2 clips can be read|a.mp4: no such file|failures.csv"
    check(status, captured.out, captured.err, why)
    out = pathlib.Path(argv[argv.index("--out") + 1])
    assert len((out / "failures.csv").read_text().splitlines()) == 3


# As a user runs it: what TensorFlow says at its start would be further lines.
@pytest.mark.parametrize("case", [tag_text, evaluate_without_pictures], ids=lambda c: c.__name__)
def test_a_process_says_one_line_too(case, bench):
    environment = {k: v for k, v in os.environ.items() if k != "TF_CPP_MIN_LOG_LEVEL"}
    command = [sys.executable, "-m", "mmat", *map(str, case(bench))]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=300)
    check(done.returncode, done.stdout, done.stderr, case.__doc__)
