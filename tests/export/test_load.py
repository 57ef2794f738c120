"""What is wrong with a model's folder, said when it is loaded."""

import numpy as np
import pytest
import tensorflow as tf

from mmat.export.load import load_served
from mmat.files import InputError
from mmat.tagging.tagger import Tagger

FACTS = {
    "labels": np.array(["Dog", "Cat"]),
    "thresholds": np.float32([0.5, 0.5]),
    "clip_seconds": np.float32(10),
    "n_frames": np.int32(0),
    "image_size_px": np.int32(0),
}


def write_export(folder, facts) -> None:
    """Write a SavedModel with the two signatures that every export has."""
    module = tf.Module()
    module.tag = tf.function(lambda waveform: {"clip": waveform})
    module.labels = tf.function(lambda: {name: tf.constant(x) for name, x in facts.items()})
    signatures = {
        "serving_default": module.tag.get_concrete_function(
            waveform=tf.TensorSpec((None, None, 1), tf.float32, "waveform")
        ),
        "labels": module.labels.get_concrete_function(),
    }
    tf.saved_model.save(module, str(folder), signatures=signatures)


def test_an_export_with_facts_in_order_is_loaded(tmp_path):
    write_export(tmp_path / "a", FACTS)
    assert set(load_served(tmp_path / "a").signatures) == {"serving_default", "labels"}


@pytest.mark.parametrize(("seconds", "hop_seconds"), [(3.1, 1.6), (1.7, 0.8), (48002 / 16000, 1.5)])
def test_a_clips_length_is_the_number_that_it_was(tmp_path, seconds, hop_seconds):
    write_export(tmp_path / "a", FACTS | {"clip_seconds": np.float32(seconds)})
    assert load_served(tmp_path / "a").facts.clip_seconds == seconds
    assert Tagger(tmp_path / "a").hop_seconds == hop_seconds  # half of it, on the grid of frames


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"thresholds": np.float32([0.5, np.nan])}, "do not belong together"),
        ({"thresholds": np.float32([0.5])}, "do not belong together"),
        ({"clip_seconds": np.float32(-1)}, "do not belong together"),
        ({"clip_seconds": np.float32(np.inf)}, "do not belong together"),
        ({"n_frames": np.int32(-1)}, "do not belong together"),
        ({"task": np.array("guess")}, "not one that `mmat export` wrote: unknown task"),
        ({"labels": np.array(["Dog", "Dog"])}, "not one that `mmat export` wrote: .* twice"),
        ({"clip_seconds": np.float32([1, 2])}, "not one that `mmat export` wrote"),
        ({"image_size_px": None}, "not one that `mmat export` wrote: 'image_size_px'"),
    ],
)
def test_an_export_whose_facts_make_no_sense_is_one_line(tmp_path, changed, reason):
    facts = {name: x for name, x in (FACTS | changed).items() if x is not None}
    write_export(tmp_path / "a", facts)
    with pytest.raises(InputError, match=f"a: a .*{reason}") as error:
        load_served(tmp_path / "a")
    assert "\n" not in str(error.value)


def test_a_file_is_no_folder(tmp_path):
    (tmp_path / "tagger.bin").write_bytes(b"x")
    with pytest.raises(InputError, match="tagger.bin: a file, not a folder; name one that"):
        load_served(tmp_path / "tagger.bin")
