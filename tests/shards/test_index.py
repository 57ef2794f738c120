"""What an index says is checked: each field that is used, and whatever else may stand there."""

import json
import math
import pathlib
import shutil

import hypothesis.strategies as st
import numpy as np
import pytest
import soundfile
from hypothesis import given, settings

from mmat.files import InputError
from mmat.labels import LabelSet
from mmat.lists.clip import Clip
from mmat.shards.folder import load_index, read_index
from mmat.shards.index import parsed_index
from mmat.shards.prepare import prepare
from mmat.shards.read import load_split, read_arrays
from mmat.shards.sampling import scan_split
from mmat.shards.verify import verify

pytest_plugins = ["tests.models.tiny_encoder"]

LABELS = LabelSet.of(["Dog", "Cat"])
NAME = "train-00000-of-00001.tfrecord"
CLIPS = [Clip(str(i), f"{i}.wav", ("Dog",)) for i in range(4)]


def run(media, out, **changes):
    options = {"clip_seconds": 0.1, "workers": 0, "progress": False}
    return prepare(CLIPS, media, out, LABELS, **(options | changes))


@pytest.fixture(scope="module")
def media(tmp_path_factory):
    folder = tmp_path_factory.mktemp("media")
    for i in range(3):
        soundfile.write(folder / f"{i}.wav", np.full(1600, 0.1 * i), 16000)
    return folder


@pytest.fixture(scope="module")
def plain(media):
    run(media, media.parent / "plain")
    return media.parent / "plain"


@pytest.fixture
def shards(plain, tmp_path):
    return shutil.copytree(plain, tmp_path / "shards")


def changed(index, path, value):
    """Return an index with another value at the end of a path of keys; `...` removes it."""
    if not path:
        return value
    index = dict(index) if isinstance(index, dict) else list(index)
    if len(path) == 1 and value is ...:
        del index[path[0]]
    else:
        index[path[0]] = changed(index[path[0]] if path[1:] else None, path[1:], value)
    return index


def paths_in(index, before=()):
    """Return the way to every value of an index."""
    items = index.items() if isinstance(index, dict) else enumerate(index)
    for key, value in items if isinstance(index, dict | list) else ():
        yield (*before, key)
        yield from paths_in(value, (*before, key)) if isinstance(value, dict | list) else ()


SPLIT = ("splits", "train")
ENTRY = (*SPLIT, "files", 0)
WRONG = [
    (("clip_seconds",), [-1, 0, math.nan, math.inf, "10", True, [1], 1e9, 10**400, 1e-9]),
    (("n_frames",), [-1, 10**9, 1e9, 2.0, "2", None, True]),
    (("n_image_labels",), [-1, 10**12, None, 3.0]),
    (("labels",), [[], "Dog", ["Dog", 3], [None], {"Dog": 1}, ["Dog", ""], None]),
    (("schema_version",), [None, "1", 1.0, True, -1, [1]]),
    (("complete",), [None, 0, "true"]),
    (("task",), [3, ["multi-class"]]),
    (("sample_rate_hz",), [44100, "16000", 16000.0, None]),
    (("image_network",), [3, {}]),
    (("image_size_px",), [0, -32, "224", 1e3]),
    (("keep_frames",), [None, 1, "false"]),
    (("clips_per_shard",), [0, -1, 0.5]),
    (("list_sha256",), [None, 5]),
    (("failures",), [-1, None, "0"]),
    (("warnings",), [-1, None, "0"]),
    (("audio_encoder",), ["yamnet", [], {}, {"name": "yamnet"}]),
    (("image_embedding_size",), [-1, 10**9, "0"]),
    (("image_network_sha256",), [3]),
    (("adding",), [None, [], {}, {"entries": {}, "done": []}, {"entries": 1, "done": "all"}]),
    (("splits",), [None, [], "train", {"train": None}, {"train": []}]),
    ((*SPLIT, "listed"), [-1, None, 1.5]),
    ((*SPLIT, "shards"), [-1, None, 10**12]),
    ((*SPLIT, "clips"), [-1, None, "3", 10**9]),
    ((*SPLIT, "with_audio"), [-1, None]),
    ((*SPLIT, "files"), [None, {}, [1], ["a"]]),
    ((*ENTRY, "name"), [None, 3, "../../etc/passwd", f"../{NAME}", f"a/{NAME}", "", NAME + "x"]),
    ((*ENTRY, "bytes"), [-1, None, "9", 1.0]),
    ((*ENTRY, "clips"), [-1, None, 10**9, True]),
    ((*ENTRY, "failures"), [-1, None]),
    ((*ENTRY, "sha256"), [None, 7]),
    ((*ENTRY, "media_sha256"), [None, 7]),
]  # fmt: skip
OPTIONAL = {("task",), ("warnings",), (*ENTRY, "media_sha256"), (*ENTRY, "warnings"), ("complete",)}


def cases():
    for path, values in WRONG:
        for value in values:
            yield pytest.param(path, value, id=f"{path[-1]} {value!r:.20}")


@pytest.mark.parametrize(("path", "value"), list(cases()))
def test_a_wrong_field_is_one_line(shards, media, path, value):
    index = json.loads((shards / "index.json").read_text())
    index.setdefault("adding", None)
    index = changed(index, path, value)
    if path != ("adding",):
        del index["adding"]
    (shards / "index.json").write_text(json.dumps(index))
    for use in (
        read_index,
        verify,
        lambda folder: read_arrays(folder, "train"),
        lambda folder: load_split(folder, "train"),
        lambda folder: run(media, folder),
        lambda folder: run(media, folder, overwrite=True),
    ):
        with pytest.raises(
            InputError, match=r"index\.json: damaged \(.*; remove the folder"
        ) as error:
            use(shards)
        assert "\n" not in str(error.value) and len(str(error.value)) < 400
    key = next(each for each in reversed(path) if isinstance(each, str))
    others = ("is no number", "is no object")
    assert key in str(error.value) or any(each in str(error.value) for each in others)


def test_every_field_of_an_index_may_be_missed(plain):
    """Those that older versions did not write are optional."""
    text = (plain / "index.json").read_text()
    index = json.loads(text)
    assert parsed_index(text) == index
    for path in paths_in(index):
        if isinstance(path[-1], int) or path == SPLIT:
            continue
        without = json.dumps(changed(index, path, ...))
        if path in OPTIONAL:
            parsed_index(without)
        else:
            with pytest.raises(ValueError, match=f"no {path[-1]}"):
                parsed_index(without)


@pytest.mark.parametrize("text", ["[" * 100_000, '{"a":' * 100_000, '{"schema_version": NaN}',
                                  "1" * 10_000, "", "null", "\ud800"])  # fmt: skip
def test_what_is_no_index_is_one_line(shards, text):
    (shards / "index.json").write_bytes(text.encode("utf-8", "surrogatepass"))
    with pytest.raises(InputError, match=r"index\.json: damaged") as error:
        load_index(shards)
    assert "\n" not in str(error.value)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=4,
)


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_whatever_stands_in_an_index_it_is_used_or_refused_in_a_line(plain, data):
    """Read, scanned and verified: what is damaged beyond the index may be found then, in a line."""
    whole = json.loads((plain / "index.json").read_text())
    path = data.draw(st.sampled_from(sorted(paths_in(whole), key=repr)))
    text = json.dumps(changed(whole, path, data.draw(json_values | st.just(...))))
    try:
        parsed_index(text)
    except ValueError as error:
        assert "\n" not in str(error)
        return
    folder = pathlib.Path(plain.parent, "spoiled")
    shutil.copytree(plain, folder, dirs_exist_ok=True)
    (folder / "index.json").write_text(text)
    for use in (
        lambda: read_arrays(folder, "train"),
        lambda: load_split(folder, "train"),
        lambda: scan_split(folder, "train"),
        lambda: verify(folder, progress=False),
    ):
        try:
            use()
        except InputError as error:
            assert "\n" not in str(error)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"embedding_size": 0}, "audio_encoder: embedding_size 0"),
        ({"embedding_size": "5"}, "audio_encoder: embedding_size '5'"),
        ({"hop_samples": 0}, "audio_encoder: hop_samples 0"),
        (
            {"hop_samples": 1, "embedding_size": 10**6},
            r"sound_embeddings of shape \(\d+, 1000000\)",
        ),
        ({"name": None}, "audio_encoder: name None"),
        ({"scores_output": 1.5}, "audio_encoder: scores_output 1.5"),
    ],
)
def test_an_encoder_that_cannot_be_is_one_line(media, encoder_folder, tmp_path, changes, message):
    from mmat.pretrained.registry import AudioEncoder

    encoder = AudioEncoder("tiny", str(encoder_folder), 5, 0.05, 0.075, "embedding", "scores", 3)
    run(media, tmp_path / "shards", audio_encoder=encoder, clip_seconds=1.0)
    index = load_index(tmp_path / "shards")
    index["audio_encoder"] |= changes
    (tmp_path / "shards" / "index.json").write_text(json.dumps(index))
    with pytest.raises(InputError, match=rf"damaged \({message}"):
        read_index(tmp_path / "shards")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"clip_seconds": -1}, "clip_seconds -1, which is not null or seconds above 0"),
        ({"clip_seconds": math.nan}, "clip_seconds nan"),
        ({"clip_seconds": 1e9}, "clip_seconds 1000000000.0"),
        ({"n_frames": 10**9}, "n_frames 1000000000, which is not a whole number from 0 to 100,000"),
        ({"clips_per_shard": 0}, "clips_per_shard 0"),
    ],
)
def test_settings_that_no_shards_can_have_are_refused_before_anything_is_written(
    media, tmp_path, changes, message
):
    with pytest.raises(InputError, match=f"prepare: {message}"):
        run(media, tmp_path / "shards", **changes)
    assert not (tmp_path / "shards").exists()
