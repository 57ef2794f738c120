import numpy as np
import pytest

from mmat.data.mixing import MixedMels


@pytest.fixture
def mels():
    rng = np.random.default_rng(0)
    return rng.uniform(-60, 0, (10, 40, 8, 1)).astype(np.float32)


LABELS = np.eye(10, 5, dtype=np.float32)


def test_an_epoch_sees_every_clip_once_and_the_next_in_another_order(mels):
    batches = MixedMels(mels, np.eye(10, dtype=np.float32), batch_size=5, mix=0.0, level_db=(0, 0))
    first = np.concatenate([batches[i][1] for i in range(len(batches))]).argmax(axis=1)
    batches.on_epoch_end()
    second = np.concatenate([batches[i][1] for i in range(len(batches))]).argmax(axis=1)
    assert sorted(first) == sorted(second) == list(range(10))
    assert list(first) != list(second)


def test_without_mixing_a_clip_is_only_turned_round(mels):
    batches = MixedMels(mels, LABELS, batch_size=10, mix=0.0, level_db=(0, 0))
    for mel, i in zip(batches[0][0], batches.order, strict=True):
        assert any(np.allclose(np.roll(mels[i], k, axis=0), mel) for k in range(40))


def test_mixing_joins_the_labels_and_only_adds_energy(mels):
    batches = MixedMels(mels, LABELS, batch_size=10, mix=1.0, level_db=(0, 0))
    x, y = batches[0]
    expected = np.maximum(LABELS[batches.order], LABELS[batches.partners])
    assert np.array_equal(y, expected)
    for mel, i in zip(x, batches.order, strict=True):
        louder = [np.all(mel >= np.roll(mels[i], k, axis=0) - 1e-4) for k in range(40)]
        assert any(louder)


def test_a_seed_gives_the_same_batches_in_any_order_of_asking(mels):
    one, other = (MixedMels(mels, LABELS, batch_size=3, seed=7) for _ in range(2))
    other[0]
    assert np.array_equal(one[2][0], other[2][0])
    assert not np.array_equal(one[2][0], MixedMels(mels, LABELS, batch_size=3, seed=8)[2][0])
