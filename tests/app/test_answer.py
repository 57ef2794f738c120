"""The answer: it holds what the tagging does, escapes every name and fetches nothing."""

import base64
import dataclasses
import html.parser
import io

import numpy as np
import PIL.Image
import pytest

from mmat.app.answer import doubts, headline, render
from mmat.labels import MULTI_CLASS, regression
from mmat.tagging.result import Picture, Reason, Tag, Tagging, TimedTag
from mmat.tagging.tagger import Guess

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

    VOID = {"img", "path", "line"}

    def __init__(self, text):
        super().__init__()
        self.elements, self.words, self._open = [], [], []
        self.feed(text)
        assert not self._open

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

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
    assert "Dog 90 yes 70 80" in page.text and "Cat, kitten 10 no 10 –" in page.text
    assert "Dog 0.5 1.5 90 both" in page.text
    assert "1.2 s : Dog 80" in page.text
    assert "Dog by picture: beagle, probability 0.60, nearness 0.90, at 1.2 s" in page.text


def test_one_scale_says_how_sure_whatever_the_thresholds(tagging):
    low = dataclasses.replace(tagging, thresholds=np.float32([0.05, 0.05]))
    page = Page(render(low))
    # The odds of 0.9 against those of 0.05: 9 / (9 + 1 / 19).
    assert "Dog 99 yes 98 99" in page.text and "Cat, kitten 68 no 68 –" in page.text


def test_pictures_are_inside_and_described(tagging):
    mel, spoke = Page(render(tagging)).of("img")
    assert PIL.Image.open(io.BytesIO(decoded(mel["src"], "image/png"))).size == (80, 64)
    assert mel["alt"] == "Spectrogram of the clip's sound"
    assert PIL.Image.open(io.BytesIO(decoded(spoke["src"], "image/jpeg"))).size == (16, 12)
    assert spoke["alt"] == "The picture at 1.2 s"


def test_events_and_pictures_can_be_played(tagging):
    page = Page(render(tagging))
    stretch, moment = page.of("button")
    assert stretch["aria-label"] == "Play Dog, 0.5 to 1.5 s" and stretch["data-seek"] == "0.500"
    assert (
        stretch["style"] == "left:min(25.000%,100% - 6px);width:50.000%"
        and moment["data-seek"] == "1.250"
    )
    (timeline,) = [each for each in page.of("figure") if each.get("class") == "timeline"]
    assert timeline["data-duration"] == "2.000"


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
    text = render(evil, unmapped=[EVIL], guesses=[Guess(EVIL, "sound", EVIL, 0.7)])
    page = Page(text)
    assert not page.of("script") and "<script" not in text
    assert page.text.count(EVIL) == 11
    assert {each["aria-label"] for each in page.of("button") if "aria-label" in each} == {
        f"Play {EVIL}, 0.0 to 1.0 s"
    }
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
    assert page.of("button") == [] and headline(silent) == (
        "None of the labels was found; the nearest is Dog"
    )
    far = dataclasses.replace(silent, tags=(Tag("Dog", 0.001, False),))
    assert headline(far) == "None of the labels was found"  # the table says 0


def test_labels_that_nothing_is_near_to_and_damage_are_shown(tagging):
    page = Page(render(dataclasses.replace(tagging, problem="it ends early"), ["Tax", "Rent"]))
    assert "Not known: Tax; Rent. Nothing that the page knows is near to them" in page.text
    assert "Of this file: it ends early." in page.text


def test_what_a_label_was_taken_for_is_shown_and_many_are_folded(tagging):
    guesses = [Guess("Dog", "sound", "Growling", 0.72), Guess("Dog", "image", "wolf", 0.789)]
    page = Page(render(tagging, guesses=guesses))
    assert "Guessed: the page knows no such names and took the nearest." in page.text
    assert "Dog : listened for Growling, nearness 0.72 of 1" in page.text
    assert "Dog : looked for wolf, nearness 0.79 of 1" in page.text
    assert "open" in page.of("details")[0]
    assert "open" not in Page(render(tagging, guesses=3 * guesses)).of("details")[0]
    assert "Guessed" not in Page(render(tagging)).text


@pytest.mark.parametrize(
    ("unmapped", "guessed", "words"),
    [
        ((), (), ""),
        (("Tax",), (), "Not known: Tax."),
        ((), ("Woof", "Woof"), "Guessed: Woof."),
        (tuple("abcde"), ("Woof",), "Guessed: Woof. Not known: a; b; c; 2 more."),
    ],
)
def test_doubts_are_one_line(unmapped, guessed, words):
    assert doubts(unmapped, [Guess(label, "sound", "Bark", 0.7) for label in guessed]) == words


def test_reasons_stand_in_the_order_of_the_tags(tagging):
    reasons = [
        Reason(label, "audio", f"heard {label}", 0.5, 0.5, 0.0) for label in ("Cat, kitten", "Dog")
    ]
    text = Page(render(dataclasses.replace(tagging, reasons=tuple(reasons)))).text
    assert text.index("heard Dog") < text.index("heard Cat, kitten")


def _of_labels(tagging, others):
    """Return the tagging with these in the place of the second label."""
    n = 1 + len(others)
    return dataclasses.replace(
        tagging,
        tags=(tagging.tags[0], *others),
        labels=("Dog", *(tag.label for tag in others)),
        thresholds=np.full(n, 0.5, np.float32),
        frame_scores=np.full((20, n), 0.1, np.float32),
    )


def test_of_many_labels_the_rest_is_counted(tagging):
    many = tuple(Tag(f"Label {i}", 0.1, False) for i in range(30))
    page = Page(render(_of_labels(tagging, many)))
    assert "21 more labels are less sure." in page.text


def test_classes_that_exclude_each_other_have_a_best_one(tagging):
    classes = dataclasses.replace(tagging, task=MULTI_CLASS)
    page = Page(render(classes))
    assert "Dog 90 yes 70 80" in page.text and "Their shares sum to 100" in page.text
    assert "sure" not in page.text and "How the best class changes" in page.text
    assert headline(classes) == "Dog is the best of the classes"
    none = dataclasses.replace(classes, tags=classes.tags[1:])
    assert headline(none) == "No class was found"


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
        reasons=(),
        pictures=(),
    )
    page = Page(render(values))
    assert "Values, between -3 and 3." in page.text and "mood -1.25 -1.25 –" in page.text
    assert "mood 0.0 2.0 -1.25 sound" in page.text and "Mean value" in page.text
    for word in ("Found", "found", "Share", "share", "sure"):
        assert word not in page.text
    assert page.of("button")[0]["aria-label"] == "Play mood -1, 0.0 to 2.0 s"
    assert page.of("line") == [] and headline(values) == "mood: -1.25"


def events(label, *times, modality="audio"):
    return tuple(TimedTag(label, begin, end, 0.9, modality) for begin, end in times)


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (events("Dog", (2, 3)), "Dog, 2.0 to 3.0 s"),
        (events("Dog", (2, 3), (8, 8.5)), "Dog, 2.0 to 3.0 and 8.0 to 8.5 s"),
        (events("Dog", (0, 1), (2, 3), (4, 5)), "Dog, 0.0 to 1.0, 2.0 to 3.0 and 4.0 to 5.0 s"),
        (
            events("Dog", (0, 1), (2, 3), (4, 5), (6, 7)),
            "Dog, 0.0 to 1.0, 2.0 to 3.0, 4.0 to 5.0 s and 1 more time",
        ),
        (events("Dog", (0, 9), modality="video"), "Dog, seen 0.0 to 9.0 s"),
        ((), "Dog, somewhere in the clip"),
    ],
)
def test_the_headline_says_what_and_when(tagging, found, words):
    assert headline(dataclasses.replace(tagging, events=found)) == words


def test_of_many_that_were_found_the_headline_names_three(tagging):
    tags = tuple(Tag(name, 0.9, True) for name in "abcde")
    many = dataclasses.replace(tagging, tags=tags, events=events("b", (0, 1)))
    assert headline(many) == (
        "a, somewhere in the clip; b, 0.0 to 1.0 s; c, somewhere in the clip; and 2 more labels"
    )
