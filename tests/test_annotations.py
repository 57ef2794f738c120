"""Tables as Raven, Kaleidoscope and BirdNET-Analyzer write them, by their documented columns."""

import pytest

from mmat.annotations import annotation_table, from_common_folder
from mmat.files import InputError

RAVEN = "Selection\tView\tChannel\tBegin Time (s)\tEnd Time (s)\tLow Freq (Hz)\tHigh Freq (Hz)"

BIRDNET = "Start (s),End (s),Scientific name,Common name,Confidence,File"


def read(text: str, path: str = "dawn.Table.1.selections.txt"):
    """Return the rows of a table as (line, cells), and its wrong rows as {line: why}."""
    lines = list(enumerate(text.encode().splitlines(keepends=True), 1))
    wrong = {}
    table = annotation_table(path, *lines[0])
    lines = lines[table.header_lines :]
    rows = list(table.rows(path, lines, lambda line, why: wrong.update({line: why})))
    return rows, {line: str(why) for line, why in wrong.items()}


def test_a_selection_of_two_views_counts_once():
    text = f"""{RAVEN}\tSpecies
1\tWaveform 1\t1\t0.500000000\t1.250000000\t0.0\t24000.0\tWren
1\tSpectrogram 1\t1\t0.500000000\t1.250000000\t0.0\t24000.0\tWren
2\tWaveform 1\t1\t3.0\t4.0\t0.0\t24000.0\tOwl
2\tSpectrogram 1\t1\t3.0\t4.0\t0.0\t24000.0\tOwl
"""
    rows, wrong = read(text)
    assert wrong == {}
    assert rows == [
        (2, ["dawn", "0.500000000", "1.250000000", "Wren"]),
        (4, ["dawn", "3.0", "4.0", "Owl"]),
    ]


def test_what_selections_of_other_channels_and_frequencies_say_again_counts_once():
    times = "0.500000000\t1.250000000"
    text = f"""{RAVEN}\tSpecies
1\tSpectrogram 1\t1\t{times}\t0.0\t2000.0\tWren
1\tSpectrogram 1\t2\t{times}\t0.0\t2000.0\tWren
2\tSpectrogram 1\t1\t{times}\t4000.0\t6000.0\tWren
3\tSpectrogram 1\t1\t{times}\t4000.0\t6000.0\tOwl
"""
    rows, wrong = read(text)
    assert wrong == {}
    assert [(line, row[-1]) for line, row in rows] == [(2, "Wren"), (5, "Owl")]


@pytest.mark.parametrize(
    ("header", "name", "sound"),
    [
        (f"{RAVEN}\tSpecies", "dawn.txt", "dawn"),
        (f"{RAVEN}\tBegin File\tSpecies\t", "dawn.Table.1.selections.txt", "dawn"),
        (BIRDNET, "dawn.BirdNET.results.csv", "dawn"),
        (BIRDNET, "BirdNET_CombinedTable.csv", None),
        (f"{RAVEN}\tBegin File\tSpecies", "night.txt", None),
    ],
)
def test_a_table_without_a_row_is_a_sound_without_an_event_where_it_names_one(header, name, sound):
    nothing = [(1, [sound, "", "", ""])] if sound else []
    assert read(f"{header}\n", f"tables/{name}") == (nothing, {})
    rows, wrong = read(
        f"{header}\n\t\n\tS\n".replace("\t", "," if header is BIRDNET else "\t"), name
    )
    assert (rows, list(wrong)) == ([], [3])


@pytest.mark.parametrize("column", ["Species", "Annotation", "Label", "Common Name", "Tag"])
def test_labels_stand_in_columns_of_many_names(column):
    rows, wrong = read(f"{RAVEN}\tOccupancy\t{column}\tNotes\n1\tS\t1\t0\t1\t0\t9\t1\tOwl\t\n")
    assert (rows, wrong) == ([(2, ["dawn", "0", "1", "Owl"])], {})


def test_a_row_takes_the_first_label_that_it_fills():
    text = f"{RAVEN}\tSpecies\tTag\n1\tS\t1\t0\t1\t0\t9\t\tOwl\n2\tS\t1\t2\t3\t0\t9\tWren\tOwl\n"
    assert [row[-1] for _, row in read(text)[0]] == ["Owl", "Wren"]


def test_what_is_wrong_with_a_row_is_said():
    text = f"""{RAVEN}\tSpecies
1\tS\t1\t0\t\t0\t9\tOwl
2\tS\t1\t0\t1\t0\t9\t
3\tS\t1\t0\t1\t0\t9\tOwl\tmore

4\tS\t1\t0\t1
5\tS\t1\t5\t6\t0\t9\tOwl
"""
    rows, wrong = read(text)
    assert rows == [(7, ["dawn", "5", "6", "Owl"])]
    assert wrong == {
        2: "the row has no end",
        3: "the row names no label",
        4: "9 cells in the row, not 8",
        6: "the row names no label",
    }


def test_a_duration_stands_for_an_end():
    rows, wrong = read("Begin Time (s)\tDelta Time (s)\tTag\n1.5\t0.25\tOwl\n1\tlong\tOwl\n")
    assert rows == [(2, ["dawn", "1.5", "1.750000", "Owl"])]
    assert wrong == {3: "its times '1' and 'long' are no seconds"}


def test_raven_of_several_files_counts_from_each_ones_beginning():
    text = f"""{RAVEN}\tBegin File\tBegin Path\tFile Offset (s)\tSpecies
1\tS\t1\t12\t13.5\t0\t9\t1.wav\t/data/a/1.wav\t12\tOwl
2\tS\t1\t62\t63.5\t0\t9\t1.wav\t/data/b/1.wav\t2\tOwl
"""
    assert read(text)[0] == [
        (2, ["a/1.wav", "12", "13.5", "Owl"]),
        (3, ["b/1.wav", "2", "3.500000", "Owl"]),
    ]
    with pytest.raises(InputError, match="no column 'File Offset"):
        read(text.replace("File Offset (s)", "Other"))


def test_birdnet_analyzers_own_table_is_read_and_nocall_is_a_file_without_an_event():
    head = f"{RAVEN}\tCommon Name\tSpecies Code\tConfidence\tBegin Path\tFile Offset (s)\n"
    row = "1\tSpectrogram 1\t1\t0\t3.0\t150\t12000\t"
    owl = f"{row}Tawny Owl\ttawowl1\t0.81\tF:\\rec\\1.wav\t0\n"
    none = f"{row}nocall\tnocall\t1.0\tF:\\rec\\2.wav\t0\n"
    assert read(head + owl + head + none)[0] == [
        (2, ["1.wav", "0", "3.0", "Tawny Owl"]),
        (4, ["2.wav", "", "", ""]),
    ]


def test_kaleidoscope_of_the_maker_and_of_birdnet_analyzer():
    rows, _ = read(
        "INDIR,FOLDER,IN FILE,CHANNEL,OFFSET,DURATION,Fmin,Fmean,Fmax,TOP1MATCH*,TOP1DIST,"
        "MANUAL ID*\n"
        "D:\\bats,site1\\night,1.wav,0,1.25,2.5,1,2,3,NoID,0.3,\n"
        'D:\\bats,site2,1.wav,0,0,1,1,2,3,NoID,0.3,"Owl, tawny"\n'
    )
    assert rows == [
        (2, ["site1/night/1.wav", "1.25", "3.750000", "NoID"]),
        (3, ["site2/1.wav", "0", "1.000000", "Owl, tawny"]),
    ]
    rows, _ = read(
        "INDIR,FOLDER,IN FILE,OFFSET,DURATION,scientific_name,common_name,confidence,lat,lon,week,"
        "overlap,sensitivity\n/data,site,1.wav,3.0,3.0,Strix aluco,Tawny Owl,0.8,-1,-1,-1,0,1\n"
    )
    assert rows == [(2, ["1.wav", "3.0", "6.000000", "Tawny Owl"])]


BATS = (
    "INDIR,OUTDIR,FOLDER,IN FILE,{}DATE,TIME,HOUR,DATE-12,TIME-12,HOUR-12,AUTO ID*,PULSES,"
    "MATCHING,MATCH RATIO,MARGIN,ALTERNATE 1,ALTERNATE 2,N,Fc,Sc,FILES,MANUAL ID*\r\n"
    "D:\\bats,D:\\out,night,1.wav,{}2026-06-01,22:10:03,22,2026-06-01,10:10:03,10,PIPPIP,9,8,0.88,"
    "0.5,PIPPYG,,9,46.1,-20,1,\r\n"
    "D:\\bats,D:\\out,night,2.wav,{}2026-06-01,22:11:03,22,2026-06-01,10:11:03,10,PIPPIP,9,8,0.88,"
    "0.5,PIPPYG,,9,46.1,-20,1,NYCNOC\r\n"
)


@pytest.mark.parametrize(
    ("columns", "cells", "times"),
    [("", "", ["", ""]), ("DURATION,", "4.5,", ["0", "4.500000"])],
    ids=["nothing", "how long it is"],
)
def test_kaleidoscope_of_files_that_were_not_split_is_of_whole_files(columns, cells, times):
    rows, wrong = read(BATS.format(columns, cells, cells), "id.csv")
    assert wrong == {}
    assert rows == [(2, ["1.wav", *times, "PIPPIP"]), (3, ["2.wav", *times, "NYCNOC"])]


def test_warblers_selection_tables():
    # The first rows of its own example `lbh_selec_table`, by write.csv(), which names the rows.
    rows, wrong = read(
        '"","sound.files","channel","selec","start","end","bottom.freq","top.freq","Call.Type"\n'
        '"1","Phae.long1.wav",1,1,1.1693549,1.3423884,2.220105,8.604378,"song"\n'
        '"2","Phae.long1.wav",1,2,2.1584085,2.3214565,2.169437,8.807053,NA\n'
        '"3","Phae.long2.wav",1,1,0.1596148,0.2917550,2.2,8.6,"NA, no label"\n',
        "selections.csv",
    )
    assert rows == [
        (2, ["Phae.long1.wav", "1.1693549", "1.3423884", "song"]),
        (4, ["Phae.long2.wav", "0.1596148", "0.2917550", "NA, no label"]),
    ]
    assert wrong == {3: "the row names no label"}


@pytest.mark.parametrize("dotted", [False, True], ids=["Raven's names", "R's names"])
@pytest.mark.parametrize("column", ["Begin File", "sound.files"])
def test_what_rraven_makes_of_ravens_tables_counts_from_each_files_beginning(dotted, column):
    names = ["Selection", "View", "Channel", "Begin Time (s)", "End Time (s)", "Species", column]
    if dotted:
        names = [name.replace(" ", ".").replace("(", ".").replace(")", ".") for name in names]
    header = ",".join([*names, "selec.file"])
    rows, wrong = read(
        f"{header}\n1,Spectrogram 1,1,12,13.5,Owl,1.wav,1.Table.1.selections.txt\n"
        "1,Spectrogram 1,1,2,3.5,Owl,2.wav,2.Table.1.selections.txt\n",
        "all.csv",
    )
    assert wrong == {}
    assert rows == [(2, ["1.wav", "12", "13.5", "Owl"]), (3, ["2.wav", "2", "3.5", "Owl"])]


def test_birdnet_analyzers_csv():
    rows, _ = read(
        "Start (s),End (s),Scientific name,Common name,Confidence,File\n"
        "0.0,3.0,Strix aluco,Tawny Owl,0.8,rec/1.wav\n"
    )
    assert rows == [(2, ["rec/1.wav", "0.0", "3.0", "Tawny Owl"])]


def test_birdnet_analyzers_table_for_r():
    rows, wrong = read(
        "filepath,start,end,scientific_name,common_name,confidence,lat,lon,week,overlap,"
        "sensitivity,min_conf,species_list,model\n"
        "/data/a/1.wav,0.0,3.0,Strix aluco,Tawny Owl,0.8123,-1.0,-1.0,-1,0.0,1.0,0.1,,BirdNET\n"
        "/data/b/1.wav,3.0,6.0,Noise,,0.5,-1.0,-1.0,-1,0.0,1.0,0.1,,BirdNET\n"
    )
    assert rows == [
        (2, ["a/1.wav", "0.0", "3.0", "Tawny Owl"]),
        (3, ["b/1.wav", "3.0", "6.0", "Noise"]),
    ]
    assert wrong == {}


@pytest.mark.parametrize(
    ("name", "sound"),
    [
        ("dawn.Table.1.selections.txt", "dawn"),
        ("dawn.BirdNET.selection.table.txt", "dawn"),
        ("20260305_170100.selections.txt", "20260305_170100"),
        ("a.b.txt", "a.b"),
    ],
)
def test_a_table_of_one_sound_is_named_after_it(name, sound):
    rows, _ = read(f"{RAVEN}\tTag\n1\tS\t1\t0\t1\t0\t9\tOwl\n", f"folder/{name}")
    assert rows[0][1][0] == sound


def test_quotes_part_nothing_where_they_are_no_quoting():
    start = "1\tS\t1\t0\t1\t0\t9\t"
    text = f'{RAVEN}\tTag\n{start}"old" owl\n{start}5" owl\n{start}"owl, ""old"""\n'
    labels = [row[-1] for _, row in read(text)[0]]
    assert labels == ['"old" owl', '5" owl', 'owl, "old"']


@pytest.mark.parametrize(
    ("header", "why"),
    [
        (RAVEN, "a table of Raven without a column of labels; name one 'common name'"),
        ("Begin Time (s)\tSpecies", "without a column of ends; name one 'end time"),
        (f"{RAVEN}\tTag\tTAG", "with two columns 'tag'"),
        ("INDIR,FOLDER,IN FILE,OFFSET,MANUAL ID", "without a column of ends; name one 'duration'"),
        ("INDIR,FOLDER,IN FILE,DATE", "of Kaleidoscope without a column of labels; name one 'manu"),
        ("sound.files,selec,start,end", "of warbleR without a column of labels; name one 'common"),
    ],
)
def test_a_header_that_lacks_a_column_is_refused(header, why):
    with pytest.raises(InputError, match="^a.txt:3: a table of ") as caught:
        annotation_table("a.txt", 3, header.encode())
    assert why in str(caught.value)


def test_audacitys_label_track_is_of_the_sound_that_it_is_named_after():
    text = "0.500000\t1.250000\tWren\n\\\t900.0\t8000.0\n3\t3.5\tOwl, barn\n4.0\t5.0\t\n"
    rows, wrong = read(text, "night/dawn.txt")
    assert rows == [
        (1, ["dawn", "0.500000", "1.250000", "Wren"]),
        (3, ["dawn", "3", "3.5", "Owl, barn"]),
    ]
    assert wrong == {4: "the row names no label"}


def test_a_label_of_a_point_in_time_is_the_clips_without_times():
    # As in Audacity's manual; a label that has a range as well says nothing new by its point.
    text = (
        "1.000000\t1.000000\tOwl\n\\\t6928.456055\t6928.456055\n"
        "2.150000\t2.150000\tWren\n3.400000\t6.100000\tOwl\n\\\t-1.000000\t6334.588867\n"
        "0.000000\t0.000000\tCrow\n7.000000\t7.000000\tWren\n"
    )
    with pytest.warns(UserWarning) as said:
        rows, wrong = read(text, "night/dawn.txt")
    assert wrong == {}
    assert rows == [
        (3, ["dawn", "", "", "Wren"]),
        (4, ["dawn", "3.400000", "6.100000", "Owl"]),
        (6, ["dawn", "", "", "Crow"]),
    ]
    assert [str(each.message) for each in said] == [
        "night/dawn.txt: labels of a point in time: 4, first in line 1; they count for the whole "
        "clip, and not as events"
    ]


@pytest.mark.parametrize(
    ("text", "labels"),
    [
        (
            "0.0\t3.0\tStrix aluco, Tawny Owl\t0.8123\n3\t6\tOwl\t1\n",
            ["Strix aluco, Tawny Owl", "Owl"],
        ),
        ("0.500000\t1.250000\t1\n2.000000\t3.000000\t2\n", ["1", "2"]),
        ("0.5\t1.25\t\n3\t3.5\tOwl\n", ["Owl"]),
    ],
    ids=["BirdNET-Analyzer's confidence", "numbers", "a first label without text"],
)
def test_label_tracks_as_they_are_found(text, labels):
    rows, wrong = read(text, "dawn.BirdNET.results.txt")
    assert [(row[0], row[-1]) for _, row in rows] == [("dawn", label) for label in labels]
    assert len(rows) + len(wrong) == 2
    assert set(wrong.values()) <= {"the row names no label"}


@pytest.mark.parametrize(
    "header",
    ["file,labels", "filename\tonset\toffset\tevent_label", "", "1\t2\t3", "2\t1\tDog"]
    + [
        "a.wav\t0\t1\tDog",
        "-1\t1\tDog",
        "0\t1\tDog\tCow",
        "0\t1\t2\t3",
        "1.wav\t0.500000\t1.000000",
    ],
)
def test_other_lists_are_no_tables_of_tools(header):
    assert annotation_table("a.txt", 1, header.encode()) is None


def test_the_longest_end_of_a_path_that_is_known_is_the_file():
    known = {"1.wav", "a/1.wav", "data"}
    paths = ["/data/a/1.wav", "/data/b/1.wav", "/data/c/2.wav", "x/2.wav"]
    names = from_common_folder(paths, known.__contains__)
    assert list(names.values()) == ["a/1.wav", "1.wav", "c/2.wav", "x/2.wav"]


def test_paths_from_the_folder_that_a_tool_was_run_in_are_told_by_their_ends_too():
    known = {"b/1.wav", "2.wav", "a\\3.wav", "../4.wav", "4.wav"}
    paths = ["rec/b/1.wav", "rec\\c\\2.wav", "a\\3.wav", "../4.wav", "b/5.wav", ""]
    names = from_common_folder(paths, known.__contains__)
    assert list(names.values()) == ["b/1.wav", "2.wav", "a\\3.wav", "4.wav", "b/5.wav", ""]


def test_an_end_that_two_paths_have_is_neithers():
    paths = ["/data/a/1.wav", "/data/b/1.wav", "/data/b/2.wav"]
    names = from_common_folder(paths, {"1.wav", "2.wav"}.__contains__)
    assert list(names.values()) == ["a/1.wav", "b/1.wav", "2.wav"]


def test_paths_of_other_drives_have_no_folder_in_common():
    paths = ["C:\\a\\1.wav", "D:\\b\\1.wav", "/c/1.wav", "here.wav"]
    assert list(from_common_folder(paths).values()) == ["a/1.wav", "b/1.wav", "c/1.wav", "here.wav"]
