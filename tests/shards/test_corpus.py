"""Shards as a training sees them: who validates, and which clips come in which order."""

import dataclasses

import numpy as np
import pytest

from mmat.files import InputError
from mmat.labels import MULTI_CLASS, LabelSet, regression
from mmat.shards.corpus import open_corpus
from mmat.shards.folder import load_index, write_index
from mmat.shards.sampling import class_queues, queues_with_unlabelled
from tests.shards.tiny_shards import N_CLIPS, write_shards

LABELS = LabelSet.of("abc")
EVERY_INPUT = ["waveform", "image_probabilities", "has_audio", "has_video"]


def made(folder, labels=LABELS, **options):
    labels.to_csv(write_shards(folder, **options) / "labels.csv")
    return open_corpus(folder)


@pytest.fixture
def corpus(tmp_path):
    return made(tmp_path)


def numbers(batches):
    """The clips of batches by what they sound like: clip i at level i."""
    levels = [np.abs(inputs["waveform"]).max(axis=(1, 2)) * 32768 for inputs, _ in batches]
    return np.concatenate(levels).round().astype(int).tolist()


def test_a_tenth_of_the_training_clips_validates_where_no_split_does(corpus):
    n_held = len(corpus.held_out)
    assert 1 <= n_held <= 5 and corpus.has("validation") and not corpus.has("test")
    assert corpus.splits == {"train": N_CLIPS - n_held, "validation": n_held}
    train, validation = (numbers(corpus.batches(x, 4)) for x in ("train", "validation"))
    assert not set(train) & set(validation)
    # Clip 5 has no sound.
    assert sorted(train + validation) == [i for i in range(N_CLIPS) if i != 5]
    assert str(corpus).endswith(f"3 labels, multi-label; clips: train {23 - n_held}, "
                                f"validation {n_held}>")  # fmt: skip


def test_a_split_that_validates_leaves_the_training_clips_whole(tmp_path):
    write_shards(tmp_path)
    LABELS.to_csv(tmp_path / "labels.csv")
    index = load_index(tmp_path)
    splits = dict.fromkeys(("train", "validation"), index["splits"]["train"])
    write_index(tmp_path, index | {"splits": splits})
    corpus = open_corpus(tmp_path)
    assert corpus.held_out is None and corpus.splits == {"train": 23, "validation": 23}


def test_training_clips_come_in_another_order_each_epoch_the_same_in_every_run(corpus):
    batches, again = corpus.batches("train", 4), corpus.batches("train", 4)
    first, second = numbers(batches), numbers(batches)
    assert first != second and sorted(first) == sorted(second)
    assert (numbers(again), numbers(again)) == (first, second)
    assert numbers(corpus.batches("train", 4, seed=1)) != first
    validation = corpus.batches("validation", 4)
    assert numbers(validation) == numbers(validation)


def test_a_batch_is_what_fit_and_the_loss_take(corpus):
    batches = corpus.batches("train", 4)
    inputs, targets = next(iter(batches))
    assert list(inputs) == ["waveform"] and inputs["waveform"].shape == (4, 1600, 1)
    assert set(targets) == set(corpus.loss) == {"clip"} and targets["clip"].shape == (4, 3)
    assert len(batches) == -(-len(numbers(batches)) // 4)  # Keras shows how far it is
    dataset = corpus.batches("train", 4, dict.fromkeys(EVERY_INPUT))
    assert sum(len(targets["clip"]) for _, targets in dataset) == corpus.splits["train"]


def test_clips_with_lengths_of_their_own_tell_them(tmp_path):
    corpus = made(tmp_path, clip_seconds=None)
    inputs, _ = next(iter(corpus.batches("train", 4)))
    assert list(inputs) == ["waveform", "n_samples"]
    assert inputs["waveform"].shape[1] == max(inputs["n_samples"])
    assert corpus.ragged and corpus.clip_seconds == 0.1
    assert list(next(iter(corpus.batches("train", 4, ["has_audio"])))[0]) == ["has_audio"]


def test_rates_are_how_often_a_class_occurs_in_the_training_clips(corpus):
    truth = np.concatenate([y["clip"] for _, y in corpus.batches("train", 4, ["has_audio"])])
    np.testing.assert_allclose(corpus.label_rates(), truth.mean(axis=0))
    of_values = dataclasses.replace(LABELS, task=regression(0, 1))
    assert dataclasses.replace(corpus, labels=of_values).label_rates() is None


@pytest.mark.filterwarnings("ignore:.*never drawn")
@pytest.mark.parametrize("queues", [class_queues, queues_with_unlabelled])
def test_rates_in_balanced_batches_are_those_that_are_drawn(corpus, queues):
    drawn = corpus.batches_from("train", ["has_audio"], 40, queues=queues)(0).take(200)
    found = np.concatenate([labels for _, labels in drawn]).mean(axis=0)
    rates = corpus.label_rates(balanced=True, queues=queues)
    np.testing.assert_allclose(rates, found, atol=0.01)
    n_queues = 3 + (queues is queues_with_unlabelled and len(unlabelled(corpus)) > 0)
    assert rates[1] == pytest.approx(1 / n_queues)  # class b is in its own queue alone


def unlabelled(corpus):
    """The training clips without a label: the last, if it was not held out."""
    ((_, labels),) = corpus.once("train", ["ids"], N_CLIPS).as_numpy_iterator()
    return np.flatnonzero(~labels.any(axis=1))


def test_the_loss_is_the_tasks(tmp_path):
    corpus = made(tmp_path, dataclasses.replace(LABELS, task=MULTI_CLASS))
    assert corpus.task == MULTI_CLASS and corpus.loss == {"clip": "categorical_crossentropy"}


@pytest.mark.parametrize(
    ("split", "inputs", "reason"),
    [
        ("test", ["waveform"], "no clips of a split 'test'; its splits: train"),
        ("train", ["smell"], "unknown input 'smell'"),
    ],
)
def test_what_is_not_there_is_one_line(corpus, split, inputs, reason):
    with pytest.raises(InputError, match=reason):
        corpus.batches(split, 4, inputs)


def test_a_split_without_what_the_model_needs_is_one_line(corpus):
    every = dataclasses.replace(corpus, held_out=None).once("train", ["ids"], N_CLIPS)
    ((inputs, _),) = every.as_numpy_iterator()
    silent = np.flatnonzero(inputs["ids"] == b"5")
    with pytest.raises(InputError, match=r"no clip has what the model needs \(waveform\)"):
        dataclasses.replace(corpus, held_out=silent).batches("validation", 4)


def test_labels_that_are_not_the_shards_are_refused(tmp_path):
    with pytest.raises(InputError, match=r"labels\.csv: not the labels of the shards beside it"):
        made(tmp_path, LabelSet.of("abd"))
