"""Outputs of frozen networks: kept when clips are prepared, or added to finished shards."""

import dataclasses
import json
import shutil

import numpy as np
import pytest
import soundfile

from mmat.files import InputError
from mmat.labels import LabelSet
from mmat.lists.clip import Clip
from mmat.pretrained.hub import loaded_encoder, network_sha256
from mmat.pretrained.registry import efficientnet_lite0, yamnet
from mmat.shards.corpus import open_corpus
from mmat.shards.folder import load_index
from mmat.shards.prepare import estimate, prepare
from mmat.shards.read import load_split, read_arrays, read_steps
from mmat.shards.verify import verify
from tests.processes import program, run_process

pytest_plugins = ["tests.models.tiny_encoder"]
LABELS = LabelSet.of(["Dog", "Car"])
FROZEN = ("sound_scores", "sound_embeddings", "n_patches", "image_embeddings")
GROUPS = ["dog 1;dog 2", "", "dog 2", "car 1", "", "car 2", ""]


@pytest.fixture(scope="module")
def media(tmp_path_factory, sine, write_container):
    """Five sounds, a movie without sound and one with; the sixth clip of a list is none of them."""
    folder = tmp_path_factory.mktemp("media")
    rng = np.random.default_rng(0)
    for i in range(5):
        soundfile.write(folder / f"{i}.wav", rng.normal(0, 0.1, 4000 + 3000 * i), 16000)
    write_container(folder / "5.mp4", audio=None, n_pictures=5)
    write_container(folder / "6.mp4", n_pictures=5)
    return folder


def clips_of(suffixes=("wav",) * 5 + ("mp4",) * 2):
    clips = [
        Clip(f"clip {i}", f"{i}.{suffix}", (LABELS.names[i % 2],), source_group=GROUPS[i],
             split="test" if i == 3 else "train", video_id="a video" * (i == 4))
        for i, suffix in enumerate(suffixes)
    ]  # fmt: skip
    return [*clips, Clip("absent", "absent.wav", ("Dog",))]


def run(media, out, **changes):
    arguments = {
        "clip_seconds": 0.6, "n_frames": 2, "keep_frames": True, "clips_per_shard": 3,
        "workers": 0, "progress": False,
    }  # fmt: skip
    return prepare(clips_of(), media, out, LABELS, **(arguments | changes))


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def index_entry(encoder):
    return {
        "name": encoder.name, "handle": encoder.handle, "sha256": network_sha256(encoder.handle),
        "embedding_size": encoder.embedding_size, "n_labels": encoder.n_labels,
        "hop_samples": encoder.hop_samples, "window_samples": encoder.window_samples,
        "embedding_output": encoder.embedding_output, "scores_output": encoder.scores_output,
    }  # fmt: skip


@pytest.mark.parametrize("clip_seconds", [0.6, None])
def test_what_is_kept_is_what_the_encoder_hears_live(media, tiny_encoder, tmp_path, clip_seconds):
    out = tmp_path / "shards"
    index = run(media, out, audio_encoder=tiny_encoder, clip_seconds=clip_seconds)
    assert index["audio_encoder"] == index_entry(tiny_encoder)
    assert (index["image_embedding_size"], index["image_network_sha256"]) == (0, None)
    arrays = read_arrays(out, "train", inputs=("waveform", *FROZEN[:3]))
    layer = loaded_encoder(tiny_encoder)
    for i, clip_id in enumerate(arrays["ids"]):
        if not arrays["has_audio"][i]:
            assert clip_id == "clip 5" and arrays["n_patches"][i] == 0
            assert not arrays["sound_scores"][i].any() and not arrays["sound_embeddings"][i].any()
            continue
        n_patches = tiny_encoder.n_patches(arrays["n_samples"][i])
        heard = layer(arrays["waveform"][i : i + 1, : arrays["n_samples"][i]])
        assert arrays["n_patches"][i] == n_patches
        for kept, live in (("sound_scores", "scores"), ("sound_embeddings", "embedding")):
            np.testing.assert_allclose(arrays[kept][i, :n_patches], heard[live][0], atol=1e-3)
            assert not arrays[kept][i, n_patches:].any()
    assert verify(out, progress=False).clips == 6 + 1


def test_pictures_and_sound_of_a_movie_by_the_networks_of_today(
    models_cache, media, tmp_path, write_container
):
    index = run(media, tmp_path / "a", audio_encoder="yamnet", image_network="efficientnet_lite0")
    assert index["image_embedding_size"] == 1280
    assert index["image_network_sha256"] == network_sha256(efficientnet_lite0.handle)
    without = run(media, tmp_path / "b", image_network="efficientnet_lite0")
    assert not {"audio_encoder", "image_embedding_size", "image_network_sha256"} & without.keys()
    arrays = read_arrays(tmp_path / "a", "train", inputs=("image_probabilities", *FROZEN))
    plain = read_arrays(tmp_path / "b", "train", inputs=("image_probabilities", "waveform"))
    np.testing.assert_array_equal(arrays["image_probabilities"], plain["image_probabilities"])
    assert arrays["sound_scores"].shape[1:] == (1, 521)
    assert arrays["sound_embeddings"].shape[1:] == (1, 1024)
    assert arrays["image_embeddings"].shape[1:] == (2, 1280)
    seen = arrays["image_embeddings"].any(axis=(1, 2))
    np.testing.assert_array_equal(seen, arrays["has_video"])
    scores, embeddings = yamnet.encode(plain["waveform"][0, :, 0])
    np.testing.assert_allclose(arrays["sound_scores"][0], scores, atol=1e-3)
    np.testing.assert_allclose(arrays["sound_embeddings"][0], embeddings, rtol=1e-3, atol=1e-3)
    verify(tmp_path / "a", progress=False)


def test_source_groups_are_kept_for_learning(media, tiny_encoder, tmp_path):
    expected = [
        ("dog 1", "dog 2"), ("1.wav",), ("dog 2",), ("a video",), ("car 2",), ("6.mp4",),
    ]  # fmt: skip
    run(media, tmp_path, audio_encoder=tiny_encoder)
    assert read_arrays(tmp_path, "train", inputs=["source_groups"])["source_groups"] == expected
    corpus = open_corpus(tmp_path)
    found = {split: corpus.source_groups(split) for split in ("train", "validation", "test")}
    ids = corpus.arrays("train", ())["ids"] + corpus.arrays("validation", ())["ids"]
    assert sorted(ids) == [f"clip {i}" for i in (0, 1, 2, 4, 5, 6)]
    assert sorted(found["train"] + found["validation"]) == sorted(expected)
    assert found["test"] == [("car 1",)]
    for split in ("train", "validation"):
        held = corpus.once(split, ["ids"], 100).as_numpy_iterator()
        assert {x.decode() for inputs, _ in held for x in inputs["ids"]} == set(
            corpus.arrays(split, ())["ids"]
        )


@pytest.fixture(scope="module")
def direct(media, tiny_encoder, tmp_path_factory):
    out = tmp_path_factory.mktemp("direct") / "shards"
    run(media, out, audio_encoder=tiny_encoder)
    return out


def test_added_later_the_shards_are_the_same_bytes_and_no_media_are_read(
    media, tiny_encoder, direct, tmp_path
):
    plain = run(media, tmp_path)
    lacking = "holds? no sound_scores; run the same mmat prepare command with --audio-encoder NAME"
    with pytest.raises(InputError, match=lacking):
        read_arrays(tmp_path, "train", inputs=("sound_scores",))
    with pytest.raises(InputError, match="hold no source_groups; run the same mmat prepare"):
        open_corpus(tmp_path).source_groups("train")
    index = run(tmp_path / "nowhere", tmp_path, audio_encoder=tiny_encoder)
    assert contents(tmp_path) == contents(direct)
    assert index == load_index(direct) and index.keys() > plain.keys()
    before = contents(tmp_path)
    for again in (tiny_encoder, None):
        assert run(media, tmp_path, audio_encoder=again) == index
    assert contents(tmp_path) == before
    (tmp_path / "train-00001-of-00003.tfrecord").unlink()
    run(media, tmp_path)
    assert contents(tmp_path) == before


def test_shards_that_were_begun_without_are_finished_and_then_encoded(
    media, tiny_encoder, direct, tmp_path
):
    run(media, tmp_path)
    index = json.loads((tmp_path / "index.json").read_text())
    lost = index["splits"]["train"]["files"].pop()
    index["complete"] = False
    (tmp_path / "index.json").write_text(json.dumps(index))
    (tmp_path / lost["name"]).unlink()
    run(media, tmp_path, audio_encoder=tiny_encoder)
    assert contents(tmp_path) == contents(direct)


def test_another_encoder_replaces_the_one_that_is_there(
    media, tiny_encoder, direct, tmp_path, capsys
):
    out = shutil.copytree(direct, tmp_path / "shards")
    other = dataclasses.replace(tiny_encoder, name="unscored", scores_output=None, n_labels=0)
    run(media, out, audio_encoder=other, progress=True)
    assert "outputs of the audio encoder tiny are replaced by unscored's" in capsys.readouterr().out
    run(media, tmp_path / "fresh", audio_encoder=other)
    assert contents(out) == contents(tmp_path / "fresh")
    with pytest.raises(InputError, match="no sound_scores.*; unscored has none"):
        load_split(out, "train", ["sound_scores"])
    run(media, out, audio_encoder=tiny_encoder)
    assert contents(out) == contents(direct)


def test_pictures_of_before_stay_without_embeddings_unless_they_are_overwritten(
    models_cache, media, tiny_encoder, tmp_path
):
    pictures = {"image_network": "efficientnet_lite0"}
    run(media, tmp_path, **pictures)
    index = run(media, tmp_path, audio_encoder=tiny_encoder, **pictures)
    assert index["image_embedding_size"] == 0
    assert run(media, tmp_path, audio_encoder=tiny_encoder, **pictures) == index
    with pytest.raises(InputError, match="no image_embeddings; .*with --overwrite --audio-encoder"):
        open_corpus(tmp_path).batches("train", 2, ["image_embeddings"])
    index = run(media, tmp_path, audio_encoder=tiny_encoder, overwrite=True, **pictures)
    assert index["image_embedding_size"] == open_corpus(tmp_path).image_embedding_size == 1280
    other = dataclasses.replace(tiny_encoder, name="unscored", scores_output=None, n_labels=0)
    images = read_arrays(tmp_path, "train", inputs=["image_embeddings"])["image_embeddings"]
    assert run(media, tmp_path, audio_encoder=other, **pictures)["image_embedding_size"] == 1280
    kept = read_arrays(tmp_path, "train", inputs=["image_embeddings"])["image_embeddings"]
    np.testing.assert_array_equal(kept, images)


def test_overwritten_without_an_encoder_they_are_as_if_there_had_been_none(media, direct, tmp_path):
    out = shutil.copytree(direct, tmp_path / "shards")
    run(media, out, overwrite=True)
    run(media, tmp_path / "plain")
    assert contents(out) == contents(tmp_path / "plain")


def test_another_list_is_refused_with_an_encoder_too(media, tiny_encoder, tmp_path):
    run(media, tmp_path)
    before = contents(tmp_path)
    with pytest.raises(InputError, match="holds shards made with clip_seconds 0.6, not 0.5"):
        run(media, tmp_path, audio_encoder=tiny_encoder, clip_seconds=0.5)
    with pytest.raises(InputError, match="model /no/such: cannot be loaded"):
        run(media, tmp_path, audio_encoder="/no/such")
    assert contents(tmp_path) == before


def test_killed_again_and_again_while_it_adds_it_ends_with_the_same_bytes(
    media, tiny_encoder, direct, tmp_path
):
    out = tmp_path / "killed"
    sounds = tmp_path / "sounds"
    sounds.mkdir()
    rng = np.random.default_rng(0)
    for i in range(40):
        soundfile.write(sounds / f"{i}.wav", rng.normal(0, 0.1, 16000), 16000)
    killed = program("killed_encoding", sounds, out, tiny_encoder.handle, 1, 40, 8)
    done = run_process(killed)
    assert done.returncode == 0, done.stderr
    kills, unfinished = map(int, done.stdout.split())
    assert kills >= 4 and unfinished >= 3
    clips = [Clip(f"clip {i}", f"{i}.wav", ("Dog",)) for i in range(40)]
    options = {"clip_seconds": 1.0, "clips_per_shard": 10, "workers": 0, "progress": False}
    prepare(clips, sounds, tmp_path / "a", LABELS, audio_encoder=tiny_encoder, **options)
    assert contents(out) == contents(tmp_path / "a")
    verify(out, progress=False)


class Stopped(Exception):
    pass


@pytest.fixture
def adding(media, tiny_encoder, tmp_path):
    """Shards to the first of which alone an encoder was added, when it was stopped."""
    run(media, tmp_path / "shards")
    calls = []

    class Stopping(type(tiny_encoder)):
        def encode(self, waveform):
            calls.append(len(waveform))
            if len(calls) == 4:
                raise Stopped
            return super().encode(waveform)

    fields = {f.name: getattr(tiny_encoder, f.name) for f in dataclasses.fields(tiny_encoder)}
    with pytest.raises(Stopped):
        run(media, tmp_path / "shards", audio_encoder=Stopping(**fields))
    return tmp_path / "shards"


def test_stopped_amid_the_adding(media, tiny_encoder, direct, adding):
    assert load_index(adding)["adding"]["done"]
    found = verify(adding, progress=False)
    assert (found.complete, found.clips) == (False, 7)
    for read in (load_split, read_arrays):
        with pytest.raises(InputError, match="unfinished; run the same mmat prepare command"):
            read(adding, "train")
    with pytest.raises(InputError, match="unfinished; run it again with --audio-encoder tiny"):
        run(media, adding)
    run(media, adding, audio_encoder=tiny_encoder)
    assert contents(adding) == contents(direct)


def test_stopped_amid_the_adding_another_may_be_added(media, tiny_encoder, adding, tmp_path):
    other = dataclasses.replace(tiny_encoder, name="unscored", scores_output=None, n_labels=0)
    run(media, adding, audio_encoder=other)
    run(media, tmp_path / "fresh", audio_encoder=other)
    assert contents(adding) == contents(tmp_path / "fresh")


def test_stopped_amid_the_adding_all_may_be_made_again(media, adding, tmp_path):
    run(media, adding, overwrite=True)
    run(media, tmp_path / "fresh")
    assert contents(adding) == contents(tmp_path / "fresh")


def test_a_shard_that_is_lost_amid_the_adding_is_named(media, tiny_encoder, adding):
    (adding / "test-00000-of-00001.tfrecord").unlink()
    with pytest.raises(InputError, match="test-00000.*missing or cut off, and an audio encoder"):
        run(media, adding, audio_encoder=tiny_encoder)


def test_datasets_steps_and_batches_hold_what_the_arrays_hold(direct):
    inputs = ("sound_scores", "sound_embeddings", "n_patches", "has_audio")
    arrays = read_arrays(direct, "train", inputs=inputs)
    assert "waveform" not in arrays and "image_probabilities" not in arrays
    given, _ = load_split(direct, "train", inputs).batch(10).get_single_element()
    steps = list(read_steps(direct, "train", 4, inputs))
    for name in inputs:
        np.testing.assert_array_equal(given[name], arrays[name])
        np.testing.assert_array_equal(np.concatenate([s[name] for s in steps]), arrays[name])
        assert given[name].dtype == arrays[name].dtype
    corpus = open_corpus(direct)
    assert corpus.audio_encoder.name == "tiny" and corpus.image_embedding_size == 0
    batches = corpus.batches("train", 2, ["sound_embeddings"])
    assert sum(len(x["sound_embeddings"]) for x, _ in batches) == corpus.splits["train"] - any(
        not heard for heard in corpus.arrays("train", ())["has_audio"]
    )


def test_clips_with_lengths_of_their_own_are_padded(media, tiny_encoder, tmp_path):
    run(media, tmp_path, audio_encoder=tiny_encoder, clip_seconds=None)
    inputs = ("sound_embeddings", "n_patches", "has_audio")
    arrays = read_arrays(tmp_path, "train", inputs=inputs)
    batch = next(iter(open_corpus(tmp_path).once("train", inputs, 100)))[0]
    assert arrays["sound_embeddings"].shape[1] == arrays["n_patches"].max()
    assert batch["sound_embeddings"].shape[1] == max(batch["n_patches"])


def test_the_estimate_counts_the_encoder(media, tiny_encoder):
    clips = clips_of()[:3]
    plain, heard = (
        estimate(clips, media, LABELS, clip_seconds=0.6, audio_encoder=encoder).bytes_a_clip
        for encoder in (None, tiny_encoder)
    )
    n_bytes = 2 * tiny_encoder.n_patches(9600) * (tiny_encoder.embedding_size + 3)
    assert n_bytes < heard - plain < n_bytes + 200


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"embedding_size": 6}, r"sound_embeddings of shape \(12, 5\), not \(12, 6\)"),
        ({"hop_samples": 1600}, r"of shape \(12, \d\), not \(7, \d\)"),
        (None, "sound_scores that the index does not name"),
    ],
    ids=str,
)
def test_verify_checks_the_outputs(direct, tmp_path, change, message):
    shards = shutil.copytree(direct, tmp_path / "shards")
    index = json.loads((shards / "index.json").read_text())
    index["audio_encoder"] = change and index["audio_encoder"] | change
    (shards / "index.json").write_text(json.dumps(index))
    with pytest.raises(InputError, match=f"record 0 .*{message}"):
        verify(shards, progress=False)


def test_beam_makes_and_encodes_the_same(media, tiny_encoder, direct, tmp_path):
    pytest.importorskip("apache_beam")
    beam = {"beam_options": ["--runner=DirectRunner"]}
    run(media, tmp_path / "a", audio_encoder=tiny_encoder, **beam)
    assert contents(tmp_path / "a") == contents(direct)
    run(media, tmp_path / "b", **beam)
    run(media, tmp_path / "b", audio_encoder=tiny_encoder, **beam)
    assert contents(tmp_path / "b") == contents(direct)
