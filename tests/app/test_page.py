"""The result as HTML: it holds what the tagging does, escapes every name, fetches nothing."""

import base64
import dataclasses
import html.parser
import io

import numpy as np
import PIL.Image
import pytest

from mmat.app.page import render, summary
from mmat.labels import MULTI_CLASS, regression
from mmat.tagging.result import Picture, Reason, Tag, Tagging, TimedTag

EVIL = '<script>alert("1")</script>"\'&'


@pytest.fixture
def tagging() -> Tagging:
    labels = ("Dog", "Cat, kitten")
    picture = Picture(1.25, np.full((12, 16, 3), 200, np.uint8), (("Dog", 0.8),))
    return Tagging(
        file="my clip.mp4",
        duration_seconds=2.0,
        labels=labels,
        thresholds=np.float32([0.5, 0.5]),
        clip_scores=np.float32([0.9, 0.1]),
        frame_scores=np.full((20, 2), [0.9, 0.1], np.float32),
        fired=np.array([True, False]),
        tags=(Tag("Dog", 0.9, True, 0.7, 0.8), Tag("Cat, kitten", 0.1, False, 0.1, None)),
        events=(TimedTag("Dog", 0.5, 1.5, 0.9, "both"),),
        has_audio=True,
        has_video=True,
        reasons=(Reason("Dog", "video", "beagle", 0.6, 0.9, 1.25),),
        pictures=(picture,),
        log_mel=np.zeros((80, 64), np.float32),
    )


class Page(html.parser.HTMLParser):
    """The elements and the text of a piece of HTML; elements that stay open are a fault."""

    VOID = {"img"}

    def __init__(self, text):
        super().__init__()
        self.elements, self.words, self._open = [], [], []
        self.feed(text)
        assert not self._open

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self._open.append(tag)

    def handle_endtag(self, tag):
        assert self._open.pop() == tag

    def handle_data(self, data):
        self.words.append(data)

    def of(self, tag):
        return [attributes for name, attributes in self.elements if name == tag]

    @property
    def text(self):
        return " ".join(" ".join(self.words).split())


def decoded(uri: str, kind: str) -> bytes:
    head, _, data = uri.partition(";base64,")
    assert head.startswith(f"data:{kind}")
    return base64.b64decode(data)


def test_all_that_was_found_is_there(tagging):
    page = Page(render(tagging))
    assert "my clip.mp4: 2.0 s, sound and pictures." in page.text
    assert "Dog 0.90 yes 0.70 0.80" in page.text and "Cat, kitten 0.10 no 0.10 –" in page.text
    assert "Dog 0.5 1.5 0.90 both" in page.text
    assert "1.2 s: Dog 0.80" in page.text and "Dog picture beagle 0.60 0.90 1.2" in page.text


def test_pictures_are_inside_and_described(tagging):
    timeline, spoke = Page(render(tagging)).of("img")
    assert PIL.Image.open(io.BytesIO(decoded(timeline["src"], "image/png"))).size[0] > 500
    assert "Dog from 0.5 to 1.5 s." in timeline["alt"]
    assert PIL.Image.open(io.BytesIO(decoded(spoke["src"], "image/jpeg"))).size == (16, 12)
    assert spoke["alt"] == "The picture at 1.2 s"


def test_the_event_list_is_inside(tagging):
    (link,) = Page(render(tagging)).of("a")
    assert link["download"] == "my clip-events.tsv"
    assert decoded(link["href"], "text/tab-separated-values").decode() == (
        "filename\tonset\toffset\tevent_label\nmy clip.mp4\t0.500\t1.500\tDog\n"
    )


def test_nothing_is_asked_of_anyone(tagging):
    for _, attributes in Page(render(tagging)).elements:
        for name in ("src", "href"):
            assert attributes.get(name, "data:").startswith("data:")


def test_names_are_text_and_never_markup(tagging):
    evil = dataclasses.replace(
        tagging,
        file=EVIL,
        labels=(EVIL, "b"),
        tags=(Tag(EVIL, 0.9, True),),
        events=(TimedTag(EVIL, 0.0, 1.0, 0.9),),
        reasons=(Reason(EVIL, "audio", EVIL, 0.5, 0.5, 0.0),),
        pictures=(Picture(0.0, tagging.pictures[0].image, ((EVIL, 0.5),)),),
        problem=EVIL,
    )
    text = render(evil, unmapped=[EVIL])
    page = Page(text)
    assert not page.of("script") and "<script" not in text
    assert page.text.count(EVIL) == 8
    assert len(page.of("img")) == 2


def test_what_is_not_there_is_not_claimed(tagging):
    silent = dataclasses.replace(
        tagging,
        fired=np.array([False, False]),
        tags=tuple(dataclasses.replace(tag, fired=False) for tag in tagging.tags),
        events=(),
        reasons=(),
        pictures=(),
        has_video=False,
    )
    page = Page(render(silent))
    assert "2.0 s, sound." in page.text and "there are no events" in page.text
    assert "Frames that spoke" not in page.text and "What stands behind it" not in page.text
    assert "No label fired." in page.of("img")[0]["alt"]


def test_labels_that_nothing_is_near_to_and_damage_are_shown(tagging):
    page = Page(render(dataclasses.replace(tagging, problem="it ends early"), ["Tax", "Rent"]))
    assert "Nothing is known that is near to: Tax; Rent." in page.text
    assert "Of this file: it ends early." in page.text


def test_reasons_stand_in_the_order_of_the_tags(tagging):
    reasons = [
        Reason(label, "audio", f"heard {label}", 0.5, 0.5, 0.0) for label in ("Cat, kitten", "Dog")
    ]
    text = Page(render(dataclasses.replace(tagging, reasons=tuple(reasons)))).text
    assert text.index("heard Dog") < text.index("heard Cat, kitten")


def test_of_many_labels_the_rest_is_counted(tagging):
    many = tuple(Tag(f"Label {i}", 0.1, False) for i in range(30))
    page = Page(render(dataclasses.replace(tagging, tags=(tagging.tags[0], *many))))
    assert "21 more labels have lower scores." in page.text


def test_classes_that_exclude_each_other_have_a_best_one(tagging):
    classes = dataclasses.replace(tagging, task=MULTI_CLASS)
    page = Page(render(classes))
    assert "Dog 0.90 yes 0.70 0.80" in page.text and "Their scores sum to 1" in page.text
    assert "threshold" not in page.text and "How the best class changes" in page.text
    assert summary(classes) == "Dog is the best of the classes." != summary(tagging)
    none = dataclasses.replace(classes, tags=classes.tags[1:])
    assert summary(none) == "No class was found."


def test_a_value_is_no_score(tagging):
    values = dataclasses.replace(
        tagging,
        task=regression(-3, 3),
        labels=("mood",),
        thresholds=np.ones(1),
        clip_scores=np.float32([-1.25]),
        frame_scores=np.full((20, 1), -1.25, np.float32),
        fired=np.array([True]),
        tags=(Tag("mood", -1.25, True, -1.25, None),),
        events=(TimedTag("mood", 0.0, 2.0, -1.25, "audio"),),
    )
    page = Page(render(values))
    assert "Values, between -3 and 3." in page.text and "mood -1.25 -1.25 –" in page.text
    assert "mood 0.0 2.0 -1.25 sound" in page.text and "Mean value" in page.text
    for word in ("Fired", "Score", "score", "threshold"):
        assert word not in page.text
    assert "mood -1 from 0.0 to 2.0 s." in page.of("img")[0]["alt"]
    assert summary(values) == "mood: -1.25."
