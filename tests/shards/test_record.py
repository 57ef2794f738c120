"""Records: what is encoded is decoded again, by NumPy and in the graph alike."""

import dataclasses

import hypothesis.extra.numpy as hnp
import hypothesis.strategies as st
import numpy as np
import tensorflow as tf
from hypothesis import given, settings

from mmat.shards.read import parse_example
from mmat.shards.record import Record, decode_example, encode_example, to_float32, to_int16

N_CLASSES, N_SAMPLES, SHAPE = 5, 40, (2, 3)
half = st.floats(0, 1, width=16)
records = st.builds(
    Record,
    id=st.text(min_size=1),
    audio=st.none() | hnp.arrays(np.int16, N_SAMPLES),
    image_probabilities=st.none() | hnp.arrays(np.float16, SHAPE, elements=half),
    labels=st.lists(st.integers(0, N_CLASSES - 1), unique=True).map(tuple),
    events=st.lists(
        st.tuples(st.integers(0, N_CLASSES - 1), st.floats(0, 9, width=32), st.just(10.0))
    ).map(tuple),
    frames_jpeg=st.lists(st.binary(), max_size=2).map(tuple),
)
FROZEN = {"sound_scores": (4, 3), "sound_embeddings": (4, 6), "image_embeddings": (2, 7)}
MATRICES = st.fixed_dictionaries(
    {
        name: st.none() | hnp.arrays(np.float16, shape, elements=half)
        for name, shape in FROZEN.items()
    }
).map(lambda found: found | {"sound_scores": None} if found["sound_embeddings"] is None else found)


@tf.function
def parse_in_graph(serialized):
    return parse_example(serialized, N_CLASSES, N_SAMPLES, *SHAPE)


@settings(max_examples=60, deadline=None)
@given(records)
def test_numpy_and_graph_read_what_was_written(record):
    serialized = encode_example(record)
    again = decode_example(serialized)
    for field in ("id", "labels", "events", "frames_jpeg"):
        assert getattr(again, field) == getattr(record, field)
    for field in ("audio", "image_probabilities"):
        assert (getattr(again, field) is None) == (getattr(record, field) is None)

    inputs, weak_labels = parse_in_graph(tf.constant(serialized))
    assert inputs["waveform"].shape == (N_SAMPLES, 1)
    assert inputs["image_probabilities"].shape == SHAPE
    assert bool(inputs["has_audio"]) == (record.audio is not None)
    assert bool(inputs["has_video"]) == (record.image_probabilities is not None)
    sound = np.zeros(N_SAMPLES) if record.audio is None else to_float32(again.audio)
    assert np.array_equal(inputs["waveform"][:, 0], sound)
    pictures = np.zeros(SHAPE) if again.image_probabilities is None else again.image_probabilities
    assert np.array_equal(inputs["image_probabilities"], pictures)
    assert np.flatnonzero(weak_labels).tolist() == sorted(record.labels)


@settings(max_examples=60, deadline=None)
@given(records, MATRICES, st.lists(st.text(min_size=1)).map(tuple))
def test_outputs_of_frozen_networks_come_out_as_they_went_in(record, matrices, groups):
    pictures = np.zeros(SHAPE, np.float16)
    bare = dataclasses.replace(record, image_probabilities=pictures)
    record = dataclasses.replace(bare, **matrices, source_groups=groups)
    serialized = encode_example(record)
    again = decode_example(serialized)
    assert again.source_groups == groups
    assert again.n_patches == (0 if matrices["sound_embeddings"] is None else 4)
    sizes = {"n_classes": N_CLASSES, "n_samples": N_SAMPLES, "n_frames": 2, "n_image_labels": 3}
    inputs, _ = parse_example(serialized, **sizes, frozen=FROZEN, names=[*FROZEN, "n_patches"])
    assert int(inputs["n_patches"]) == again.n_patches
    for name, shape in FROZEN.items():
        if matrices[name] is None:
            assert getattr(again, name) is None and not np.any(inputs[name])
        else:
            np.testing.assert_array_equal(getattr(again, name), matrices[name])
            np.testing.assert_array_equal(inputs[name], matrices[name].astype(np.float32))
        assert inputs[name].shape == shape
    names = set(tf.train.Example.FromString(encode_example(bare)).features.feature)
    assert not names & {*FROZEN, "n_patches", "source_groups"}


@given(hnp.arrays(np.int16, 20))
def test_16_bit_sound_is_stored_without_loss(samples):
    assert np.array_equal(to_int16(to_float32(samples)), samples)


@given(hnp.arrays(np.float32, 20, elements=st.floats(-1, 1, width=32)))
def test_float_sound_is_stored_within_one_step(samples):
    assert np.abs(to_float32(to_int16(samples)) - samples).max() <= 1 / 32768
