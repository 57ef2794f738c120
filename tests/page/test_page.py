"""What a person sees on the page, in a real browser."""

import contextlib
import csv
import os
import pathlib
import re
import threading

import pytest
import requests
from playwright.sync_api import expect

import mmat
from mmat.app.middleware import BUSY
from mmat.app.server import serving
from mmat.app.taggers import TYPED
from mmat.metrics.decisions import percent_sure
from tests.media.made_media import make_sine, write_media_file
from tests.page.browser import Visit

GUESSED = "Washing machine"
SIREN = "Fire engine, fire truck (siren)"


def uploads() -> list[pathlib.Path]:
    folder = pathlib.Path(os.environ["GRADIO_TEMP_DIR"])
    return [path for path in folder.rglob("*") if path.is_file()]


def row(visit, table, name) -> list[str]:
    """Return the cells of a row of the result."""
    found = visit.page.locator(f".{table} tbody tr").filter(has_text=name).first
    return found.locator("th, td").all_inner_texts()


def is_drawn(image) -> bool:
    return image.evaluate("image => image.complete && image.naturalWidth > 100")


def test_a_fire_engine_is_heard_and_seen(visit, fire_engine, tmp_path):
    visit.upload(fire_engine)
    assert visit.tag().startswith(f"{SIREN}, ")
    name, sure, found, by_sound, by_picture = row(visit, "tags", SIREN)
    assert (name, found) == (SIREN, "yes")
    assert int(sure) >= 50 <= max(int(by_sound), int(by_picture))
    assert row(visit, "tags", "Dog")[2] == "no"

    assert is_drawn(visit.page.locator("img.mel"))
    spoke = visit.page.locator(".pictures figure").filter(has_text=SIREN).first
    assert is_drawn(spoke.locator("img"))
    assert spoke.locator("img").get_attribute("alt").startswith("The picture at ")
    visit.page.get_by_text("What stands behind it").click()
    reasons = visit.page.locator(".reasons li").filter(has_text=SIREN).all_inner_texts()
    assert {text.removeprefix(f"{SIREN} by ").split(":")[0] for text in reasons} == {
        "sound",
        "picture",
    }

    with visit.page.expect_download() as download:
        visit.page.get_by_role("link", name="Download the event list").click()
    assert download.value.suggested_filename == "fire engine-events.tsv"
    download.value.save_as(tmp_path / "events.tsv")
    with open(tmp_path / "events.tsv", newline="") as file:
        listed = list(csv.DictReader(file, delimiter="\t"))
    shown = [
        visit.page.locator(".events tbody tr").nth(i).locator("th, td").all_inner_texts()
        for i in range(len(listed))
    ]
    assert [
        [each["event_label"], f"{float(each['onset']):.1f}", f"{float(each['offset']):.1f}"]
        for each in listed
    ] == [cells[:3] for cells in shown]
    assert {each["filename"] for each in listed} == {fire_engine.name}
    assert any(
        each["event_label"] == SIREN and float(each["offset"]) - float(each["onset"]) > 1
        for each in listed
    )
    assert uploads() == [] and visit.errors == []


def test_the_clip_plays_and_the_cursor_runs_over_the_timeline(visit, fire_engine):
    """From the browser's own copy: the server has none any more."""
    visit.upload(fire_engine)
    visit.tag()
    assert uploads() == []
    cursor, tracks = visit.page.locator(".tracks .cursor"), visit.page.locator(".tracks")
    cursor.wait_for()
    assert visit.media.evaluate("media => media.tagName") == "VIDEO"
    assert visit.media.evaluate("media => media.src").startswith("blob:")
    whole = visit.media.evaluate("media => media.duration")

    box = tracks.bounding_box()
    tracks.click(position={"x": box["width"] / 2, "y": box["height"] - 40})
    visit.page.wait_for_timeout(700)
    assert whole / 2 < visit.playing_seconds() < whole / 2 + 3
    visit.media.evaluate("media => media.pause()")
    visit.page.wait_for_timeout(200)
    share = (cursor.bounding_box()["x"] - box["x"]) / box["width"]
    assert share == pytest.approx(visit.playing_seconds() / whole, abs=0.02)

    stretch = visit.page.get_by_role("button", name=f"Play {SIREN}").first
    stretch.focus()
    visit.page.keyboard.press("Enter")
    visit.page.wait_for_timeout(300)
    onset = float(stretch.get_attribute("data-seek"))
    assert onset <= visit.playing_seconds() < onset + 2
    assert not visit.media.evaluate("media => media.paused")
    assert visit.errors == []


def test_another_clip_that_is_only_chosen_does_not_change_the_player(visit, fire_engine, clips):
    visit.upload(fire_engine)
    visit.tag()
    visit.media.wait_for()
    first = visit.media.evaluate("media => media.src")
    visit.page.get_by_label("Clear").first.click()
    visit.upload(clips / "sound.wav")
    assert visit.media.evaluate("media => media.src") == first
    visit.tag()
    visit.media.wait_for()
    assert visit.media.evaluate("media => media.tagName") == "AUDIO"
    assert visit.media.evaluate("media => media.duration") == pytest.approx(2.0, abs=0.1)


def test_what_the_browser_cannot_play_is_said(visit, tmp_path):
    path = write_media_file(tmp_path / "a.avi", sound=make_sine(2.0))
    visit.upload(path)
    visit.tag()
    visit.result.get_by_text("This browser cannot play clips of this kind").wait_for()
    assert visit.page.locator(".tracks .cursor").is_hidden()


def test_the_page_and_the_command_agree(visit, fire_engine, tmp_path):
    """The second clip has several windows, and few keyframes."""
    path = write_media_file(
        tmp_path / "long.mp4", sound=make_sine(24.0), n_pictures=24 * 5, fps=5, size=(160, 120)
    )
    for clip in (fire_engine, path):
        visit.upload(clip)
        visit.look_for("Fire engine, fire truck (siren)", "Sine wave", "Digital clock")
        visit.tag()
        names = ["Fire engine, fire truck (siren)", "Sine wave", "Digital clock"]
        tagging = mmat.load(labels=names).tag(clip)
        for tag in tagging.tags:
            cells = row(visit, "tags", tag.label)
            assert cells[1:3] == [f"{percent_sure(tag.confidence)}", "yes" if tag.fired else "no"]
        shown = [each.get_attribute("alt") for each in visit.page.locator(".pictures img").all()]
        assert shown == [f"The picture at {p.seconds:.1f} s" for p in tagging.pictures]
        visit.page.get_by_label("Clear").first.click()


def test_other_labels_of_the_same_clip_by_the_keyboard_alone(visit, fire_engine):
    visit.upload(fire_engine)
    visit.labels.focus()
    for _ in range(3):
        visit.page.keyboard.press("Backspace")
    assert visit.chosen_labels() == []
    visit.page.keyboard.type("civil defense")
    visit.page.keyboard.press("ArrowDown")
    visit.page.keyboard.press("Enter")
    assert visit.chosen_labels() == ["Civil defense siren"]
    visit.page.keyboard.type("Siren; Rain")
    visit.page.keyboard.press("Enter")
    with visit.next_message():
        visit.page.keyboard.press("Enter")
    assert visit.page.locator(".tags tbody tr").count() == 3
    assert row(visit, "tags", "Rain")[2] == "no"
    visit.look_for("Rain")
    with visit.next_message():
        visit.button.press("Enter")
    assert visit.page.locator(".tags tbody tr").count() == 1
    assert uploads() == []


def test_labels_that_are_no_known_names_are_said(visit, fire_engine):
    visit.upload(fire_engine)
    visit.look_for(SIREN, GUESSED, "Quarterly tax return")
    message = visit.tag()
    assert message.startswith(f"{SIREN}, ")
    assert f"Guessed: {GUESSED}. Not known: Quarterly tax return." in message
    assert visit.page.get_by_role("status").filter(has_text="Guessed").inner_text() == message
    (guess,) = mmat.load(labels=GUESSED).guesses
    words = f"{GUESSED}: listened for {guess.name}, nearness {guess.cosine:.2f} of 1"
    visit.result.get_by_text(words).wait_for()
    visit.look_for(SIREN)
    assert "Guessed" not in visit.tag() and visit.page.locator(".note").count() == 0


@contextlib.contextmanager
def full_queue(address, path):
    """Ask about a clip again and again, so that there is never room for another question."""
    api, files = f"{address}gradio_api", {"files": (path.name, path.read_bytes())}
    (place,) = requests.post(f"{api}/upload", files=files).json()
    clip = {"path": place, "meta": {"_type": "gradio.FileData"}}
    is_full, is_enough, joined = threading.Event(), threading.Event(), []

    def fill():
        while not is_enough.is_set():
            question = {"data": [clip, None, ["Dog"], TYPED]}
            answer = requests.post(f"{api}/call/tag", json=question)
            if answer.ok:
                joined.append(answer.json()["event_id"])
            else:
                is_full.set()

    filling = threading.Thread(target=fill)
    filling.start()
    try:
        assert is_full.wait(60)
        yield
    finally:
        is_enough.set()
        filling.join()
        for event in joined:
            end = {"event_id": event, "session_hash": "", "fn_index": 0}
            requests.post(f"{api}/cancel", json=end)


@pytest.mark.parametrize(("width", "colours"), [(375, "dark"), (1280, "light")])
def test_a_full_queue_is_explained(browser, address, fire_engine, colours, width):
    visit = Visit(browser, address, width, color_scheme=colours)
    visit.upload(fire_engine)
    with full_queue(address, fire_engine):
        message = visit.tag()
    assert message == f"Not tagged: {BUSY}"
    assert visit.page.get_by_role("alert").inner_text() == message
    shown = visit.page.get_by_text("Error", exact=True).filter(visible=True)
    expect(shown).to_have_count(0)  # Gradio's own message fades
    assert visit.faults() == [] and visit.overflow() == []
    assert visit.tag().startswith(f"{SIREN}, ")
    assert uploads() == []
    visit.page.context.close()


def test_known_names_are_offered_while_one_types(visit):
    visit.labels.fill("accord")
    options = visit.options
    assert options.all_inner_texts() and "Accordion" in options.first.inner_text()
    visit.labels.fill("tench")  # known by eye alone
    assert "tench" in options.first.inner_text()
    options.first.click()
    assert visit.chosen_labels()[-1] == "tench"
    assert visit.faults() == []


def test_progress_is_told_in_words_and_percent(visit, fire_engine):
    visit.upload(fire_engine)
    visit.look_for("Never asked before")
    said = visit.page.evaluate_handle(
        """() => {
            const said = [], message = document.getElementById("message");
            new MutationObserver(() => said.push(message.innerText)).observe(
                message, {childList: true, subtree: true, characterData: true});
            return said;
        }"""
    )
    visit.tag()
    texts = "\n".join(said.json_value())
    assert re.search(r"Reading the clip - 0\.0%", texts)
    assert re.search(r"Finding what the labels mean - 20\.0%", texts)
    assert re.search(r"Listening.* - \d+\.0%", texts)


def test_a_broken_file_is_explained(visit, fire_engine, tmp_path):
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(fire_engine.read_bytes()[:5000])
    visit.upload(broken)
    message = visit.tag()
    assert message.startswith("Not tagged: broken.mp4: not a media file that can be read")
    assert visit.page.get_by_role("alert").inner_text() == message
    assert visit.result.count() == 0
    assert visit.faults() == []
    assert uploads() == []


def test_without_a_clip_or_labels_the_page_says_what_is_missing(visit, fire_engine):
    assert "there is no clip yet; choose a file or record one" in visit.tag()
    visit.upload(fire_engine)
    visit.look_for()
    assert "labels: there are none; type some" in visit.tag()
    visit.look_for("Dog, Cow")
    assert "Dog, Cow are 2 names; type them one by one" in visit.tag()
    visit.look_for("Siren")
    assert "Siren" in visit.tag()
    assert uploads() == []


def test_a_recording_is_tagged(visit):
    """The browser's own microphone for tests beeps once a second."""
    visit.page.get_by_role("button", name="Record", exact=True).click()
    visit.page.wait_for_timeout(2500)
    visit.page.get_by_role("button", name="Stop", exact=True).click()
    visit.page.get_by_role("button", name="Play", exact=True).wait_for()
    visit.look_for("Beep, bleep", "Dog")
    visit.tag()
    assert "s, sound." in visit.result.inner_text()
    assert row(visit, "tags", "Beep")[3] != "–"
    visit.media.wait_for()
    assert visit.media.evaluate("media => media.tagName") == "AUDIO"
    assert 1 < visit.media.evaluate("media => media.duration") < 5
    assert uploads() == []


@pytest.mark.parametrize("width", [375, 1280])
@pytest.mark.parametrize("colours", ["light", "dark"])
def test_no_fault_no_overflow_and_no_other_host(browser, address, fire_engine, colours, width):
    visit = Visit(browser, address, width, color_scheme=colours)
    visit.page.wait_for_timeout(500)
    assert visit.faults() == [] and visit.overflow() == []
    visit.labels.fill("a")
    visit.options.first.wait_for()
    assert visit.faults() == [] and visit.overflow() == []
    # Neither of two is a known name: one is taken for another, one for nothing.
    visit.look_for(
        "Dog", SIREN, GUESSED, "x" * 90, *(f"A rather long name of a sound, {i}" for i in range(9))
    )
    visit.upload(fire_engine)
    assert visit.overflow() == []
    with visit.next_message():
        visit.button.click()
        visit.page.get_by_text("Finding what the labels mean").wait_for()
        assert visit.faults() == [] and visit.overflow() == []
    visit.media.wait_for()
    visit.page.get_by_text("What stands behind it").click()
    if (guesses := visit.page.locator("details.note")).get_attribute("open") is None:
        guesses.locator("summary").click()
    assert visit.page.locator(".note").count() == 2
    assert visit.faults() == [] and visit.overflow() == []
    name = visit.page.locator(".lane .name").first
    assert float(name.evaluate("name => parseFloat(getComputedStyle(name).fontSize)")) >= 12
    lane = visit.page.locator(".strip").first.bounding_box()
    timeline = visit.page.locator(".timeline").bounding_box()
    assert lane["width"] == pytest.approx(timeline["width"], abs=1)
    events = visit.page.locator(".events tbody tr").filter(has_text=SIREN).all()
    stretches = visit.page.get_by_role("button", name=f"Play {SIREN}").all()
    for event, stretch in zip(events, stretches, strict=True):
        begin, end = map(float, event.locator("td").all_inner_texts()[:2])
        box, pixels_a_second = stretch.bounding_box(), lane["width"] / 10.3
        assert box["x"] - lane["x"] == pytest.approx(begin * pixels_a_second, abs=7)
        assert box["width"] == pytest.approx((end - begin) * pixels_a_second, abs=7)
        assert box["x"] + box["width"] <= lane["x"] + lane["width"] + 1
    assert visit.page.locator("html").get_attribute("lang") == "en"
    assert visit.page.title() == visit.page.get_by_role("heading", level=1).inner_text()
    assert visit.hosts == {address.split("/")[2]} and visit.errors == []
    visit.page.context.close()


def test_a_tagger_is_chosen_by_the_keyboard_and_only_one_of_them_asks_for_labels(
    browser, exports, clips
):
    with serving([exports["fused"], exports["audio"]], port=None) as address:
        visit = Visit(browser, address)
        assert visit.tagger() == "fused" and visit.labels.count() == 0
        visit.upload(clips / "both.mp4")
        assert visit.tag().startswith("Dog, ")
        _, _, fired, by_sound, by_picture = row(visit, "tags", "Dog")
        assert fired == "yes" and "–" not in (by_sound, by_picture)
        assert visit.faults() == []

        visit.taggers.get_by_label("fused").focus()
        visit.page.keyboard.press("ArrowDown")
        assert visit.tagger() == "audio" and visit.labels.count() == 0
        visit.tag()
        assert row(visit, "tags", "Dog")[2:] == ["yes", "–", "–"]  # it has one sense alone

        visit.page.keyboard.press("Shift+Tab")
        visit.page.keyboard.press("ArrowUp")
        visit.page.keyboard.press("ArrowUp")
        visit.labels.wait_for()
        assert visit.tagger() == TYPED
        visit.look_for("Rain")
        visit.tag()
        assert visit.page.locator(".tags tbody tr").count() == 1
        assert row(visit, "tags", "Rain")[4] != "–"  # the pictures are there, whoever was first
        assert visit.faults() == []

        visit.taggers.get_by_label("fused").check()
        visit.labels.wait_for(state="detached")
        assert visit.hosts == {address.split("/")[2]}
        assert uploads() == []
        visit.page.context.close()


def test_where_there_is_nothing_to_choose_no_choice_is_shown(visit):
    assert visit.labels.count() == 1 and visit.taggers.count() == 0
    assert visit.page.get_by_label(TYPED).count() == 0
