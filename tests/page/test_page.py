"""What a person sees on the page, in a real browser."""

import csv
import os
import pathlib

import pytest

from mmat.app.server import serving
from mmat.app.taggers import TYPED
from tests.page.browser import Visit

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
    assert "fired." in visit.tag()
    name, score, fired, by_sound, by_picture = row(visit, "tags", SIREN)
    assert (name, fired) == (SIREN, "yes")
    assert float(score) >= max(float(by_sound), float(by_picture))
    assert min(float(by_sound), float(by_picture)) > 0.05  # both senses know it
    assert row(visit, "tags", "Dog")[2] == "no"

    assert is_drawn(visit.page.locator("img.timeline"))
    spoke = visit.page.locator(".pictures figure").filter(has_text=SIREN).first
    assert is_drawn(spoke.locator("img"))
    assert spoke.locator("img").get_attribute("alt").startswith("The picture at ")
    visit.page.get_by_text("What stands behind it").click()
    reasons = visit.page.locator(".reasons tbody tr").filter(has_text=SIREN)
    senses = {row.locator("td").first.inner_text() for row in reasons.all()}
    assert senses == {"sound", "picture"}

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
    assert uploads() == []


def test_other_labels_of_the_same_clip_by_the_keyboard_alone(visit, fire_engine):
    visit.upload(fire_engine)
    visit.labels.focus()
    visit.page.keyboard.press("Control+A")
    visit.page.keyboard.type("Siren; Rain")
    visit.page.keyboard.press("Tab")
    assert visit.button.evaluate("button => button === document.activeElement")
    with visit.next_message():
        visit.page.keyboard.press("Enter")
    assert row(visit, "tags", "Siren")[2] == "yes"
    visit.labels.fill("Rain")
    with visit.next_message():
        visit.labels.press("Enter")
    assert visit.page.locator(".tags tbody tr").count() == 1
    assert uploads() == []


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
    visit.labels.fill(" ; ")
    assert "labels: there are none; type some" in visit.tag()
    visit.labels.fill("Siren")
    assert "fired." in visit.tag()
    assert uploads() == []


def test_a_recording_is_tagged(visit):
    """The browser's own microphone for tests beeps once a second."""
    visit.page.get_by_role("button", name="Record", exact=True).click()
    visit.page.wait_for_timeout(2500)
    visit.page.get_by_role("button", name="Stop", exact=True).click()
    visit.page.get_by_role("button", name="Play", exact=True).wait_for()
    visit.labels.fill("Beep, bleep; Dog")
    assert "fired." in visit.tag()
    assert "s, sound." in visit.result.inner_text()
    assert row(visit, "tags", "Beep")[3] != "–"
    assert uploads() == []


@pytest.mark.parametrize("colours", ["light", "dark"])
def test_no_serious_accessibility_fault_and_no_other_host(browser, address, fire_engine, colours):
    visit = Visit(browser, address, color_scheme=colours)
    assert visit.faults() == []
    visit.upload(fire_engine)
    visit.tag()
    visit.page.get_by_text("What stands behind it").click()
    assert visit.faults() == []
    assert visit.page.locator("html").get_attribute("lang") == "en"
    assert visit.page.title() == visit.page.get_by_role("heading", level=1).inner_text()
    assert visit.hosts == {address.split("/")[2]}
    visit.page.context.close()


def test_a_tagger_is_chosen_by_the_keyboard_and_only_one_of_them_asks_for_labels(
    browser, exports, clips
):
    with serving([exports["fused"], exports["audio"]], port=None) as address:
        visit = Visit(browser, address)
        assert visit.tagger() == "fused" and visit.labels.count() == 0
        visit.upload(clips / "both.mp4")
        assert visit.tag() == "1 tag fired."
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
        visit.labels.fill("Rain")
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
