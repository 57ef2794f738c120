"""Public lists: DCASE 2017's own files to the last row, and AudioSet's form in a made file."""

import os
import pathlib
import tempfile

import hypothesis.strategies as st
import pytest
from hypothesis import example, given, settings

from mmat.files import InputError
from mmat.labels import LabelSet
from mmat.lists.clip import Clip, Event
from mmat.lists.read import named_label_set, read_list, read_lists

ROOT = pathlib.Path(__file__).resolve().parents[2]
REFERENCE = pathlib.Path(os.environ.get("MMAT_REFERENCE") or ROOT.parent / "shared" / "reference")
DCASE = REFERENCE / "dcase2017_task4"

# Clips a class in training and testing, and how many training clips have so many labels.
CLASSES = {
    "Train horn": (345, 30),
    "Air horn, truck horn": (313, 30),
    "Car alarm": (180, 30),
    "Reversing beeps": (245, 30),
    "Bicycle": (1897, 30),
    "Skateboard": (1516, 30),
    "Ambulance (siren)": (524, 32),
    "Fire engine, fire truck (siren)": (2288, 35),
    "Civil defense siren": (1409, 31),
    "Police car (siren)": (2364, 35),
    "Screaming": (636, 30),
    "Car": (25077, 60),
    "Car passing by": (3598, 32),
    "Bus": (3617, 31),
    "Truck": (6885, 60),
    "Motorcycle": (3162, 30),
    "Train": (2075, 50),
}
LABELS_A_CLIP = {1: 46534, 2: 4331, 3: 296, 4: 9, 5: 1, 6: 1}
SETS = {"training_set": 51172, "testing_set": 488}


@pytest.fixture(scope="module")
def dcase():
    """The folder of DCASE's lists; they are not part of the repository."""
    if not (DCASE / "training_set.csv").is_file():
        pytest.skip(f"the reference lists are not in {DCASE}; name their folder in MMAT_REFERENCE")
    return DCASE


@pytest.fixture(scope="module")
def both(dcase):
    return {name: read_list(dcase / f"{name}.csv") for name in SETS}


@pytest.mark.parametrize("name", SETS)
def test_every_clip_is_read_by_machine_id(both, name):
    found = both[name]
    assert (len(found.table), found.dropped) == (SETS[name], ())
    assert found.labels == named_label_set("dcase2017") and found.labels.names == tuple(CLASSES)
    counts = found.table["labels"].explode().value_counts()
    column = list(SETS).index(name)
    assert {label: counts[label] for label in CLASSES} == {k: v[column] for k, v in CLASSES.items()}
    if name == "training_set":
        assert found.table["labels"].map(len).value_counts().to_dict() == LABELS_A_CLIP
    assert set(found.table["split"]) == {("train", "test")[column]}
    assert found.table["id"].is_unique


def test_a_row_of_dcase_becomes_a_clip(both):
    first = both["testing_set"].clips[3]
    assert first == Clip(
        id="-Gbohom8C4Q_30.000_40.000",
        file="-Gbohom8C4Q_30.000_40.000.wav",
        labels=("Train horn", "Air horn, truck horn", "Train"),
        start_seconds=30.0,
        end_seconds=40.0,
        split="test",
        source_group="-Gbohom8C4Q",
        video_id="-Gbohom8C4Q",
    )


def without_labels(table):
    """Return the clips by id, and the labels apart, whose order is the list's own."""
    labels = {row.id: frozenset(row.labels) for row in table.itertuples()}
    table = table.drop(columns=["labels", "events"]).set_index("id").sort_index()
    return table, labels


@pytest.mark.parametrize("name", SETS)
def test_the_weak_truth_says_the_same(dcase, both, name):
    truth = read_list(dcase / f"groundtruth_weak_label_{name}.csv")
    assert (
        truth.dropped == ()
        and truth.table["labels"].map(len).sum()
        == ({"training_set": 56131, "testing_set": 606}[name])
    )
    clips, labels = without_labels(both[name].table)
    true_clips, true_labels = without_labels(truth.table)
    assert labels == true_labels
    assert clips.equals(true_clips)


def test_the_strong_truth_says_the_same_and_when(dcase, both):
    path = dcase / "groundtruth_strong_label_testing_set.csv"
    truth = read_list(path)
    clips, labels = without_labels(both["testing_set"].table)
    true_clips, true_labels = without_labels(truth.table)
    assert truth.dropped == () and labels == true_labels and clips.equals(true_clips)
    # 688 rows, 36 of which say that a label of the clip is not audible.
    assert truth.table["events"].map(len).sum() == 688 - 36
    by_id = {clip.id: clip for clip in truth.clips}
    assert by_id["-GCwoyCnYsY_0.000_10.000"].events == (
        Event("Train horn", 0.165, 3.8),
        Event("Train horn", 4.865, 8.7),
    )
    unheard = by_id["9fCibkUT_gQ_30.000_40.000"]
    assert "Car" in unheard.labels and "Car" not in {event.label for event in unheard.events}
    attached = read_list(dcase / "testing_set.csv", events=path)
    assert attached.dropped == ()
    assert {c.id: c.events for c in attached.clips} == {c.id: c.events for c in by_id.values()}


def test_the_sets_are_joined(dcase):
    found = read_lists([dcase / f"{name}.csv" for name in SETS])
    assert len(found.table) == 51660 and found.dropped == ()
    assert found.table["split"].value_counts().to_dict() == {"train": 51172, "test": 488}


# --- forms, in small


def write(folder, name: str, text: str | bytes) -> pathlib.Path:
    path = pathlib.Path(folder, name)
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


VIDEO = "-5QrBL6MzLg"
DCASE_ROW = f'{VIDEO},60.000,70.000,"Train horn,Train","/m/0284vy3,/m/07jdr"\r\n'


@pytest.mark.parametrize(
    ("name", "split"),
    [
        ("training_set.csv", "train"),
        ("testing_set.csv", "test"),
        ("evaluation_set.csv", "evaluation"),
        ("my_own_choice.csv", "train"),
    ],
)
def test_a_files_name_gives_the_split(tmp_path, name, split):
    path = write(tmp_path, name, DCASE_ROW)
    assert read_list(path).table["split"].tolist() == [split]
    assert read_list(path, split="fold").table["split"].tolist() == ["fold"]


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("abc,0,10,Car,/m/0k4j", "'abc' is no id of a web video"),
        (f"{VIDEO},0,10,Car,/m/0", "unknown machine id '/m/0'"),
        (f'{VIDEO},0,10,Car,"/m/0k4j,"', "no machine id"),
        (f"{VIDEO},0,10,Car,", "no machine id"),
        (f"{VIDEO},10,10,Car,/m/0k4j", "end 10 is not after start 10"),
        (f"{VIDEO},ten,20,Car,/m/0k4j", "start 'ten' is not a number of seconds"),
        (f"{VIDEO},-1,20,Car,/m/0k4j", "start '-1' is not a number of seconds"),
        (f"{VIDEO},0,1e400,Car,/m/0k4j", "end '1e400' is not a number of seconds"),
        (f"{VIDEO},0,10,/m/0k4j", "4 cells in the row, not 5"),
        (f"{VIDEO},0,10,Air horn, truck horn,/m/0k4j", "6 cells in the row, not 5"),
        (f'{VIDEO},0,10,"Car,/m/0k4j', "a quote that is not closed"),
        (f"{VIDEO},0,10,C\0r,/m/0k4j", "NUL"),
        (f"{VIDEO},60,70.0,Train horn,/m/0k4j", "duplicate clip '-5QrBL6MzLg_60.000_70.000'"),
        (f"{VIDEO},0,10,Caf\udce9,/m/0k4j", "not UTF-8"),
        ("../../../etc,0,10,Car,/m/0k4j", "no id of a web video"),
    ],
)
def test_a_wrong_row_of_dcase(tmp_path, row, reason):
    text = f"{DCASE_ROW}\r\n{row}\r\n{VIDEO},0,10,\ufffd,/m/0k4j\r\n"
    path = write(tmp_path, "training_set.csv", text.encode(errors="surrogateescape"))
    found = read_list(path)
    assert found.table["start_seconds"].tolist() == [60, 0]
    ((file, line, why),) = found.dropped
    assert (file, line) == (str(path), 3) and reason in why


def test_truth_rows_that_contradict_themselves(tmp_path):
    weak = f"""Y{VIDEO}_60.000_70.000.flac\t60\t70.000\tTrain
{VIDEO}_60.000_70.000.wav\t60.000\t70.000\tTrain
{VIDEO}_60.000_70.000.wav\t60.000\t71.000\tCar
{VIDEO}_60.000_70.000.wav\t60.000\t70.000\tDog
dog.wav\t60.000\t70.000\tCar
{VIDEO}_60.000_70.000.wav\t60.000\t70.000\t
{VIDEO}_60.000_70.000.wav\t60.000\t70.000\tCar
"""
    found = read_list(write(tmp_path, "groundtruth_weak_label_evaluation_set.csv", weak))
    (clip,) = found.clips
    assert clip == Clip(
        f"{VIDEO}_60.000_70.000",
        f"{VIDEO}_60.000_70.000.wav",
        ("Train", "Car"),
        60.0,
        70.0,
        "evaluation",
        VIDEO,
        video_id=VIDEO,
    )
    assert [row.line for row in found.dropped] == [2, 3, 4, 5, 6]
    pieces = [
        "nothing new",
        "not those in the name",
        "unknown label 'Dog'",
        "no name of",
        "no label",
    ]
    for row, piece in zip(found.dropped, pieces, strict=True):
        assert piece in row.reason
    with pytest.raises(InputError, match="not events"):
        read_list(tmp_path / "groundtruth_weak_label_evaluation_set.csv", events=row.file)


def test_files_of_one_stem_are_clips_of_their_own(tmp_path):
    names = ["a.wav", "a.mp4", "a"]
    text = "".join(f"{name}\t1\t2\tDog\n" for name in names)
    found = read_list(write(tmp_path, "meta.txt", text))
    assert found.table["id"].tolist() == ["a", "a.mp4"]
    assert [row.line for row in found.dropped] == [3]


SED_ROWS = """a/dog.wav{0}0.5{0}1.25{0}Dog
a/dog.wav{0}0{0}0{0}Cat
cat.wav{0}2{0}3{0}Cat
a/dog.wav{0}0.1{0}0.4{0}Dog
cat.wav{0}3{0}3{0}Cat
../cat.wav{0}2{0}3{0}Cat
"""


@pytest.mark.parametrize("delimiter", ["\t", ","])
@pytest.mark.parametrize("header", ["", "filename{0}onset{0}offset{0}event_label\n"])
def test_lists_as_sed_eval_reads_them(tmp_path, header, delimiter):
    found = read_list(write(tmp_path, "meta.txt", (header + SED_ROWS).format(delimiter)))
    events = Event("Dog", 0.1, 0.4), Event("Dog", 0.5, 1.25)
    assert found.clips == [
        Clip("a/dog", "a/dog.wav", ("Dog", "Cat"), events=events),
        Clip("cat", "cat.wav", ("Cat",), events=(Event("Cat", 2.0, 3.0),)),
    ]
    assert found.labels.names == ("Cat", "Dog")
    assert [row.line for row in found.dropped] == [5 + bool(header), 6 + bool(header)]


def test_a_header_may_order_its_columns_and_name_clips_without_events(tmp_path):
    text = "event_label\tfilename\tonset\toffset\tnote\nDog\ta.wav\t1\t2\t\n\tb.wav\t\t\t\n"
    clips = read_list(write(tmp_path, "meta.tsv", text)).clips
    assert clips == [
        Clip("a", "a.wav", ("Dog",), events=(Event("Dog", 1.0, 2.0),)),
        Clip("b", "b.wav"),
    ]
    with pytest.raises(InputError, match="meta.tsv:1: no column 'event_label'"):
        read_list(write(tmp_path, "meta.tsv", "filename\tonset\toffset\na.wav\t1\t2\n"))


@pytest.mark.parametrize("header", ["", "filename\tonset\toffset\tevent_label\n"])
def test_strong_truth_that_begins_with_what_is_not_audible(tmp_path, header):
    """As DCASE's of the evaluation set does; a whole clip from 0 on looks like weak truth."""
    text = header + "".join(
        f"{VIDEO}_{i}.000_{i + 10}.000.wav\t0\t0\tTruck\n" for i in range(1, 90)
    )
    text += f"{VIDEO}_0.000_10.000.wav\t0.000\t10.000\tTruck\n"
    found = read_list(write(tmp_path, "groundtruth_strong_label_evaluation_set.csv", text))
    assert found.labels == named_label_set("dcase2017") and found.dropped == ()
    assert found.table["events"].tolist() == [()] * 89 + [(Event("Truck", 0.0, 10.0),)]
    assert set(found.table["video_id"]) == {VIDEO}


# --- AudioSet

AUDIOSET_HEAD = """# Segments csv created Sun Mar  5 10:54:31 2017
# num_ytids=3, num_segs=3, num_unique_labels=527, num_positive_labels=5
# YTID, start_seconds, end_seconds, positive_labels
"""
AUDIOSET_ROWS = """--4gqARaEJE, 0.000, 10.000, "/m/000,/m/001,/m/526"
--BfvyPmVMo, 20.000, 30.000, "/m/003"
--U7joUcTCo, 0.000, 8.500, "/m/526,/g/004"
"""


@pytest.fixture
def audioset(tmp_path) -> pathlib.Path:
    """A folder with a label set of the true form, 527 rows."""
    rows = [f'{i},/m/{i:03d},"Sound {i}, noise"' for i in range(527)]
    rows[4] = '4,/g/004,"Sound 4, noise"'
    write(tmp_path, "class_labels_indices.csv", "\n".join(["index,mid,display_name", *rows]))
    return tmp_path


@pytest.mark.parametrize(
    ("name", "split"),
    [
        ("balanced_train_segments.csv", "train"),
        ("unbalanced_train_segments.csv", "train"),
        ("eval_segments.csv", "test"),
    ],
)
def test_audioset_segments_with_the_labels_beside_them(audioset, name, split):
    found = read_list(write(audioset, name, AUDIOSET_HEAD + AUDIOSET_ROWS))
    assert len(found.labels) == 527 and found.dropped == ()
    first, second, last = found.clips
    assert first.labels == ("Sound 0, noise", "Sound 1, noise", "Sound 526, noise")
    assert second == Clip(
        "--BfvyPmVMo_20.000_30.000",
        "--BfvyPmVMo_20.000_30.000.wav",
        ("Sound 3, noise",),
        20.0,
        30.0,
        split,
        "--BfvyPmVMo",
        video_id="--BfvyPmVMo",
    )
    assert last.labels == ("Sound 526, noise", "Sound 4, noise") and last.end_seconds == 8.5


def test_audiosets_labels_are_those_beside_else_those_fetched(audioset, tmp_path, monkeypatch):
    monkeypatch.setenv("MMAT_CACHE", str(tmp_path / "cache"))
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    path = write(folder, "eval_segments.csv", AUDIOSET_HEAD + AUDIOSET_ROWS)
    with pytest.raises(InputError, match="run `mmat fetch audioset`"):
        read_list(path)
    fetched = tmp_path / "cache" / "lists" / "audioset"
    fetched.mkdir(parents=True)
    (audioset / "class_labels_indices.csv").rename(fetched / "class_labels_indices.csv")
    assert read_list(path).labels == named_label_set("audioset")


def test_a_label_set_for_some_of_the_classes_and_one_without_machine_ids(audioset):
    path = write(audioset, "eval_segments.csv", AUDIOSET_HEAD + AUDIOSET_ROWS)
    found = read_list(path, LabelSet(("Mine",), ("/m/003",)))
    assert found.table["labels"].tolist() == [("Mine",)]
    assert [row.line for row in found.dropped] == [4, 6]
    with pytest.raises(InputError, match="the label set has no column 'mid'"):
        read_list(path, LabelSet.of(["Mine"]))


def test_lists_of_different_label_sets_are_not_joined(audioset):
    path = write(audioset, "eval_segments.csv", AUDIOSET_HEAD + AUDIOSET_ROWS)
    with pytest.raises(InputError, match="testing_set.csv: its labels are not those of"):
        read_lists([path, write(audioset, "testing_set.csv", DCASE_ROW)])


# --- AudioSet's strong labels, and lists of events as sed_eval has them

STRONG_HEAD = "segment_id\tstart_time_seconds\tend_time_seconds\tlabel\n"
STRONG_ROWS = """b0RFKhbpFJA_30000\t0.000\t10.000\t/m/07jdr
b0RFKhbpFJA_30000\t4.753\t5.720\t/m/0k4j
--4gqARaEJE_0\t0.000\t2.000\t/m/none
b0RFKhbpFJA_2500\t1\t2\t/m/0k4j
"""


@pytest.mark.parametrize("head", [STRONG_HEAD, ""])
@pytest.mark.parametrize("mark", ["\t", ",", ";"])
def test_audiosets_strong_labels(tmp_path, monkeypatch, head, mark):
    monkeypatch.setenv("MMAT_CACHE", str(tmp_path / "cache"))
    text = (head + STRONG_ROWS).replace("\t", mark)
    path = write(tmp_path, "audioset_eval_strong.tsv", text)
    with pytest.warns(UserWarning, match="1 machine ids, first /m/none, have no name here"):
        found = read_list(path, strict=True)
    assert found.labels.names == ("/m/none", "Car", "Train")
    first, second, third = found.clips
    assert first == Clip(
        "b0RFKhbpFJA_30.000_40.000",
        "b0RFKhbpFJA_30.000_40.000.wav",
        ("Train", "Car"),
        30.0,
        40.0,
        "test",
        "b0RFKhbpFJA",
        (Event("Train", 0.0, 10.0), Event("Car", 4.753, 5.72)),
        "b0RFKhbpFJA",
    )
    assert second.labels == ("/m/none",) and second.start_seconds == 0
    assert (third.id, third.end_seconds) == ("b0RFKhbpFJA_2.500_12.500", 12.5)


def test_audiosets_names_come_from_beside_the_list_or_the_label_set(tmp_path, monkeypatch):
    monkeypatch.setenv("MMAT_CACHE", str(tmp_path / "cache"))
    path = write(tmp_path, "audioset_train_strong.tsv", STRONG_HEAD + STRONG_ROWS)
    labels = LabelSet(("Auto", "Something"), ("/m/0k4j", "/m/none"))
    found = read_list(path, labels)
    assert [clip.labels for clip in found.clips] == [("Auto",), ("Something",), ("Auto",)]
    assert found.dropped[0].reason == "unknown label 'Train'" and found.labels == labels
    write(tmp_path, "mid_to_display_name.tsv", "/m/none\tSilence\n/m/0k4j\tCar (road)\n")
    found = read_list(path, strict=True)
    assert found.labels.names == ("Car (road)", "Silence", "Train")
    assert {clip.split for clip in found.clips} == {"train"}


def test_labels_that_audioset_ruled_out_are_no_events(tmp_path):
    """Its frames of 960 ms say whether a label is there."""
    text = STRONG_HEAD.replace("label", "label\tpresent") + (
        "b0RFKhbpFJA_30000\t0.000\t0.960\t/m/07jdr\tPRESENT\n"
        "b0RFKhbpFJA_30000\t0.000\t0.960\t/m/0k4j\tNOT_PRESENT\n"
        "b0RFKhbpFJA_30000\t0.960\t1.920\t/m/07jdr\tNOT_PRESENT\n"
        "--4gqARaEJE_0\t0.000\t0.960\t/m/07jdr\tNOT_PRESENT\n"
    )
    first, second = read_list(write(tmp_path, "eval_strong.tsv", text), strict=True).clips
    assert first.events == (Event("Train", 0.0, 0.96),) and second.labels == ()


def test_audiosets_strong_labels_are_attached_to_its_segments(audioset):
    path = write(audioset, "eval_segments.csv", AUDIOSET_HEAD + AUDIOSET_ROWS)
    events = write(audioset, "strong.tsv", STRONG_HEAD + "--BfvyPmVMo_20000\t1.5\t2\t/m/003\n")
    clip = read_list(path, events=events, strict=True).clips[1]
    assert clip.events == (Event("Sound 3, noise", 1.5, 2.0),)


SED_HEADS = ["", "filename{0}onset{0}offset{0}event_label", "file{0}start{0}end{0}label"]
SED_HEADS += ["file{0}event_onset{0}event_offset{0}event_label"]


@pytest.mark.parametrize("mark", ["\t", ",", ";"])
@pytest.mark.parametrize("head", SED_HEADS)
def test_sed_evals_rows_with_and_without_an_event(tmp_path, head, mark):
    rows = ["a.wav{0}0.5{0}1.25{0}Dog", "hush.wav", "still.wav{0}{0}{0}", "b.wav{0}2{0}3{0}Cat"]
    text = "\n".join(filter(None, [head, *rows])).format(mark)
    found = read_list(write(tmp_path, "meta.txt", text), strict=True)
    assert found.clips == [
        Clip("a", "a.wav", ("Dog",), events=(Event("Dog", 0.5, 1.25),)),
        Clip("hush", "hush.wav"),
        Clip("still", "still.wav"),
        Clip("b", "b.wav", ("Cat",), events=(Event("Cat", 2.0, 3.0),)),
    ]


def test_more_forms_of_lists_of_events(tmp_path):
    dog = (Event("Dog", 0.5, 1.25),)
    with_scene = "a.wav\tpark\t0.5\t1.25\tDog\nb.wav\tpark\t1\t2\tCat\n"
    assert read_list(write(tmp_path, "meta.txt", with_scene)).clips[0].events == dog
    with_commas = "a.wav;0,5;1,25;Dog\n"
    assert read_list(write(tmp_path, "meta.txt", with_commas)).clips[0].events == dog
    indexed = ",filename,onset,offset,event_label\n0,a.wav,0.5,1.25,Dog\n1,b.wav,,,\n"
    clips = read_list(write(tmp_path, "meta.csv", indexed), strict=True).clips
    assert clips[0].events == dog and clips[1].labels == ()
    weak = "filename\tevent_labels\na.wav\tDog,Cat\nb.wav\t\n"
    clips = read_list(write(tmp_path, "weak.tsv", weak), strict=True).clips
    assert [clip.labels for clip in clips] == [("Dog", "Cat"), ()]
    found = read_list(write(tmp_path, "meta.txt", "a.wav\t0\t1\tDog\nb.wav,0,1,Dog\n"))
    assert str(found.dropped[0]).endswith(
        r"meta.txt:2: one cell; the list's cells are parted by '\t'"
    )


def test_weak_truth_may_name_a_clip_without_a_label(tmp_path):
    """As the challenge's prediction files do."""
    text = f"{VIDEO}_60.000_70.000.wav\t60.000\t70.000\tCar\n{VIDEO}_1.000_2.000.wav\n"
    clips = read_list(write(tmp_path, "weak.tsv", text), strict=True).clips
    assert [clip.labels for clip in clips] == [("Car",), ()]


@pytest.mark.parametrize(
    ("name", "text", "line"),
    [
        ("training_set.csv", f"{VIDEO},1e7,2e7,Car,/m/0k4j", 2),
        ("training_set.csv", f"{VIDEO},86395,86405,Car,/m/0k4j", 2),
        ("strong.tsv", "b.wav\t0\t1e7\tCar", 2),
        ("strong.tsv", "b.wav\t0\t1e300\tCar", 2),
        ("strong.tsv", f"{VIDEO}_86395_86405.wav\t0\t1\tCar", 2),
    ],
)
def test_no_segment_and_no_event_ends_after_a_day(tmp_path, name, text, line):
    good = DCASE_ROW if name.endswith("csv") else "a.wav\t0\t86400\tCar\n"
    found = read_list(write(tmp_path, name, good + text + "\n"))
    assert len(found.clips) == 1
    assert found.dropped[0].line == line and "later than 86400 s (a day)" in found.dropped[0].reason
    assert len(read_list(tmp_path / name, max_seconds=1e300, strict=True).clips) == 2


def test_segments_of_dcase_with_semicolons(tmp_path):
    text = f'{VIDEO};60.000;70,000;"Train horn,Train";"/m/0284vy3,/m/07jdr"\r\n'
    assert read_list(write(tmp_path, "training_set.csv", text)).clips == (
        read_list(write(tmp_path, "training_set_2.csv", DCASE_ROW)).clips
    )


# --- whatever is done to a list, it is read or refused in one line

OWN = """file,labels,start_seconds,end_seconds,split
a.wav,Car;"Air horn, truck horn",0,1,train
"b,c.wav",Train,,,test
d/e.mp4,,2.5,,test
"""
FORMS = {
    "own": OWN.replace('Car;"Air horn, truck horn"', '"Car;Air horn, truck horn"'),
    "dcase": DCASE_ROW + DCASE_ROW.replace(VIDEO, "00000000000"),
    "audioset": AUDIOSET_HEAD + AUDIOSET_ROWS.replace("/m/003", "/m/0k4j"),
    "strong": SED_ROWS.format("\t").replace("Dog", "Car").replace("Cat", "Bus"),
    "audioset strong": STRONG_HEAD + STRONG_ROWS.replace("/m/none", "/m/07jdr"),
    "excel": 'sep=;\r\nfile;labels;end_seconds\r\na.wav;"Car;Train";1,5\r\n',
    "weak": f"{VIDEO}_6.000_7.000.wav\t6.000\t7.000\tCar\n{VIDEO}_1_2.wav\t1\t2\tBus\n",
}
BITS = [
    b"",
    b"\0",
    b"\xff",
    b'"',
    b",",
    b"\t",
    b"\n",
    b"\r",
    b"../",
    b"#",
    b";",
    b"9",
    b"nan",
    b"\xff\xfe",
]
damages = st.lists(
    st.tuples(
        st.integers(0, 400), st.integers(0, 5), st.sampled_from(BITS) | st.binary(max_size=4)
    ),
    min_size=1,
    max_size=6,
)


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(sorted(FORMS)), damages)
@example("own", [])
@example("dcase", [])
@example("audioset", [])
@example("strong", [])
@example("weak", [])
@example("audioset strong", [])
@example("excel", [])
def test_a_damaged_list_is_read_or_refused_in_one_line(form, damage):
    content = FORMS[form].encode()
    for place, length, instead in damage:
        place %= len(content) + 1
        content = content[:place] + instead + content[place + length :]
    with tempfile.TemporaryDirectory() as folder:
        path = write(folder, "list.csv", content)
        try:
            found = read_list(path, named_label_set("dcase2017"))
        except InputError as error:
            assert damage and "\n" not in str(error) and str(error).startswith(f"{path}:")
            return
    assert found.table["id"].is_unique
    for clip in found.clips:
        assert not clip.file.startswith("/") and ".." not in clip.file.split("/")
        assert clip.end_seconds is None or clip.end_seconds > (clip.start_seconds or 0)
        assert set(clip.labels) <= set(CLASSES)
    for row in found.dropped:
        assert 1 <= row.line <= content.count(b"\n") + 1 and "\n" not in row.reason
