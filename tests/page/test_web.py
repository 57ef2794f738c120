"""The page that `mmat export --format web` leaves: a real browser hears what Keras hears."""

import base64
import functools
import http.server
import pathlib
import re
import threading
import urllib.parse

import numpy as np
import pytest
import soundfile
from playwright.sync_api import expect

from mmat.export.web import export_web
from mmat.labels import MULTI_CLASS, MULTI_LABEL, LabelSet, regression
from mmat.media.read import SAMPLE_RATE_HZ, Media
from mmat.media.windows import Sound, windows
from mmat.media.windows import Window as MediaWindow
from mmat.metrics.decisions import confidence, decide, percent_sure, to_events
from mmat.metrics.thresholds import NEVER_FIRES
from mmat.models.audio import audio_branch
from mmat.models.bundle import Bundle
from mmat.models.names import zero_shot_bundle
from mmat.tagging.merge import WindowMerger
from mmat.tagging.tagger import Tagger
from tests.media.made_media import write_media_file
from tests.page.browser import MICROPHONE, Window, launched

LABELS = ["Beep, bleep", "Dog", "Quarterly tax return"]
SECONDS = 17.3  # three windows


@pytest.fixture(scope="module")
def bundle(models_cache):
    return zero_shot_bundle(LabelSet.of(LABELS))


@pytest.fixture(scope="module")
def site(bundle, tmp_path_factory):
    """The page's address on a plain file server, and what was asked of that."""
    folder = export_web(bundle, tmp_path_factory.mktemp("site") / "page")
    asked = []

    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_):
            asked.append((self.command, urllib.parse.urlsplit(self.path).path))

    handler = functools.partial(Handler, directory=folder)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/", asked
        server.shutdown()
        thread.join()


class Listener(Window):
    """A visit to the page, from which no other address than its own can be reached.

    script: run before the page's own. said: what the page's console holds.
    """

    def __init__(self, browser, address: str, width: int = 1000, script: str = "", **options):
        super().__init__(browser, "about:blank", width, **options)
        self.page.add_init_script(script)
        self.said: list[str] = []
        self.page.on("console", lambda message: self.said.append(message.text))
        self.page.route(lambda url: not url.startswith((address, "blob:")), lambda r: r.abort())
        self.page.goto(address)
        self.wait_for("Ready.")

    @property
    def status(self):
        return self.page.get_by_role("status")

    def wait_for(self, text) -> None:
        expect(self.status).to_have_text(text, timeout=60_000)

    def disconnect(self) -> None:
        self.page.context.set_offline(True)

    def choose(self, path: pathlib.Path) -> None:
        self.page.get_by_label("Drop a clip here").set_input_files(path)

    def drop(self, path: pathlib.Path) -> None:
        given = {"name": path.name, "content": base64.b64encode(path.read_bytes()).decode()}
        self.page.evaluate(
            """({name, content}) => {
                const transfer = new DataTransfer();
                const bytes = Uint8Array.from(atob(content), each => each.charCodeAt(0));
                transfer.items.add(new File([bytes], name));
                const event = new DragEvent("drop", {
                    dataTransfer: transfer, bubbles: true, cancelable: true});
                document.getElementById("drop").dispatchEvent(event);
            }""",
            given,
        )

    def found(self) -> dict[str, tuple[float, str, bool]]:
        """Return of each label of the result its score, how sure, and whether it was found."""
        self.page.get_by_role("heading", name="What the clip holds").wait_for()
        rows = self.page.locator("#tags tr").all()
        cells = [row.locator("th, td").all_inner_texts() for row in rows]
        scores = [float(row.locator("data").get_attribute("value")) for row in rows]
        return {
            label: (score, sure, yes == "yes")
            for (label, sure, yes), score in zip(cells, scores, strict=True)
        }


@pytest.fixture
def listener(browser, site):
    listener = Listener(browser, site[0])
    yield listener
    listener.page.context.close()
    assert listener.errors == listener.said == []


@pytest.fixture(scope="module")
def clip(recordings, tmp_path_factory):
    """A dog that barks twice, in 16-bit PCM at 16 kHz."""
    import soxr

    bark, rate = soundfile.read(recordings["dog-gc-lrbark-3-la-cut"], always_2d=True)
    bark = soxr.resample(bark.mean(axis=1), rate, SAMPLE_RATE_HZ)[: 3 * SAMPLE_RATE_HZ]
    sound = np.zeros(round(SECONDS * SAMPLE_RATE_HZ))
    for seconds in (2, 12):
        start = seconds * SAMPLE_RATE_HZ
        sound[start : start + len(bark)] = bark
    path = tmp_path_factory.mktemp("clip") / "dog & bone.wav"
    soundfile.write(path, sound, SAMPLE_RATE_HZ, "PCM_16")
    return path


def test_a_dropped_clip_is_tagged_as_keras_does_without_a_network(listener, site, bundle, clip):
    listener.disconnect()
    n_asked = len(site[1])
    listener.drop(clip)
    listener.wait_for(re.compile("^Found: Dog "))
    expected = Tagger.of(bundle).tag(clip)
    found = listener.found()
    assert {tag.label for tag in expected.tags} == set(found)
    for tag in expected.tags:
        score, sure, is_found = found[tag.label]
        assert score == pytest.approx(tag.score, abs=1e-3) and is_found == tag.fired
        assert int(sure.removesuffix(" %")) == pytest.approx(percent_sure(tag.confidence), abs=1)
    events = [
        tuple(map(float, re.search(r", ([\d.]+) to ([\d.]+) s, ", name).groups()))
        for name in listener.page.locator(".event").evaluate_all(
            "events => events.map(each => each.getAttribute('aria-label'))"
        )
    ]
    assert len(events) >= 2
    assert events == [
        (round(e.onset_seconds, 1), round(e.offset_seconds, 1)) for e in expected.events
    ]
    assert site[1][n_asked:] == [] and listener.hosts == {urllib.parse.urlsplit(site[0]).netloc}


def test_a_clip_shorter_than_a_window_has_its_own_scores(listener, bundle, clip, tmp_path):
    """With zeros behind it up to a window it would have others."""
    sound = soundfile.read(clip)[0][2 * SAMPLE_RATE_HZ :]
    for seconds in (1.3, 0.2):
        path = tmp_path / f"{seconds} s.wav"
        soundfile.write(path, sound[: round(seconds * SAMPLE_RATE_HZ)], SAMPLE_RATE_HZ, "PCM_16")
        listener.choose(path)
        listener.wait_for(re.compile(r"^(Found: |Nothing of what)"))
        expect(listener.page.locator("#summary")).to_have_text(f"{path.name}, {seconds} s")
        found = listener.found()
        for tag in Tagger.of(bundle).tag(path).tags:
            assert found[tag.label][0] == pytest.approx(tag.score, abs=1e-4)


def test_only_its_own_files_are_asked_for(listener, site):
    assert {command for command, _ in site[1]} == {"GET"}
    names = {path for _, path in site[1]}
    assert {"/", "/model.tflite", "/facts.json"} <= names
    assert "/litert/litert_wasm_internal.wasm" in names


def test_an_event_plays_by_the_keyboard(listener, clip):
    listener.choose(clip)
    event = listener.page.locator(".event").last
    event.wait_for()
    onset = float(re.search(r", ([\d.]+) to", event.get_attribute("aria-label"))[1])
    event.focus()
    event.press("Enter")
    player = listener.page.get_by_label("The clip", exact=True)
    expect(player).to_have_js_property("paused", False)
    assert onset > 10 and player.evaluate("player => player.currentTime") >= onset - 0.01


def test_the_sound_of_a_video_is_heard(listener, tmp_path):
    write_media_file(tmp_path / "both.mp4")
    listener.choose(tmp_path / "both.mp4")
    listener.wait_for(re.compile(r"^(Found: |Nothing of what)"))
    assert set(listener.found()) == set(LABELS)
    assert listener.page.locator("#summary").inner_text() == "both.mp4, 2.0 s"


def test_what_is_no_sound_is_said(listener, tmp_path):
    for name, content in [("nothing.wav", b""), ("text.wav", b"no sound at all")]:
        (tmp_path / name).write_bytes(content)
        listener.choose(tmp_path / name)
        listener.wait_for(f"{name}: this browser cannot read a sound in it.")
    sound = np.zeros(SAMPLE_RATE_HZ, np.float32)
    sound[5] = np.nan
    soundfile.write(tmp_path / "a.wav", sound, SAMPLE_RATE_HZ, "FLOAT")
    listener.choose(tmp_path / "a.wav")
    listener.wait_for("a.wav: its sound holds what is no number.")


# As in a browser of before 2024: the runtime asks by trying the smallest of programs.
NO_RELAXED_SIMD = """
    const instantiate = WebAssembly.instantiate;
    WebAssembly.instantiate = (program, ...rest) => program.byteLength < 1000
        ? Promise.reject(new Error("no relaxed SIMD")) : instantiate(program, ...rest);
"""


def test_a_browser_without_relaxed_simd_is_served_too(browser, site, bundle, clip):
    n_asked = len(site[1])
    listener = Listener(browser, site[0], script=NO_RELAXED_SIMD)
    asked = {path for _, path in site[1][n_asked:]}
    assert "/litert/litert_wasm_compat_internal.wasm" in asked
    assert "/litert/litert_wasm_internal.wasm" not in asked
    listener.choose(clip)
    found = listener.found()
    for tag in Tagger.of(bundle).tag(clip).tags:
        assert found[tag.label][0] == pytest.approx(tag.score, abs=1e-3)
    listener.page.context.close()


@pytest.fixture
def barking(browser, site, clip):
    """The page in a browser whose microphone hears the clip, again and again."""
    hears = [*MICROPHONE, f"--use-file-for-fake-audio-capture={clip}"]
    other = launched(browser.browser_type, hears)
    listener = Listener(other, site[0])
    yield listener
    assert listener.errors == listener.said == []
    other.close()


def test_the_microphone_is_heard_until_it_is_stopped(barking):
    barking.disconnect()
    barking.page.get_by_role("button", name="Listen by the microphone").click()
    barking.wait_for("Listening to the microphone. Nothing is kept.")
    expect(barking.page.locator("#now")).to_contain_text("Dog (", timeout=60_000)
    expect(barking.page.locator("#heard li").first).to_contain_text("Dog (")
    assert barking.faults() == []
    barking.page.get_by_role("button", name="Stop listening").click()
    barking.wait_for("The microphone is off.")
    barking.page.get_by_role("button", name="Listen by the microphone").wait_for()


def test_a_machine_without_a_microphone_is_said(browser, site):
    other = launched(browser.browser_type, ["--deny-permission-prompts"])
    listener = Listener(other, site[0])
    listener.page.get_by_role("button", name="Listen by the microphone").click()
    listener.wait_for(re.compile(r"^The microphone cannot be used: .+\.$"))
    listener.page.get_by_role("button", name="Listen by the microphone").wait_for()
    other.close()


@pytest.mark.parametrize(("width", "colours"), [(375, "dark"), (1280, "light")])
def test_no_fault_and_no_overflow(browser, site, clip, width, colours):
    listener = Listener(browser, site[0], width, color_scheme=colours)
    assert listener.faults() == [] and listener.overflow() == []
    listener.choose(clip)
    listener.found()
    listener.page.get_by_text("What the page listens for", exact=True).click()
    assert listener.page.locator("#never").inner_text().endswith(" Quarterly tax return.")
    assert listener.faults() == [] and listener.overflow() == []
    assert listener.errors == listener.said == []
    listener.page.context.close()


@pytest.fixture(scope="module")
def idle(browser, site):
    """The page, whose parts are asked one by one."""
    listener = Listener(browser, site[0])
    yield listener.page
    listener.page.context.close()


@pytest.mark.parametrize("clip_seconds", [10, 2.5, 3.1])  # 12.5 frames a hop, 15.5
def test_windows_lie_where_the_tagger_has_them(idle, clip_seconds):
    bundle = Bundle(audio_branch(1), LabelSet.of(["Dog"]), [0.5], clip_seconds=clip_seconds)
    spec = Tagger.of(bundle).window_spec
    for seconds in (0.03, 9.95, 10, 10.04, 15, 17.3, 20.12, 61.7):
        n_samples = round(seconds * SAMPLE_RATE_HZ)
        cut = windows(Sound([np.zeros(n_samples, np.float32)]), None, spec)
        expected = [(w.start_seconds, w.start_seconds + w.media.duration_seconds) for w in cut]
        found = idle.evaluate(
            "async given => (await import('./tagging.js')).windows(...given, 10)",
            [n_samples / SAMPLE_RATE_HZ, clip_seconds],
        )
        np.testing.assert_allclose(found, expected, atol=1e-9)


@pytest.mark.parametrize("task", [MULTI_LABEL, MULTI_CLASS, regression(-3, 3)], ids=str)
def test_windows_are_merged_and_decided_as_the_tagger_does(idle, task):
    random = np.random.default_rng(3)
    thresholds = np.float32([0.25, 0.75, NEVER_FIRES])
    merger, parts = WindowMerger(task, thresholds, {}), []
    for start, duration in [(0.0, 10.0), (5.0, 10.0), (7.3, 10.0)]:
        clip = random.random(3).astype(np.float32)
        frame = random.random((round(10 * duration), 3)).astype(np.float32)
        sound = np.zeros(round(duration * SAMPLE_RATE_HZ), np.float32)
        window = MediaWindow(start, Media(sound, None, duration), np.zeros(0))
        merger.add(window, {"clip": clip, "frame": frame})
        parts.append([start, start + duration, clip.tolist(), frame.tolist()])
    facts = {"labels": LABELS, "thresholds": [float(x) for x in thresholds]}
    facts |= {"task": str(task), "clip_seconds": 10, "frame_hz": 10}
    found = idle.evaluate(
        """async ({facts, parts}) => {
            const merger = new (await import("./tagging.js")).Merger(facts);
            for (const part of parts) merger.add(...part);
            const {tags, frames, events} = merger.result();
            return {tags, frames: frames.map(frame => Array.from(frame)), events};
        }""",
        {"facts": facts, "parts": parts},
    )
    clip, frames = merger.outputs["clip"], merger.frame_scores()
    np.testing.assert_allclose(found["frames"], frames, atol=1e-6)
    tags = {tag["label"]: tag for tag in found["tags"]}
    fired = decide(task, clip, thresholds)
    for c, label in enumerate(LABELS):
        assert tags[label]["score"] == pytest.approx(float(clip[c]), abs=1e-6)
        assert tags[label]["fired"] == fired[c]
    if task.is_regression:
        assert found["events"] == [] and [*tags] == LABELS
        return
    sure = confidence(task, clip, thresholds)
    order = np.lexsort((-clip, -sure, ~fired))
    assert [*tags] == [LABELS[c] for c in order]
    np.testing.assert_allclose([tags[label]["confidence"] for label in LABELS], sure, atol=1e-6)
    expected = to_events(task, frames, thresholds, fired)
    assert len(expected) > 10
    named = [(e["c"], e["onset"], e["offset"], e["score"]) for e in found["events"]]
    np.testing.assert_allclose(named, [tuple(event) for event in expected], atol=1e-6)
