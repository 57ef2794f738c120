"""The tagger on real files and on arrays, against the export that it calls."""

import dataclasses

import numpy as np
import pytest
import soundfile
import tensorflow as tf

from mmat.files import InputError
from mmat.labels import LabelSet
from mmat.media.read import read_audio, read_media
from mmat.metrics.events import frames_to_events
from mmat.models.audio import audio_branch
from mmat.models.bundle import Bundle, load_bundle, save_bundle
from mmat.models.learnt import learnt_models
from mmat.pretrained.registry import efficientnet_lite0, yamnet
from mmat.tagging.tagger import EventRules, Tagger, load
from tests.media.made_media import make_sine, write_media_file
from tests.models.made_learnt import moved
from tests.processes import mmat_command, program, run_process
from tests.tagging.levels import set_last_layer

pytest_plugins = ["tests.export.tiny"]


@pytest.fixture(scope="module")
def taggers(exports) -> dict[str, Tagger]:
    return {name: Tagger(folder) for name, folder in exports.items()}


def test_a_short_file_has_the_exports_scores(taggers, exports, clips):
    tagging = taggers["fused"].tag(clips / "both.mp4")
    media = read_media(clips / "both.mp4", n_frames=2, square_px=224)
    predict = tf.saved_model.load(str(exports["fused"])).signatures["serving_default"]
    expected = predict(
        waveform=tf.constant(media.waveform[np.newaxis, :, np.newaxis]),
        frames=tf.constant(media.frames[np.newaxis]),
        has_audio=tf.constant([True]),
        has_video=tf.constant([True]),
    )
    np.testing.assert_allclose(tagging.clip_scores, expected["clip"][0], atol=1e-6)
    np.testing.assert_allclose(tagging.frame_scores, expected["frame"][0], atol=1e-6)
    assert tagging.file == str(clips / "both.mp4")
    assert tagging.duration_seconds == pytest.approx(2.0, abs=0.05)
    assert (tagging.has_audio, tagging.has_video) == (True, True)


def test_tags_are_every_class_in_order_and_events_of_those_that_fired(taggers, clips):
    tagging = taggers["fused"].tag(clips / "both.mp4")
    assert sorted(tag.label for tag in tagging.tags) == ["Cat, kitten", "Dog", "Train"]
    keys = [(not tag.fired, -tag.confidence) for tag in tagging.tags]
    assert [tag.confidence >= 0.5 for tag in tagging.tags] == [tag.fired for tag in tagging.tags]
    assert keys == sorted(keys)
    # The thresholds are 0, 0.5 and 1.
    fired = {tag.label: tag.fired for tag in tagging.tags}
    assert fired["Dog"] and not fired["Train"]
    dog = [event for event in tagging.events if event.label == "Dog"]
    assert [(e.onset_seconds, e.offset_seconds) for e in dog] == [
        (0.0, pytest.approx(tagging.duration_seconds, abs=1e-6))
    ]
    assert dog[0].score == pytest.approx(tagging.frame_scores[:, 0].max())
    assert {event.label for event in tagging.events} <= {k for k, yes in fired.items() if yes}


def test_what_a_file_lacks_is_not_made_up(taggers, clips):
    heard, seen = (taggers["fused"].tag(clips / name) for name in ("sound.mp4", "pictures.mp4"))
    assert (heard.has_audio, heard.has_video) == (True, False)
    assert (seen.has_audio, seen.has_video) == (False, True)
    for tag in heard.tags:
        assert (tag.audio_score, tag.video_score) == (tag.score, None)
    for tag in seen.tags:
        assert (tag.audio_score, tag.video_score) == (None, tag.score)
    assert seen.frame_scores.shape == (20, 3)
    alone = taggers["audio"].tag(clips / "sound.mp4")
    np.testing.assert_allclose(heard.clip_scores, alone.clip_scores, atol=1e-6)


def test_a_video_model_spreads_its_pictures_over_the_file(taggers, clips):
    tagging = taggers["video"].tag(clips / "both.mp4")
    assert tagging.frame_scores.shape[0] == int(np.ceil(10 * tagging.duration_seconds))
    assert all(tag.audio_score is None and tag.video_score is None for tag in tagging.tags)


def test_an_array_is_tagged_as_the_file_is(taggers, clips):
    from_file = taggers["audio"].tag(clips / "sound.wav")
    waveform = read_media(clips / "sound.wav", n_frames=0).waveform
    from_array = taggers["audio"].tag(waveform)
    np.testing.assert_allclose(from_array.clip_scores, from_file.clip_scores, atol=1e-6)
    assert (from_array.file, from_array.duration_seconds) == ("", 2.0)


def test_a_long_waveform_has_the_best_of_its_windows(taggers):
    tagger, rng = taggers["audio"], np.random.default_rng(0)
    waveform = rng.normal(0, 0.1, 17 * 16000).astype(np.float32)
    whole = tagger.tag(waveform)
    windows = [tagger.tag(waveform[s * 16000 : (s + 10) * 16000]) for s in (0, 5, 7)]
    expected = np.max([w.clip_scores for w in windows], axis=0)
    np.testing.assert_allclose(whole.clip_scores, expected, atol=1e-6)
    assert whole.frame_scores.shape == (170, 3)
    np.testing.assert_allclose(whole.frame_scores[:50], windows[0].frame_scores[:50], atol=1e-6)
    # At 6 s the first window counts for 4 s to its nearer end, the second for 1 s.
    first, second = windows[0].frame_scores[60], windows[1].frame_scores[10]
    expected = (40 * first + 11 * second) / 51
    np.testing.assert_allclose(whole.frame_scores[60], expected, atol=1e-6)


def test_media_in_memory_are_tagged_as_their_file_is(taggers, clips):
    tagger = taggers["fused"]
    media = read_media(clips / "both.mp4", n_frames=tagger.n_frames, square_px=tagger.image_size_px)
    from_file, from_media = tagger.tag(clips / "both.mp4"), tagger.tag(media)
    np.testing.assert_array_equal(from_media.clip_scores, from_file.clip_scores)
    assert from_media.has_video and from_media.events == from_file.events


def test_a_bundle_in_memory_is_its_export(taggers, bundles, clips):
    one, other = Tagger.of(load_bundle(bundles["fused"])), taggers["fused"]
    assert one.inputs == other.inputs and one.labels == other.labels
    taggings = [tagger.tag(clips / "both.mp4") for tagger in (one, other)]
    np.testing.assert_allclose(taggings[0].frame_scores, taggings[1].frame_scores, atol=1e-6)


def test_progress_mel_and_pictures(taggers, clips):
    seen = []
    tagging = taggers["fused"].tag(
        clips / "both.mp4", with_mel=True, progress=lambda *seconds: seen.append(seconds)
    )
    assert seen == [(pytest.approx(2.0, abs=0.05), pytest.approx(2.0, abs=0.05))]
    assert tagging.log_mel.shape == (np.ceil(40 * tagging.duration_seconds), 64)
    (picture,) = [p for p in tagging.pictures if "Dog" in dict(p.labels)]
    assert picture.image.shape == (120, 160, 3)
    # Its threshold is 0: both senses reach it everywhere.
    assert {event.modality for event in tagging.events if event.label == "Dog"} == {"both"}
    heard = taggers["fused"].tag(clips / "sound.mp4")
    assert heard.pictures == () and {event.modality for event in heard.events} == {"audio"}


def test_what_the_sound_times_is_never_said_to_be_seen_alone(bundles, clips):
    """Log-odds of labels by ear and by eye; every threshold is 0.5, every frame the same."""
    bundle = load_bundle(bundles["fused"])
    heard, seen = [-1.0, 3.0, 2.0], [3.0, -1.0, 2.0]
    set_last_layer(bundle.model.get_layer("audio"), heard)
    calibration = bundle.model.get_layer("video").get_layer("calibration")
    calibration.set_weights([np.zeros(3, np.float32), np.float32(seen)])
    tagger = Tagger.of(dataclasses.replace(bundle, thresholds=np.full(3, 0.5, np.float32)))
    whose = {
        file: {event.label: event.modality for event in tagger.tag(clips / file).events}
        for file in ("both.mp4", "sound.mp4", "pictures.mp4")
    }
    lifted, lowered, agreed = tagger.labels
    assert whose["both.mp4"] == {lifted: "both", lowered: "audio", agreed: "both"}
    assert whose["sound.mp4"] == {lowered: "audio", agreed: "audio"}
    assert whose["pictures.mp4"] == {lifted: "video", agreed: "video"}


def test_rules_for_events(taggers):
    rng = np.random.default_rng(0)
    waveform = rng.normal(0, 0.1, 16000 * 4).astype(np.float32)
    tagging = taggers["audio"].tag(waveform, EventRules(median_filter_seconds=1.1, hysteresis=0.5))
    fired = np.flatnonzero(tagging.fired)
    expected = frames_to_events(
        tagging.frame_scores[:, fired], tagging.thresholds[fired], 0.1, 11, 0.5
    )
    got = [(e.label, e.onset_seconds, e.offset_seconds) for e in tagging.events]
    assert got == [(tagging.labels[fired[e[0]]], *e[1:3]) for e in expected]


@pytest.mark.parametrize("hop", [0.0, 0.05, 10.1])
def test_a_hop_that_leaves_gaps_is_refused(hop, exports):
    with pytest.raises(InputError, match="windows of 10 s follow each other"):
        Tagger(exports["audio"], hop_seconds=hop)


def test_windows_of_a_fraction_of_a_second_follow_each_other_by_a_frame():
    bundle = Bundle(audio_branch(1), LabelSet.of(["Dog"]), [0.5], clip_seconds=0.15)
    assert Tagger.of(bundle).hop_seconds == 0.1


def test_a_long_film_is_tagged_to_its_end(taggers, tmp_path):
    path = write_media_file(tmp_path / "long.mp4", sound=make_sine(12.5), n_pictures=25, fps=2)
    tagging = taggers["fused"].tag(path)
    assert tagging.duration_seconds == pytest.approx(12.5, abs=0.1)
    assert len(tagging.frame_scores) == pytest.approx(125, abs=1)


def test_damage_further_on_leaves_what_comes_before(taggers, tmp_path):
    path = tmp_path / "cut.wav"
    soundfile.write(path, make_sine(25.0, rate=16000), 16000)
    before = read_audio(path)
    path.write_bytes(path.read_bytes()[: 44 + 2 * 16000 * 13])
    tagging = taggers["audio"].tag(path)
    assert tagging.duration_seconds == pytest.approx(13.0, abs=0.01)
    whole = taggers["audio"].tag(before[: 13 * 16000])
    np.testing.assert_allclose(tagging.frame_scores, whole.frame_scores, atol=1e-3)


def test_a_model_of_pictures_alone_refuses_an_array(taggers):
    with pytest.raises(InputError, match="the clip: no picture track"):
        taggers["video"].tag(np.zeros(16000, np.float32))


def test_a_foreign_saved_model_is_refused(tmp_path):
    tf.saved_model.save(tf.Module(), str(tmp_path / "foreign"))
    with pytest.raises(InputError, match="not one that `mmat export` wrote"):
        Tagger(tmp_path / "foreign")


def test_tagging_needs_no_model_code(exports, clips):
    done = run_process(program("tagging", exports["fused"], clips / "both.mp4"))
    assert (done.returncode, done.stdout) == (0, "Dog\n"), done.stderr


@pytest.fixture(scope="module")
def learnt(models_cache, tmp_path_factory):
    """Folders of models that have learnt from names, one of which nobody knows, by their senses."""
    labels, folder = LabelSet.of(["Sine wave", "zzqx"]), tmp_path_factory.mktemp("learnt")
    for name, *networks in (
        ("both", yamnet, efficientnet_lite0),
        ("sound", yamnet, None),
        ("pictures", None, efficientnet_lite0),
    ):
        model = moved(learnt_models(labels, *networks)).tagger
        network = networks[1].name if networks[1] else ""
        save_bundle(folder / name, Bundle(model, labels, np.zeros(2, np.float32), network))
    return folder


def test_what_was_learnt_from_names_says_why_in_another_process(learnt, clips, tmp_path):
    command = mmat_command("tag", clips / "both.mp4", "--model", learnt / "both", "--explain")
    done = run_process([*command, "--plot", str(tmp_path / "tagged.png")])
    assert done.returncode == 0, done.stderr
    assert "never fires" not in done.stderr
    reasons = done.stdout[done.stdout.index("named") :].splitlines()
    assert any(row.split("  ")[0] == "Sine wave" and " sound " in row for row in reasons)
    assert not any(row.startswith("zzqx") for row in reasons)
    assert (tmp_path / "tagged.png").stat().st_size > 10_000


def test_what_was_learnt_from_names_falls_back_to_the_sense_there_is(learnt, clips):
    taggers = {name: Tagger(learnt / name) for name in ("both", "sound", "pictures")}
    heard, seen = (taggers["both"].tag(clips / name) for name in ("sound.mp4", "pictures.mp4"))
    for tag in heard.tags:
        assert (tag.audio_score, tag.video_score) == (tag.score, None)
    for tag in seen.tags:
        assert (tag.audio_score, tag.video_score) == (None, tag.score)
    # One branch alone has the same weights as its sense in both.
    alone = taggers["sound"].tag(clips / "both.mp4")
    np.testing.assert_allclose(alone.clip_scores, heard.clip_scores, atol=1e-5)
    assert {event.modality for event in alone.events} == {"audio"}
    assert {reason.sense for reason in alone.reasons} == {"audio"} and not alone.pictures
    looked = taggers["pictures"].tag(clips / "both.mp4")
    assert {event.modality for event in looked.events} == {"video"} and looked.pictures
    assert taggers["both"].unmapped == taggers["sound"].unmapped == ()
    # Media in memory may have what the model does not look at.
    media = read_media(clips / "both.mp4", n_frames=2, square_px=224)
    np.testing.assert_allclose(
        taggers["sound"].tag(media).clip_scores, alone.clip_scores, atol=1e-5
    )


def test_a_label_that_no_name_is_near_enough_to_is_a_guess(models_cache):
    tagger = load(labels="Dog;Woof;Washing machine;Quarterly tax return")
    (guess,) = [each for each in tagger.guesses if each.sense == "sound"]
    assert (guess.label, guess.name) == ("Washing machine", "Sewing machine")
    assert 0.65 <= guess.cosine < 0.8 and tagger.unmapped == ("Quarterly tax return",)
