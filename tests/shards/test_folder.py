"""Shards: one that was broken off anywhere goes on to the same bytes; wrong folders."""

import hashlib
import json

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings

from mmat.files import InputError
from mmat.lists.clip import Clip
from mmat.shards.folder import plan_shards, read_index, shard_files, write_index, write_tables
from mmat.shards.record import Record, decode_example, whole_records
from mmat.shards.writer import ShardFile, table_rows

NAME = "train-00000-of-00001.tfrecord"
IDS = [f"clip {i}" for i in range(9)]
FAILED, WARNED = {0, 3, 4, 8}, {1, 6}
MADE_OF = [[f"{i}.wav", None, 0.1 * i, (100, i)] for i in range(len(IDS))]


def opened(folder, made_of=MADE_OF):
    return ShardFile(folder, NAME, IDS, made_of)


def write(folder, until=None, made_of=MADE_OF, level=0):
    """Write the shard of `IDS` from where it is to clip number `until`, or finish it."""
    with opened(folder, made_of) as shard:
        for i in range(shard.n_done, len(IDS) if until is None else until):
            if i in FAILED:
                shard.fail(IDS[i], f"{i}\n.wav", "no such file", made_of[i])
            else:
                record = Record(IDS[i], np.full(20 + i, i + level, np.int16), labels=(i,))
                warning = "cut" if i in WARNED else ""
                shard.add(record, f"{i}\n.wav", made_of[i], warning)
        return shard.finish() if until is None else None


def contents(folder):
    return {path.name.removeprefix(NAME): path.read_bytes() for path in folder.iterdir()}


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """(Index entry, files) of a run that nothing interrupted."""
    folder = tmp_path_factory.mktemp("whole")
    entry = write(folder)
    assert contents(folder).keys() == {"", ".journal", ".failures", ".warnings"}
    return entry, contents(folder)


def test_a_shard_counts_what_it_holds(whole, tmp_path):
    entry, files = whole
    assert entry == {
        "name": NAME, "bytes": len(files[""]), "sha256": hashlib.sha256(files[""]).hexdigest(),
        "clips": 5, "failures": 4, "with_audio": 5, "with_video": 0, "n_image_labels": 0,
        "warnings": 2,
    }  # fmt: skip
    (tmp_path / NAME).write_bytes(files[""])
    records = [decode_example(each) for each in whole_records(tmp_path / NAME)]
    assert [record.id for record in records] == [x for i, x in enumerate(IDS) if i not in FAILED]
    assert files[".warnings"].decode().splitlines() == [
        '["clip 1", "1\\n.wav", "cut"]', '["clip 6", "6\\n.wav", "cut"]',
    ]  # fmt: skip


def assert_same(folder, whole):
    entry, files = whole
    assert write(folder) == entry
    assert contents(folder) == files


@settings(max_examples=80, deadline=None)
@given(st.data())
def test_broken_off_anywhere_it_goes_on_to_the_same_bytes(whole, tmp_path_factory, data):
    """Also where the files were cut in ways that no kill leaves, but a power cut may."""
    folder = tmp_path_factory.mktemp("cut")
    files = whole[1]
    for suffix, content in ((".part", files[""]), (".journal", files[".journal"])):
        kept = data.draw(st.none() | st.integers(0, len(content)))
        if kept is not None:
            (folder / (NAME + suffix)).write_bytes(content[:kept])
    write(folder, until=opened(folder).n_done)
    assert_same(folder, whole)


@pytest.mark.parametrize("damage", [b"", b"\0" * 30, b"x" * 11])
def test_what_is_damaged_is_written_again(whole, tmp_path, damage):
    shard, journal = bytearray(whole[1][""]), whole[1][".journal"]
    (tmp_path / f"{NAME}.part").write_bytes(shard)
    (tmp_path / f"{NAME}.journal").write_bytes(journal[:-1] + damage)
    assert opened(tmp_path).n_done == len(IDS) - 1
    shard[len(shard) // 2] ^= 1
    (tmp_path / f"{NAME}.part").write_bytes(shard + damage)
    (tmp_path / f"{NAME}.journal").write_bytes(journal)
    assert 0 < opened(tmp_path).n_done < len(IDS)
    assert_same(tmp_path, whole)


def test_stopped_clip_by_clip_nothing_is_lost(whole, tmp_path):
    for until in range(len(IDS)):
        write(tmp_path, until)
        assert opened(tmp_path).n_done == until
    assert_same(tmp_path, whole)


def test_whole_but_unknown_to_the_index_it_is_taken_up(whole, tmp_path):
    write(tmp_path)
    assert opened(tmp_path).n_done == len(IDS)
    assert_same(tmp_path, whole)


@pytest.mark.parametrize("changed", [0, 1, 5, 8])
@pytest.mark.parametrize("until", [9, None])
def test_what_is_made_of_something_else_now_is_made_anew(tmp_path, changed, until):
    """Clip 0, which failed, and others; of a shard whose clips are all done, and of a whole one."""
    now = [*MADE_OF]
    now[changed] = [*now[changed][:3], (101, changed)]
    resumed, fresh = tmp_path / "resumed", tmp_path / "fresh"
    resumed.mkdir()
    fresh.mkdir()
    write(resumed, until)
    with opened(resumed, now) as shard:
        assert shard.n_done == changed
    write(resumed, made_of=now, level=9)
    write(fresh, made_of=now)
    records = [decode_example(each) for each in whole_records(resumed / NAME)]
    levels = {record.id: record.audio[0] - record.labels[0] for record in records}
    assert [levels.get(IDS[i]) for i in range(9)] == [
        None if i in FAILED else 9 * (i >= changed) for i in range(9)
    ]
    with opened(fresh, now) as shard:
        assert shard.media_sha256 == opened(resumed, now).media_sha256


def test_a_shard_without_a_journal_is_begun_again(whole, tmp_path):
    """Of a version that kept none: nobody knows what its records were made of."""
    (tmp_path / f"{NAME}.part").write_bytes(whole[1][""])
    (tmp_path / f"{NAME}.failures").write_bytes(whole[1][".failures"])
    assert opened(tmp_path).n_done == 0
    assert_same(tmp_path, whole)


def test_a_shard_of_failures_alone_is_a_file_without_records(tmp_path):
    with ShardFile(tmp_path, NAME, ["a"]) as shard:
        shard.fail("a", "a.wav", "no such file")
        assert shard.finish()["bytes"] == 0
    assert list(whole_records(tmp_path / NAME)) == []


def test_failures_are_put_together_whatever_they_say(tmp_path):
    rows = [("a", 'quoted, "so"\n.wav', "odd"), ("b", "caf\udce9.wav", "no UTF-8: é")]
    with ShardFile(tmp_path, NAME, ["a", "b", "c"]) as shard:
        for row in rows:
            shard.fail(*row)
        shard.add(Record("c"), "c.wav", warning="it ends, early")
        shard.finish()
    assert list(table_rows(tmp_path / f"{NAME}.failures")) == rows
    write_tables(tmp_path, ["other.tfrecord", NAME])
    table = (tmp_path / "failures.csv").read_text()
    assert table.startswith('id,file,reason\na,"quoted, ""so""\n.wav",odd\nb,caf\\udce9.wav,')
    assert (tmp_path / "warnings.csv").read_text() == (
        'id,file,warning\nc,c.wav,"it ends, early"\n'
    )


@given(st.integers(1, 40), st.integers(1, 12))
def test_one_record_of_every_shard_in_turn_is_the_order_of_the_list(n_clips, clips_per_shard):
    clips = [Clip(str(i), f"{i}.wav") for i in range(n_clips)]
    shards = plan_shards(clips, clips_per_shard)
    assert max(len(shard.clips) for shard in shards) <= clips_per_shard
    longest = len(shards[0].clips)
    turns = [s.clips[row] for row in range(longest) for s in shards if row < len(s.clips)]
    assert turns == clips


# --- the index


def index_of(folder, **changes):
    (folder / NAME).write_bytes(b"12345")
    files = [{"name": NAME, "bytes": 5, "clips": 0}]
    index = {"schema_version": 1, "labels": ["Dog"], "clip_seconds": 1.0, "n_frames": 2}
    index |= {"n_image_labels": 0, "splits": {"train": {"files": files, "clips": 0}}}
    write_index(folder, index | changes)


def test_a_finished_index_is_read_back(tmp_path):
    index_of(tmp_path, labels=["Müll"])
    index = read_index(tmp_path)
    assert index["labels"] == ["Müll"]
    with pytest.raises(InputError, match="no clips of a split 'train'; its splits: train"):
        shard_files(tmp_path, index, "train")
    index["splits"]["train"]["clips"] = 1
    assert shard_files(tmp_path, index, "train") == [str(tmp_path / NAME)]
    assert not (tmp_path / "index.json.part").exists()
    with pytest.raises(InputError, match="no clips of a split 'test'; its splits: train"):
        shard_files(tmp_path, index, "test")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"schema_version": 2}, "schema version 2, this mmat reads 1"),
        ({"splits": [1]}, "damaged"),
        ({"splits": {"train": {}}}, "damaged"),
    ],
)
def test_an_index_that_cannot_be_used_is_reported(tmp_path, changes, message):
    index_of(tmp_path, **changes)
    with pytest.raises(InputError, match=message):
        read_index(tmp_path)


def test_missing_and_cut_off_shards_are_reported(tmp_path):
    with pytest.raises(InputError, match="no such folder of shards"):
        read_index(tmp_path / "none")
    with pytest.raises(InputError, match=r"holds no index.json"):
        read_index(tmp_path)
    index_of(tmp_path)
    (tmp_path / NAME).write_bytes(b"1234")
    with pytest.raises(InputError, match="not as long as index.json says"):
        read_index(tmp_path)
    (tmp_path / NAME).unlink()
    with pytest.raises(InputError, match="the shard is missing"):
        read_index(tmp_path)
    (tmp_path / "index.json").write_text(json.dumps({"schema_version": 1})[:-1])
    with pytest.raises(InputError, match=r"index.json: damaged"):
        read_index(tmp_path)
