"""Shards: one that was broken off anywhere goes on to the same bytes; wrong folders."""

import hashlib
import json

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings

from mmat.files import InputError
from mmat.lists.clip import Clip
from mmat.shards.folder import plan_shards, read_index, shard_files, write_failures, write_index
from mmat.shards.record import Record, decode_example, whole_records
from mmat.shards.writer import ShardFile, failure_rows

NAME = "train-00000-of-00001.tfrecord"
IDS = [f"clip {i}" for i in range(9)]
FAILED = {0, 3, 4, 8}


def write(folder, until=None):
    """Write the shard of `IDS` from where it is to clip number `until`, or finish it."""
    with ShardFile(folder, NAME, IDS) as shard:
        for i in range(shard.n_done, len(IDS) if until is None else until):
            if i in FAILED:
                shard.fail(IDS[i], f"{i}\n.wav", "no such file")
            else:
                shard.add(Record(IDS[i], np.full(20 + i, i, np.int16), labels=(i,)))
        return shard.finish() if until is None else None


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """(Index entry, shard, journal) of a run that nothing interrupted."""
    folder = tmp_path_factory.mktemp("whole")
    entry = write(folder)
    assert {path.name for path in folder.iterdir()} == {NAME, f"{NAME}.failures"}
    return entry, (folder / NAME).read_bytes(), (folder / f"{NAME}.failures").read_bytes()


def test_a_shard_counts_what_it_holds(whole, tmp_path):
    entry, shard, _ = whole
    assert entry == {
        "name": NAME, "bytes": len(shard), "sha256": hashlib.sha256(shard).hexdigest(),
        "clips": 5, "failures": 4, "with_audio": 5, "with_video": 0, "n_image_labels": 0,
    }  # fmt: skip
    (tmp_path / NAME).write_bytes(shard)
    records = [decode_example(each) for each in whole_records(tmp_path / NAME)]
    assert [record.id for record in records] == [x for i, x in enumerate(IDS) if i not in FAILED]


def assert_same(folder, whole):
    entry, shard, journal = whole
    assert write(folder) == entry
    assert (folder / NAME).read_bytes() == shard
    assert (folder / f"{NAME}.failures").read_bytes() == journal
    assert not (folder / f"{NAME}.part").exists()


@settings(max_examples=80, deadline=None)
@given(st.data())
def test_broken_off_anywhere_it_goes_on_to_the_same_bytes(whole, tmp_path_factory, data):
    """Also where the two files were cut in ways that no kill leaves, but a power cut may."""
    folder = tmp_path_factory.mktemp("cut")
    _, shard, journal = whole
    for suffix, content in ((".part", shard), (".failures", journal)):
        kept = data.draw(st.none() | st.integers(0, len(content)))
        if kept is not None:
            (folder / (NAME + suffix)).write_bytes(content[:kept])
    write(folder, until=ShardFile(folder, NAME, IDS).n_done)
    assert_same(folder, whole)


@pytest.mark.parametrize("damage", [b"", b"\0" * 30, b"x" * 11])
def test_what_is_damaged_is_written_again(whole, tmp_path, damage):
    shard = bytearray(whole[1])
    shard[len(shard) // 2] ^= 1
    (tmp_path / f"{NAME}.part").write_bytes(shard + damage)
    (tmp_path / f"{NAME}.failures").write_bytes(whole[2])
    assert 0 < ShardFile(tmp_path, NAME, IDS).n_done < len(IDS)
    assert_same(tmp_path, whole)


def test_stopped_clip_by_clip_nothing_is_lost(whole, tmp_path):
    for until in range(len(IDS)):
        write(tmp_path, until)
        assert ShardFile(tmp_path, NAME, IDS).n_done == until
    assert_same(tmp_path, whole)


def test_whole_but_unknown_to_the_index_it_is_taken_up(whole, tmp_path):
    write(tmp_path)
    assert ShardFile(tmp_path, NAME, IDS).n_done == len(IDS)
    assert_same(tmp_path, whole)


def test_a_shard_of_failures_alone_is_a_file_without_records(tmp_path):
    with ShardFile(tmp_path, NAME, ["a"]) as shard:
        shard.fail("a", "a.wav", "no such file")
        assert shard.finish()["bytes"] == 0
    assert list(whole_records(tmp_path / NAME)) == []


def test_failures_are_put_together_whatever_they_say(tmp_path):
    rows = [("a", 'quoted, "so"\n.wav', "odd"), ("b", "caf\udce9.wav", "no UTF-8: é")]
    with ShardFile(tmp_path, NAME, ["a", "b"]) as shard:
        for row in rows:
            shard.fail(*row)
    assert list(failure_rows(tmp_path / f"{NAME}.failures")) == rows
    write_failures(tmp_path, ["other.tfrecord", NAME])
    table = (tmp_path / "failures.csv").read_text()
    assert table.startswith('id,file,reason\na,"quoted, ""so""\n.wav",odd\nb,caf\\udce9.wav,')


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
    files = [{"name": NAME, "bytes": 5}]
    index = {"schema_version": 1, "complete": True, "splits": {"train": {"files": files}}}
    index["splits"]["train"]["clips"] = 1
    write_index(folder, index | changes)


def test_a_finished_index_is_read_back(tmp_path):
    index_of(tmp_path, labels=["Müll"])
    index = read_index(tmp_path)
    assert index["labels"] == ["Müll"]
    assert shard_files(tmp_path, index, "train") == [str(tmp_path / NAME)]
    assert not (tmp_path / "index.json.part").exists()
    with pytest.raises(InputError, match="no clips of a split 'test'; its splits: train"):
        shard_files(tmp_path, index, "test")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"complete": False}, "unfinished; run the same mmat prepare command again"),
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
