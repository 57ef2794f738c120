"""Whatever is wrong with what a user gives: one line that names it and says why, and status 2.

`ROWS` is the table: what is wrong, the command, and what its one line must hold, in pieces parted
by `|`. A command runs in a folder where `list.csv` lists one clip; a row may make files of its own
there, or spoil a copy of something good. Names in braces are good things, see `good`.
"""

import os
import pathlib
import re
import shlex
import shutil
import struct
import tempfile
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import pytest
import soundfile

from mmat.cli import main
from tests.processes import mmat_command, run_process, user_environment

pytest_plugins = ["tests.export.tiny"]
pytestmark = pytest.mark.usefixtures("loaded_once")

STATUS = 2
LIST = "file,labels\nboth.mp4,Dog\n"
DIARY = "Dear diary,\nno sound today.\n" * 99
TRUTH = "a.wav\t0\t10\tDog\nb.wav\t0\t10\tCat\n"

TAG = "tag {clips}/both.mp4 --model {fused}"
PREPARE = "prepare list.csv --media {clips} --labels {labels} --out out --workers 0"
TRAIN = "train sounds --out out --cache cache"
EVALUATE = "evaluate --model {trained_fused} --data {shards} --out out"
EVALUATE_AUDIO = "evaluate --model {trained_audio} --data {shards} --out out"


# --- what is spoiled


def copied(thing: str, name: str = "copy") -> Callable[[dict], pathlib.Path]:
    """Make a copy of something good in the folder."""
    return lambda good: pathlib.Path(shutil.copytree(good[thing], name))


def changed(
    thing: str, file: str, change: Callable[[bytes], bytes], name: str = "copy"
) -> Callable[[dict], None]:
    """Make a copy, and change the content of a file in it."""

    def spoil(good):
        (path,) = copied(thing, name)(good).glob(file)
        path.write_bytes(change(path.read_bytes()))

    return spoil


def flipped(content: bytes) -> bytes:
    at = len(content) // 2
    return content[:at] + bytes([content[at] ^ 255]) + content[at + 1 :]


def zeroed(content: bytes) -> bytes:
    at = len(content) // 2
    return content[:at] + bytes(4000) + content[at + 4000 :]


def replaced(old: bytes, new: bytes) -> Callable[[bytes], bytes]:
    return lambda content: content.replace(old, new)


def without_weights(good):
    shutil.rmtree(copied("audio")(good) / "variables")


def half_a_film(good):
    whole = (good["clips"] / "both.mp4").read_bytes()
    pathlib.Path("cut.mp4").write_bytes(whole[: len(whole) // 2])


def no_samples(good):
    soundfile.write("mute.wav", np.zeros((0, 1)), 16000)


def a_folder_called_bars(good):
    os.mkdir("bars.png")


def sounds(*paths: str) -> Callable[[dict], None]:
    """Make a folder `sounds` of copies of one sound under these names."""

    def make(good):
        for path in paths:
            (pathlib.Path("sounds") / path).parent.mkdir(parents=True)
            shutil.copy(good["clips"] / "sound.wav", pathlib.Path("sounds") / path)

    return make


def no_tracks() -> bytes:
    header = struct.pack(">I4s92x4s", 108, b"mvhd", struct.pack(">I", 1))
    file_type = struct.pack(">I4s4sI4s", 20, b"ftyp", b"isom", 512, b"isom")
    movie = struct.pack(">I4s", 8 + 108, b"moov") + header.ljust(108, b"\0")
    return file_type + movie


# --- the table


class Row(NamedTuple):
    what: str
    command: str
    expected: str
    made: dict[str, str | bytes] | Callable[[dict], object] = {}


# fmt: off
ROWS = [
    # what is tagged
    Row("no such file", "tag none.mp4 --model {fused}", "none.mp4: no such file"),
    Row("a folder without media", "tag . --model {fused}", ": no media file in this folder"),
    Row("text", "tag notes.mp4 --model {fused}", "notes.mp4: not a media file that can be read",
        {"notes.mp4": DIARY}),
    Row("text called sound", "tag notes.wav --model {fused}",
        "notes.wav: not a media file that can be read", {"notes.wav": DIARY}),
    Row("an empty file", "tag empty.mp4 --model {fused}", "empty.mp4: the file is empty",
        {"empty.mp4": ""}),
    Row("a truncated film", "tag cut.mp4 --model {fused}",
        "cut.mp4: not a media file that can be read", half_a_film),
    Row("a container without tracks", "tag bare.mp4 --model {fused}",
        "bare.mp4: no sound track and no picture track", {"bare.mp4": no_tracks()}),
    Row("a track without samples", "tag mute.wav --model {fused}", "mute.wav: no sound",
        no_samples),
    Row("sound alone for a model of pictures", "tag {clips}/sound.mp4 --model {video}",
        "sound.mp4: no picture track"),
    Row("pictures alone for a model of sound", "tag {clips}/pictures.mp4 --model {audio}",
        "pictures.mp4: no sound track"),
    Row("a name with a line break", "tag 'two\nlines.mp4' --model {fused}",
        "mp4: no such file"),

    # how it is tagged
    Row("labels between commas", "tag {clips}/both.mp4 --labels 'Dog, Cow, Crow'",
        "labels 'Dog, Cow, Crow': 3 names|--labels \"Dog;Cow;Crow\""),
    Row("none of the best", "tag {clips}/both.mp4 --top 0", "'0' is no whole number from 1 up"),
    Row("both model and labels", TAG + " --labels Dog",
        "name either --model EXPORT, or --labels without a model"),
    Row("labels of no name", "tag {clips}/both.mp4 --labels ' ; '", "label"),
    Row("no such file of labels", "tag {clips}/both.mp4 --labels none.csv",
        "none.csv: no such file"),
    Row("live from a file", "tag {clips}/sound.wav --model {fused} --live 16000",
        "--live: tags standard input as it comes; name - as the only file"),
    Row("live as an event list", "tag - --model {fused} --live 16000 --format tsv",
        "--live: prints lines or JSON lines, not tsv"),
    Row("live at no rate", "tag - --model {audio} --live 0", "a rate of 0 Hz"),
    Row("live with what is about files", "tag - --model {fused} --live 16000 --explain",
        "--explain: is about files, not about --live"),
    Row("a model and another ear", TAG + " --sound-model yamnet",
        "--sound-model and --image-model: are not about a --model"),
    Row("an export asked for another log-mel", TAG + " --float32-mel",
        ": an export, whose log-mel stays as it is; leave float32_mel out"),
    Row("an unknown eye", "tag {clips}/both.mp4 --labels Dog --image-model owl",
        "image network 'owl': unknown"),
    Row("two files as one label track",
        "tag {clips}/both.mp4 {clips}/sound.wav --model {fused} --format audacity",
        "--format audacity: is about one file, not 2"),
    Row("Parquet on the terminal", TAG + " --format parquet",
        "--format parquet: is no text; name the file by --out FILE"),
    Row("output into a folder", TAG + " --out .", "is a folder; name the file"),
    Row("frame scores over others", TAG + " --frame-scores .",
        "is there already; name a new folder"),
    Row("a hop that leaves gaps", TAG + " --hop-seconds 11",
        "windows of 10 s follow each other by 0.1 s at least, and by their length at most"),
    Row("a share that is none", TAG + " --hysteresis 2",
        "hysteresis: 2.0 is no share above 0 and up to 1"),
    Row("a filter of less than nothing", TAG + " --median-filter-seconds -1",
        "median_filter_seconds: -1 s is no duration"),
    Row("an unknown format", TAG + " --format xml", "'xml'|see `mmat tag --help`"),

    # with which model, and where the picture goes
    Row("no model", "tag {clips}/both.mp4 --model none", "none: no such folder"),
    Row("a file as model", "tag {clips}/both.mp4 --model model.pb",
        "model.pb: a file, not a folder",
        {"model.pb": "x"}),
    *(Row(f"a LiteRT file {what}", "tag {clips}/both.mp4 --model a.tflite",
          "a.tflite: no TensorFlow Lite file of a tagger", {"a.tflite": content})
      for what, content in [
        ("that is empty", b""),
        ("that is damaged", b"\x1c\0\0\0TFL3" + bytes(100)),
        ("that is another zip archive", b"PK\5\6" + bytes(18)),
      ]),
    Row("another folder as model", "tag {clips}/both.mp4 --model .", ": no exported model here"),
    Row("a damaged model that is not exported", "tag {clips}/both.mp4 --model copy",
        "copy: not a readable model",
        changed("trained_fused", "model.keras", lambda _: b"no model at all")),
    Row("a damaged graph", "tag {clips}/both.mp4 --model copy", "copy: a damaged export",
        changed("audio", "saved_model.pb", lambda content: content[:5000])),
    Row("missing weights", "tag {clips}/both.mp4 --model copy", "copy: a damaged export",
        without_weights),
    Row("a plot of two files", "tag {clips}/both.mp4 {clips}/sound.mp4 --model {fused} "
        "--plot plot.png", "--plot: is about one file, not 2"),
    Row("a plot to a folder", TAG + " --plot .", ": is a folder; name the file"),
    Row("a plot where nothing can be written", TAG + " --plot file/plot.png", "file",
        {"file": "no folder"}),

    # the page
    Row("a port that is none", "app --port 70000", "70000 is no port; the highest is 65535"),
    Row("a port in words", "app --port x", "'x' is no whole number from 0 up"),
    Row("a page without a model's folder", "app --model 'no such folder'", "no such folder"),
    Row("a page of a good folder and a bad one", "app --model {audio} --model none",
        "none: no such folder"),
    Row("a page of less than no seconds", "app --max-seconds -1", "'-1' is no number above 0"),
    Row("a name that is none", "app --allow-host https://a.example/", "this is no name of a host"),
    Row("a page of many megabytes", "app --max-megabytes many", "'many' is no number above 0"),

    # what is prepared
    Row("no such list", PREPARE.replace("list.csv", "none.csv"), "none.csv: |No such file"),
    Row("a folder as list", PREPARE.replace("list.csv", "."), ": |Is a directory"),
    Row("an unknown label", PREPARE + " --strict", "list.csv|3|unknown label 'Unicorn'",
        {"list.csv": LIST + "sound.mp4,Unicorn\n"}),
    Row("a list not in UTF-8", PREPARE, "list.csv|UTF-8",
        {"list.csv": "file,labels\ncafé.mp4,Dog\n".encode("latin-1")}),
    Row("a list without header", PREPARE, "list.csv:1: no column 'file'",
        {"list.csv": "both.mp4,Dog\n"}),
    Row("an empty list", PREPARE, "list.csv: |empty", {"list.csv": "file,labels\n"}),
    Row("a list that leaves its folder", PREPARE, "list.csv|'../both.mp4' leaves the media folder",
        {"list.csv": "file,labels\n../both.mp4,Dog\n"}),
    Row("no media folder", PREPARE + " --media none", "none: no such media folder"),
    Row("no labels", PREPARE + " --labels none.csv", "none.csv: no such file"),
    Row("labels without names", PREPARE + " --labels labels.csv",
        "labels.csv: no column 'display_name'", {"labels.csv": "index,name\n0,Dog\n"}),
    Row("events of no clip", PREPARE + " --events events.tsv --strict", "events.tsv|other.mp4",
        {"events.tsv": "filename\tonset\toffset\tevent_label\nother.mp4\t0\t1\tDog\n"}),
    Row("an unknown image network", PREPARE + " --image-model eye",
        "image network 'eye': unknown"),
    Row("no number of workers", PREPARE + " --workers -1",
        "--workers|'-1' is no whole number from 0 up"),
    Row("shards into a file", PREPARE, "out: holds something other than shards",
        {"out": "precious"}),
    Row("shards into a folder of other things", PREPARE + " --out .",
        ": holds something other than shards"),
    Row("shards of another list", PREPARE,
        "out: holds shards |; give another folder, or --overwrite", copied("shards", "out")),
    Row("shards over a damaged index", PREPARE + " --overwrite",
        "index.json: damaged|remove the folder",
        changed("shards", "index.json", lambda content: content[:100], "out")),
    Row("an estimate without media", PREPARE + " --dry-run", "holds none of the 1 clips",
        {"list.csv": "file,labels\na.mp4,Dog\n"}),
    Row("no list", "prepare", "LIST is missing"),
    Row("no word of the media", "prepare list.csv", "--media is missing"),
    Row("no word of the shards", "prepare list.csv --media {clips}", "--out is missing"),
    Row("clips of no length", "prepare list.csv --clip-seconds 0",
        "'0' is no number of seconds above 0"),
    Row("a limit in words", "prepare list.csv --limit-seconds soon",
        "'soon' is no number of seconds above 0"),
    Row("shards of no clips", "prepare list.csv --clips-per-shard 0",
        "'0' is no whole number from 1 up"),
    Row("less than no failures", "prepare list.csv --max-failures -1",
        "is no whole number from 0 up"),
    Row("verified: nothing", "prepare --verify", "--verify reads one folder of shards, not 0"),
    Row("verified: two folders", "prepare --verify a b",
        "--verify reads one folder of shards, not 2"),
    Row("verified: no shards", "prepare --verify .",
        ": holds no index.json, so it is no folder of shards"),
    Row("verified: a damaged shard", "prepare --verify copy", ".tfrecord: record 0: damaged",
        changed("shards", "test-*.tfrecord", flipped)),

    # what is learnt
    Row("learnt: no such folder", TRAIN, "sounds: no such folder or list"),
    Row("learnt: an empty folder", TRAIN, "sounds: the folder is empty; give a folder for each",
        lambda _: os.mkdir("sounds")),
    Row("learnt: files alone", "train {clips} --out out",
        ": holds files, but no folder of a label; give a folder for each label"),
    Row("learnt: a label without media", TRAIN, "Cat: no sound and no video in this label's folder",
        sounds("Dog/a.wav", "Cat/notes.txt")),
    Row("learnt: noise alone", TRAIN, "sounds: every clip is without a label",
        sounds("_noise/a.wav")),
    Row("learnt: a clip of a label and of none", TRAIN, "_noise/a.wav: lies in Dog too",
        sounds("Dog/a.wav", "_noise/a.wav")),
    Row("learnt: an unknown label", TRAIN + " --labels 'Cat;Owl'",
        "Dog: unknown label 'Dog'; rename the folder", sounds("Dog/a.wav")),
    Row("learnt: into a file", TRAIN, "out: is a file; name a folder for the model",
        {"out": "precious"}),
    Row("learnt: into a folder of other things", "train list.csv --out .",
        ".: holds something other than a model; name a new folder"),
    Row("learnt: into the folder of clips", "train sounds --out sounds/out",
        "sounds/out: lies in sounds, the folder of clips", sounds("Dog/a.wav")),
    Row("learnt: no word where", "train sounds", "--out|see `mmat train --help`"),
    Row("learnt: an unknown ear", TRAIN + " --audio-encoder ear", "ear: ",
        sounds("Dog/a.wav")),
    Row("learnt: an unknown eye", TRAIN + " --image-model eye", "image network 'eye': unknown"),
    Row("learnt: values", "train list.csv --out out --labels labels.csv",
        "list.csv: its labels are values, which have no names to start from",
        {"list.csv": "file,labels\na.wav,mood=0.5\n",
         "labels.csv": "display_name,task\nmood,regression 0 1\n"}),
    Row("learnt: nothing to learn from", "train list.csv --out out",
        "list.csv: no clip of the split 'train' to learn from",
        {"list.csv": "file,labels,split\na.wav,Dog,test\n"}),
    Row("learnt: tested on what is learnt", TRAIN + " --test sounds",
        "sounds: 1 of its clips are learnt from too, first Dog/a.wav", sounds("Dog/a.wav")),
    Row("learnt: two sets of test clips", "train list.csv --out out --test more.csv",
        "--test more.csv: list.csv has test clips too",
        {"list.csv": "file,labels,split\na.wav,Dog,test\nb.wav,Dog,train\n",
         "more.csv": "file,labels\nc.wav,Dog\n"}),
    Row("learnt: nothing to learn from in what a spreadsheet wrote", "train list.csv --out out",
        "list.csv: no clip of the split 'train' to learn from",
        {"list.csv": "\ufefffile;labels;split\r\na.wav;Dog;test\r\n"}),
    Row("learnt: no media folder", "train list.csv --out out --media none",
        "none: no such media folder"),
    Row("learnt: prose", "train notes.txt --out out", "notes.txt:1: no column 'file'",
        {"notes.txt": "Dear diary,\nno list today.\n"}),

    # lists
    Row("a list that is not there", "lists none.csv",
        "none.csv: cannot read the list: No such file"),
    Row("a folder for a list", "lists .", ": cannot read the list: Is a directory"),
    Row("an empty file for a list", "lists list.csv", "list.csv: the list is empty",
        {"list.csv": ""}),
    Row("a film for a list", "lists {clips}/both.mp4", "both.mp4: |is it a list?"),
    Row("a list in damaged UTF-16", "lists list.csv", "list.csv: damaged UTF-16|as UTF-8",
        {"list.csv": "file,labels\na.wav,Dog\n".encode("utf-16")[:-1]}),
    Row("two lists of other columns in one", "lists list.csv", "list.csv:3: another header",
        {"list.csv": "file,labels\na.wav,Dog\nfile,labels,split\nb.wav,Dog,test\n"}),
    Row("no row before tomorrow", "lists list.csv", "list.csv:2: end_seconds '1e7' is later than",
        {"list.csv": "file,labels,end_seconds\na.wav,Dog,1e7\n"}),
    Row("a bound of nothing", "lists list.csv --max-seconds 0", "'0' is no number of seconds"),
    Row("some prose", "lists notes.txt", "notes.txt:1: no column 'file'",
        {"notes.txt": "Dear diary,\nno list today.\n"}),
    Row("no good row", "lists list.csv",
        "list.csv:2: 'C:\\\\a.wav' is an absolute path|nor can the other 1",
        {"list.csv": "file,labels\nC:\\a.wav,Dog\n../b.wav,Dog\n"}),
    Row("a wrong row, strictly", "lists list.csv --strict", "list.csv:3: not UTF-8",
        {"list.csv": b"file,labels\na.wav,Dog\nb\xff.wav,Dog\n../c.wav,Dog\n"}),
    Row("machine ids, and labels that have none", "lists eval_segments.csv --labels labels.csv",
        "eval_segments.csv: |the label set has no column 'mid'",
        {"eval_segments.csv": '--4gqARaEJE, 0.000, 10.000, "/m/068hy"\n',
         "labels.csv": "index,display_name\n0,Dog\n"}),
    *(Row(f"{command}: {what}", f"{command} {words} --labels {labels}", said)
      for command, words in (
          ("tag", "{clips}/both.mp4"),
          ("lists", "list.csv"),
          ("prepare", "list.csv --media {clips} --out out"),
          ("train", "list.csv --out out"),
          ("export", "--out out"),
          ("score", "--task tagging --truth list.csv --prediction list.csv"))
      for what, labels, said in (
          ("an unknown label set", "dcase2016",
           "labels dcase2016: no such set|dcase2017 and audioset"),
          ("no file of labels", "none.tsv", "labels none.tsv: no such file; separate names by ';'"),
          ("names between commas", "'Dog, Cow'",
           "labels 'Dog, Cow': 2 names; separate them by ';'"),
          ("no name", "' ; '", "labels ';': no name in it"))),
    Row("weak truth for events", "lists weak.tsv --events weak.tsv",
        "weak.tsv: its times are whole clips, not events",
        {"weak.tsv": "-5QrBL6MzLg_60.000_70.000.wav\t60.000\t70.000\tTrain\n"}),
    Row("a selection table without labels", "lists raven.txt",
        "raven.txt:1: a table of Raven without a column of labels|'species'",
        {"raven.txt": "Selection\tBegin Time (s)\tEnd Time (s)\n1\t0\t1\n"}),
    Row("a selection table without ends", "lists raven.txt --strict",
        "raven.txt:2: the row has no end",
        {"raven.txt": "Begin Time (s)\tEnd Time (s)\tTag\n0\t\tDog\n1\t2\tDog\n"}),
    Row("a selection table of files that run on", "lists raven.txt",
        "raven.txt: it is of several files|'File Offset (s)'",
        {"raven.txt": "Begin Time (s)\tEnd Time (s)\tBegin File\tTag\n"
                      "0\t1\ta.wav\tDog\n9\t10\tb.wav\tDog\n"}),
    Row("a selection table of nothing", "lists raven.txt", "raven.txt: no row names a label",
        {"raven.txt": "Begin Time (s)\tEnd Time (s)\tTag\n"}),
    Row("a table of R without labels", "lists selections.csv",
        "selections.csv:1: a table of warbleR without a column of labels|'species'",
        {"selections.csv": '"sound.files","selec","start","end"\n"a.wav",1,0,1\n'}),
    Row("an event of no length from Kaleidoscope", "lists id.csv",
        "id.csv:2: the row has no end",
        {"id.csv": "INDIR,FOLDER,IN FILE,OFFSET,DURATION,MANUAL ID\n/d,,a.wav,1,,Dog\n"}),
    Row("a list in damaged Parquet", "lists list.parquet", "list.parquet: damaged Parquet: ",
        {"list.parquet": b"PAR1" + bytes(99) + b"PAR1"}),
    Row("a split that is none", "lists list.csv --split ../x", "split '../x': |letters, digits"),
    Row("a list of no media folder", "lists list.csv --media none", "none: no such media folder"),
    Row("bars in another form", "lists none.csv --plot bars.jpg",
        "bars.jpg: a plot ends in .png, .pdf or .svg"),
    Row("bars into a folder", "lists none.csv --plot bars.png", "bars.png: is a folder",
        a_folder_called_bars),

    # trained models and shards
    Row("evaluated: no model", EVALUATE + " --model none", "none: no trained model here"),
    Row("evaluated: a damaged model", EVALUATE + " --model copy", "copy: not a readable model",
        changed("trained_audio", "model.keras", lambda content: content[:5000])),
    Row("evaluated: a model damaged inside", EVALUATE + " --model copy",
        "copy: not a readable model", changed("trained_audio", "model.keras", zeroed)),
    Row("evaluated: a damaged record", EVALUATE + " --model copy", "copy: not a readable model",
        changed("trained_audio", "tagger.json", lambda _: b'{"thresholds": [0.5')),
    Row("evaluated: an export that looks", EVALUATE + " --model {fused}",
        "fused: an export that looks at pictures, which shards do not hold"),
    Row("evaluated: no shards", EVALUATE + " --data none", "none: no such folder of shards"),
    Row("evaluated: a damaged shard", EVALUATE_AUDIO + " --data copy", ".tfrecord|damaged",
        changed("shards", "test-*.tfrecord", flipped)),
    Row("evaluated: unfinished shards", EVALUATE + " --data copy",
        "copy: unfinished; run the same mmat prepare command again",
        changed("shards", "index.json", replaced(b'"complete": true', b'"complete": false'))),
    Row("evaluated: an index without end", EVALUATE_AUDIO + " --data copy",
        "index.json: damaged|remove the folder",
        changed("shards", "index.json", lambda _: b"[" * 100_000)),
    Row("evaluated: clips of no length", EVALUATE_AUDIO + " --data copy",
        "index.json: damaged|clip_seconds -1",
        changed("shards", "index.json", lambda content: re.sub(
            rb'"clip_seconds": [^,]+', b'"clip_seconds": -1', content))),
    Row("evaluated: pictures without number", EVALUATE_AUDIO + " --data copy",
        "index.json: damaged|n_frames 1000000000",
        changed("shards", "index.json", lambda content: re.sub(
            rb'"n_frames": \d+', b'"n_frames": 1000000000', content))),
    Row("prepared: pictures without number", PREPARE + " --frames 1000000000",
        "prepare: n_frames 1000000000"),
    Row("evaluated: an unknown split", EVALUATE_AUDIO + " --split tset",
        "no clips of a split 'tset'; its splits: test"),
    Row("evaluated: other labels", EVALUATE + " --data copy",
        "copy: its labels are not those of the model",
        changed("shards", "index.json", replaced(b'"Dog"', b'"Wolf"'))),
    Row("evaluated: no pictures", EVALUATE, "shards: its pictures went through no network"),
    Row("evaluated: into a file", EVALUATE, "out: is a file", {"out": "precious"}),
    *(Row(f"groups: {what}", EVALUATE_AUDIO + " --groups groups.csv", expected, made)
      for what, expected, made in [
        ("no row", "no row for the clip 'a'", {"groups.csv": "id,source_group\n0,park\n"}),
        ("no column", "must name the columns id, source_group",
         {"groups.csv": "id,group\na,park\n"}),
        ("a row twice", ":3: the id 'a' is empty or comes twice",
         {"groups.csv": "id,source_group\na,x\na,y\n"}),
        ("not in UTF-8", "damaged UTF-16", {"groups.csv": b"\xff\xfe\0"}),
        ("no file", "cannot read the list: No such file", {}),
      ]),
    Row("exported: no model", "export none --out out", "none: no trained model here"),
    Row("exported: nothing", "export --out out", "export: name either a trained model's folder"),
    Row("exported: a model and labels", "export {trained_audio} --labels Dog --out out",
        "export: name either a trained model's folder"),
    Row("exported: an export", "export {audio} --out out",
        "audio: is exported already; name the folder of the trained model"),
    Row("exported: into a file", "export {trained_audio} --out out", "out: is a file",
        {"out": "precious"}),
    Row("exported: under a file", "export {trained_audio} --out out/export", "out: File exists",
        {"out": "precious"}),
    Row("exported: into a folder of other things", "export {trained_audio} --out .",
        ": holds something other than an export"),
    Row("exported: 8 bits of what has none", "export {trained_audio} --out a.onnx --format onnx "
        "--quantize int8", "--quantize int8: needs --format tflite"),
    Row("exported: a file's name for a folder", "export {trained_audio} --out a.tflite",
        "--out a.tflite: --format savedmodel writes a folder; for a .tflite file add --format tfl"),
    Row("exported: a file's name for a page", "export --labels Dog --out a.onnx --format web",
        "--out a.onnx: --format web writes a folder; for a .onnx file add --format onnx"),
    Row("exported: no ONNX file's name", "export {trained_audio} --out out --format onnx",
        "out: no name of an ONNX file; end it in .onnx"),
    Row("exported: ONNX of what hears nothing",
        "export {trained_video} --out a.onnx --format onnx", "a.onnx: this model hears nothing"),
    Row("exported: a page into a file", "export {trained_audio} --out out --format web",
        "out: is a file; name a new folder for the page", {"out": "precious"}),
    Row("exported: a page into a folder of other things",
        "export {trained_audio} --out . --format web", ": holds something other than a page"),
    Row("exported: no word where", "export {trained_audio}", "--out|see `mmat export --help`"),

    # scores
    *(Row(f"scored, {task}: {what}",
          f"score --task {task} --truth truth.csv --prediction bad.csv", expected, made)
      for task in ("tagging", "events")
      for what, expected, made in [
        ("a picture", "bad.csv:1: the row holds a NUL byte",
         {"truth.csv": TRUTH, "bad.csv": b"\x89PNG\xff\xfe\0"}),
        ("two columns", "bad.csv:3: 2 columns",
         {"truth.csv": TRUTH, "bad.csv": "a.wav\t0\t10\n\nb.wav\tDog\n"}),
        ("nothing", "bad.csv: no rows", {"truth.csv": TRUTH, "bad.csv": ""}),
        ("no file", "bad.csv: cannot read the file: No such file", {"truth.csv": TRUTH}),
        ("no time", "bad.csv:1: end 'ten' is not a number of seconds",
         {"truth.csv": TRUTH, "bad.csv": "a.wav\t0\tten\tDog\n"}),
        ("a time of next year", "bad.csv:1: end '1e7' is later than 86400 s (a day)",
         {"truth.csv": TRUTH, "bad.csv": "a.wav\t0\t1e7\tDog\n"}),
        ("a time without end", "bad.csv:1: end '1e300' is later than 86400 s (a day)",
         {"truth.csv": TRUTH, "bad.csv": "a.wav\t0\t1e300\tDog\n"}),
      ]),
    Row("scored: a selection without an end",
        "score --task events --truth truth.csv --prediction raven.txt",
        "raven.txt:3: its times 'soon' and '2' are no seconds",
        {"truth.csv": TRUTH, "raven.txt": "Begin Time (s)\tDelta Time (s)\tTag\n"
                                          "0\t1\tDog\nsoon\t2\tDog\n"}),
    *(Row(f"scored, {task}: an unknown label",
          f"score --task {task} --truth truth.csv --prediction truth.csv --labels labels.csv",
          "truth.csv:2: unknown label 'Cat'",
          {"truth.csv": TRUTH, "labels.csv": "display_name\nDog\n"})
      for task in ("tagging", "events")),
    *(Row(f"scored: labels of another task, {kind}",
          "score --task tagging --truth truth.csv --prediction truth.csv --labels labels.csv",
          f"they are {kind}|mmat evaluate",
          {"truth.csv": TRUTH, "labels.csv": f"display_name,task\nDog,{kind}\nCat,{kind}\n"})
      for kind in ("multi-class", "regression -3 3")),
    Row("scored: events, strictly",
        "score --task events --truth truth.csv --prediction truth.csv --strict", "--strict",
        {"truth.csv": TRUTH}),

    # the command line itself
    Row("no command", "", "COMMAND|see `mmat --help`"),
    Row("an unknown command", "sing", "'sing'|see `mmat --help`"),
    Row("packages for models", "fetch models --debs .", "--debs"),
]
# fmt: on
BY_WHAT = {row.what: row for row in ROWS}


@pytest.fixture(scope="module")
def good(bundles, exports, clips, tmp_path_factory) -> dict[str, pathlib.Path]:
    """Good media, models and shards, by the name that a command gives them in braces.

    `audio`, `video` and `fused` are exports; the shards hold one test clip, without what the image
    network says.
    """
    from mmat.labels import LabelSet
    from mmat.lists.clip import Clip
    from mmat.shards.prepare import prepare

    shards = tmp_path_factory.mktemp("good") / "shards"
    labels_csv = bundles["fused"] / "labels.csv"
    clip = Clip("a", "both.mp4", ("Dog",), split="test")
    labels = LabelSet.from_csv(labels_csv)
    prepare([clip], clips, shards, labels, workers=0, progress=False)
    trained = {f"trained_{name}": folder for name, folder in bundles.items()}
    return {"clips": clips, "labels": labels_csv, "shards": shards} | exports | trained


@pytest.fixture
def argv(request, good, tmp_path, monkeypatch) -> list[str]:
    """The words of a row's command, in a folder where all is made that the row makes."""
    row = request.param
    folder = tmp_path / "bench"
    folder.mkdir()
    monkeypatch.chdir(folder)
    made = row.made if isinstance(row.made, dict) else {}
    for name, content in ({"list.csv": LIST} | made).items():
        (folder / name).write_bytes(content.encode() if isinstance(content, str) else content)
    if callable(row.made):
        row.made(good)
    return shlex.split(row.command.format(**good))


def contents(folder: pathlib.Path) -> dict[str, bytes | None]:
    """Return everything under a folder, hidden files too."""
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None
        for path in folder.rglob("*")
    }


def check(status: int, out: str, err: str, expected: str) -> None:
    assert (status, out) == (STATUS, "")
    assert err.endswith("\n") and err.count("\n") == 1, err
    assert err.startswith("mmat: error: ")
    for piece in expected.split("|"):
        assert piece in err


def rows(*what: str):
    """Give a test the words of some rows, and what the line must hold; of all by default."""
    chosen = [BY_WHAT[each] for each in what or BY_WHAT]
    given = [pytest.param(row, row.expected, id=row.what) for row in chosen]
    return pytest.mark.parametrize(("argv", "expected"), given, indirect=["argv"])


def test_a_row_has_a_name_of_its_own():
    assert len(BY_WHAT) == len(ROWS)


@rows()
def test_one_line_and_nothing_left_behind(argv, expected, tmp_path, monkeypatch, capsys):
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    before = contents(tmp_path)
    status = main(argv)
    captured = capsys.readouterr()
    check(status, captured.out, captured.err, expected)
    assert contents(tmp_path) == before


NO_CLIPS = Row(
    "no clip", PREPARE, "none of the 2 clips can be read|a.mp4: no such file|failures.csv",
    {"list.csv": "file,labels\na.mp4,Dog\nb.mp4,Dog\n"},
)  # fmt: skip


@pytest.mark.parametrize("argv", [NO_CLIPS], indirect=True, ids=["argv"])
def test_where_no_clip_can_be_read_their_reasons_are_left(argv, capsys):
    status = main(argv)
    captured = capsys.readouterr()
    check(status, captured.out, captured.err, NO_CLIPS.expected)
    assert len(pathlib.Path("out", "failures.csv").read_text().splitlines()) == 3


# As a user runs it: what TensorFlow prints at its start would be further lines.
@rows("text", "evaluated: no pictures")
def test_a_process_prints_one_line_too(argv, expected):
    done = run_process(mmat_command(*argv), user_environment())
    check(done.returncode, done.stdout, done.stderr, expected)
