"""What test clips say of a tagger that was trained on own sounds."""

from tests.training.made_sounds import NOISE, NOTHING, TONE


def test_the_test_clips_are_told_apart_and_compared_with_names_alone(own_trained):
    found = own_trained.evaluation
    assert sorted(found.ids) == sorted(
        f"{label}/{i}.wav" for label in (TONE, NOISE, NOTHING) for i in (10, 11, 12)
    )
    assert found.report["f1"] >= 0.8
    assert found.report["against"]["name"] == "untrained"
    assert "f1" in found.report["against"]["model_above_it"]["source_groups"]
