"""`mmat evaluate`, from shards to the report's folder, with tiny models of each kind."""

import dataclasses
import json

import keras
import numpy as np
import pytest

from mmat.cli import main
from mmat.evaluation.evaluate import evaluate
from mmat.evaluation.files import read_tags_tsv
from mmat.files import InputError
from mmat.metrics.calibration import brier_score, expected_calibration_error
from mmat.models.bundle import load_bundle
from mmat.shards.folder import read_index

pytest_plugins = ["tests.export.tiny"]

LIST = """id,file,labels,split,source_group
0,both.mp4,Dog;Train,test,park
1,sound.mp4,Dog,test,park
2,pictures.mp4,Train,test,
3,sound.wav,Train,validation,yard
"""


@pytest.fixture(scope="module")
def made(bundles, clips, tmp_path_factory):
    """A folder with a list, and shards that were made of it."""
    folder = tmp_path_factory.mktemp("made")
    (folder / "list.csv").write_text(LIST)
    argv = ["prepare", folder / "list.csv", "--media", clips, "--out", folder / "shards"]
    argv += ["--labels", bundles["fused"] / "labels.csv", "--frames", "2", "--workers", "0"]
    assert main([str(word) for word in argv]) == 0
    return folder


@pytest.mark.parametrize("name", ["fused", "audio", "video"])
def test_every_kind_of_model_leaves_a_whole_report(name, bundles, made, tmp_path, capsys):
    argv = ["evaluate", "--model", bundles[name], "--data", made / "shards"]
    argv += ["--out", tmp_path / "report", "--groups", made / "list.csv"]
    assert main([str(word) for word in argv]) == 0
    capsys.readouterr()
    folder = tmp_path / "report"
    report = json.loads((folder / "report.json").read_text())
    assert set(report["intervals"]) == {"clips", "source_groups"}
    assert set(report["branches"]) == ({"audio", "video"} if name == "fused" else set())
    page = (folder / "report.html").read_text()
    assert f"<h1>{name} on test</h1>" in page
    assert len(list((folder / "frame_scores").iterdir())) == 3
    paths = [str(folder / "official" / f"tagging_{kind}.csv") for kind in ("truth", "prediction")]
    assert main(["score", "--task", "tagging", "--truth", paths[0], "--prediction", paths[1]]) == 0
    found = json.loads(capsys.readouterr().out)["micro"]
    assert found["f1"] == pytest.approx(100 * report["f1"])


def test_another_model_is_compared_on_the_same_clips(bundles, made, tmp_path, capsys):
    argv = ["evaluate", "--model", bundles["fused"], "--data", made / "shards"]
    argv += ["--groups", made / "list.csv", "--against", bundles["audio"]]
    assert main([str(word) for word in [*argv, "--out", tmp_path / "report"]]) == 0
    printed = capsys.readouterr().out
    assert "this model" in printed and "difference over source groups" in printed
    report = json.loads((tmp_path / "report" / "report.json").read_text())
    own, other = (
        evaluate(bundles[name], made / "shards", progress=False, resamples=5)
        for name in ("fused", "audio")
    )
    found, gains = report["against"], report["against"]["model_above_it"]
    assert found["name"] == "audio" and report["source_groups"] == 2
    for name in ("f1", "mean_average_precision"):
        assert found[name] == pytest.approx(other.report[name])
        for gain in (gains["clips"][name], gains["source_groups"][name]):
            assert gain["estimate"] == pytest.approx(own.report[name] - other.report[name])
    figures = {"brier_score": brier_score, "expected_calibration_error": expected_calibration_error}
    for name, figure in figures.items():
        expected = [figure(each.truth, each.scores) for each in (own, other)]
        assert report["calibration"][name] == pytest.approx(expected[0])
        assert found["calibration"][name] == pytest.approx(expected[1])
        assert gains["clips"][name]["estimate"] == pytest.approx(expected[0] - expected[1])


def test_a_clip_may_have_several_groups(bundles, made):
    options = {"progress": False, "resamples": 5}

    def intervals(groups):
        report = evaluate(bundles["audio"], made / "shards", groups=groups, **options).report
        return report["source_groups"], report["calibration"]["intervals"]["source_groups"]

    n_groups, found = intervals({"0": "park;street", "1": "yard", "2": "street; yard"})
    assert n_groups == 3
    assert found == intervals({"0": "park; street", "1": "yard", "2": "yard;street;"})[1]
    assert found != intervals({"0": "park", "1": "yard", "2": "street"})[1]
    assert intervals({"0": "park", "1": "", "2": ""})[0] == 3
    # There is one way to draw a single group.
    for each in intervals(dict.fromkeys("012", "park"))[1].values():
        assert each["low"] == pytest.approx(each["high"])


def test_the_clip_scores_are_those_of_the_tables(bundles, made, tmp_path):
    from mmat.evaluation.files import write_evaluation
    from mmat.models.bundle import load_bundle

    bundle = load_bundle(bundles["fused"])
    found = evaluate(bundle, made / "shards", progress=False, resamples=5)
    write_evaluation(tmp_path, found)
    assert np.array_equal(read_tags_tsv(tmp_path / "predictions.tsv").scores, found.scores)
    # The clip without pictures has the score of the audio branch.
    row = found.ids.index("1")
    assert np.array_equal(found.outputs.branches["audio"][row], found.scores[row])
    assert all(len(frames) for frames in found.outputs.frames)
    seconds = read_index(made / "shards")["clip_seconds"]
    assert seconds is None or (found.clip_seconds <= seconds).all()


def test_the_steps_and_the_frames_that_are_kept_change_no_score(bundles, made, monkeypatch):
    from mmat.models.bundle import load_bundle

    bundle = load_bundle(bundles["fused"])
    whole = evaluate(bundle, made / "shards", progress=False, resamples=5)
    monkeypatch.setattr("mmat.evaluation.evaluate.CLIPS_A_STEP", 1)
    monkeypatch.setattr("mmat.evaluation.evaluate.MOST_FRAME_SCORES", 0)
    with pytest.warns(UserWarning, match="frame scores: too many to keep"):
        bare = evaluate(bundle, made / "shards", progress=False, resamples=5)
    assert whole.ids == bare.ids and bare.outputs.frames is None
    assert np.array_equal(whole.truth, bare.truth)
    np.testing.assert_allclose(whole.scores, bare.scores, atol=1e-6)
    assert [clip.row for clip in whole.shown] == [clip.row for clip in bare.shown]
    for first, second in zip(whole.shown, bare.shown, strict=True):
        assert first.id == second.id == whole.ids[first.row]
        assert np.array_equal(first.waveform, second.waveform)
        assert np.array_equal(first.frame_scores, whole.outputs.frames[first.row])
        np.testing.assert_allclose(first.frame_scores, second.frame_scores, atol=1e-6)


@pytest.fixture(scope="module")
def learnt(bundles):
    """A model of both senses that has learnt from the names of its labels."""
    from mmat.models.bundle import Bundle
    from mmat.models.learnt import learnt_models
    from mmat.pretrained.registry import efficientnet_lite0, yamnet
    from tests.models.made_learnt import moved

    labels = load_bundle(bundles["fused"]).labels
    model = moved(learnt_models(labels, yamnet, efficientnet_lite0)).tagger
    return Bundle(model, labels, np.full(3, 0.1, np.float32), "efficientnet_lite0", n_frames=2)


@pytest.fixture(scope="module")
def frozen_shards(made, bundles, clips):
    """Shards with the outputs of frozen networks, and the source groups."""
    argv = ["prepare", made / "list.csv", "--media", clips, "--out", made / "frozen"]
    argv += ["--labels", bundles["fused"] / "labels.csv", "--frames", "2", "--workers", "0"]
    assert main([str(word) for word in [*argv, "--audio-encoder", "yamnet"]]) == 0
    return made / "frozen"


def test_what_was_learnt_from_names_reads_image_embeddings(
    learnt, made, frozen_shards, tmp_path, capsys, monkeypatch
):
    from mmat.models.bundle import save_bundle
    from mmat.shards.read import read_arrays

    found = evaluate(learnt, frozen_shards, progress=False, resamples=5)
    arrays = read_arrays(frozen_shards, "test", inputs=[*learnt.model.input])
    given = {name: arrays[name] for name in learnt.model.input}
    expected = learnt.model.predict(given, verbose=0)
    np.testing.assert_allclose(found.scores, expected["clip"], atol=1e-5)
    heard, seen = found.ids.index("1"), found.ids.index("2")
    branches = found.outputs.branches
    assert np.array_equal(branches["audio"][heard], found.scores[heard])
    assert np.array_equal(branches["video"][seen], found.scores[seen])
    monkeypatch.setattr("mmat.evaluation.evaluate.MOST_FRAME_SCORES", 0)
    with pytest.warns(UserWarning, match="frame scores"):
        bare = evaluate(learnt, frozen_shards, progress=False, resamples=5, against=learnt)
    np.testing.assert_array_equal(bare.scores, found.scores)

    save_bundle(tmp_path / "learnt", learnt)
    argv = ["evaluate", "--model", tmp_path / "learnt", "--data", made / "shards"]
    assert main([str(word) for word in argv]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "hold no image_embeddings" in error and "--audio-encoder" in error


def test_shards_of_another_number_of_pictures_are_one_line(bundles, made):
    bundle = load_bundle(bundles["video"])
    seen = {"image_probabilities": keras.Input((4, 1000), name="image_probabilities")}
    model = keras.Model(seen, bundle.model(seen))
    with pytest.raises(InputError, match="holds 2 pictures a clip, the model takes 4; .*frames 4"):
        evaluate(dataclasses.replace(bundle, model=model), made / "shards", progress=False)


def test_the_source_groups_in_the_shards_are_those_of_the_list(bundles, frozen_shards, made):
    options = {"progress": False, "resamples": 50}
    own = evaluate(bundles["audio"], frozen_shards, **options).report
    named = {"0": "park", "1": "park", "2": ""}
    given = evaluate(bundles["audio"], frozen_shards, groups=named, **options).report
    assert own["source_groups"] == 2 and own == given
    assert evaluate(bundles["audio"], made / "shards", **options).report["source_groups"] is None
