"""Which labels are kin, by AudioSet's ontology as it is listed."""

import numpy as np
import pytest

from mmat.models.kin import (
    all_above,
    are_kin,
    audioset_kinds,
    kin_pairs,
    speech_and_other_acts,
)
from mmat.pretrained.registry import yamnet


def test_every_name_of_yamnet_is_listed_and_all_above_is_finite(models_cache):
    kinds = audioset_kinds()
    assert len(kinds) == 632 and set(yamnet.labels()) <= set(kinds)
    for name, kind in kinds.items():
        assert set(kind.above) <= set(kinds)
        assert all_above(name) >= {name, *kind.above}
    headings = {name for name, kind in kinds.items() if kind.is_heading}
    assert not headings & set(yamnet.labels())


@pytest.mark.parametrize(
    ("one", "other", "kin"),
    [
        ("Animal", "Bark", True),
        ("Speech", "Male speech, man speaking", True),
        ("Speech", "Laughter", True),
        ("Cough", "Sneeze", True),
        ("Speech", "Sneeze", False),
        ("Horse", "Sheep", False),
        ("Car", "Truck", False),
        ("Speech", "Music", False),
        ("Speech", "a name of one's own", False),
    ],
)
def test_lines_and_headings_make_kin(one, other, kin):
    assert are_kin(one, other) == are_kin(other, one) == kin


def test_labels_are_kin_as_their_nearest_names_are():
    names = ["Speech", "Laughter", "Train"]
    similarities = np.float32([[0.7, 0.0, 0.0, 0.2], [0.0, 0.9, 0.0, 0.0], [0.0, 0.0, 0.0, 0.8]])
    assert kin_pairs(similarities, names) == [(0, 1)]  # the third label has no name at all
    assert kin_pairs(np.zeros((0, 4)), []) == []


def test_speech_and_other_acts_are_as_their_nearest_names_are():
    names = ["Speech", "Whispering", "Cough", "Child speech, kid speaking", "Dog"]
    similarities = np.float32(np.eye(5))[:, [4, 1, 0, 3, 2]]
    assert speech_and_other_acts(similarities, names) == ([2], [1])
    assert speech_and_other_acts(np.zeros((5, 2), np.float32), names) == ([], [])
    assert speech_and_other_acts(np.zeros((0, 4)), []) == ([], [])
