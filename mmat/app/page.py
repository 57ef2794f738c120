"""The page: a clip and labels in, what the clip holds out, in Gradio and one piece of HTML.

The result carries its pictures and its event list inside it. Names of clips and labels are
untrusted: the template escapes every one of them.
"""

import base64
import dataclasses
import functools
import html
import importlib.resources
import io
import json
import logging
import pathlib
import threading
from collections.abc import Sequence

import gradio as gr
import numpy as np

from mmat.app.taggers import EXAMPLE, TYPED, Taggers
from mmat.app.uploads import Uploads
from mmat.files import InputError
from mmat.tagging.result import BOTH, Picture, Tagging, events_form, plot

TITLE = "What sounds in a clip"
MOST_WAITING = 16  # requests; one is tagged at a time
CSS = """
.gradio-container { max-width: 60rem !important; margin: 0 auto; }
.wrap .or { color: inherit; }
.result table { border-collapse: collapse; width: 100%; margin: 0.5rem 0 1rem; }
.result caption { text-align: left; padding: 0.25rem 0; }
.result th, .result td { text-align: left; padding: 0.3rem 0.6rem; border-bottom: 1px solid #8888; }
.result th[scope=row] { font-weight: 400; }
.result tr.fired th, .result tr.fired td { font-weight: 700; }
.result img.timeline { width: 100%; height: auto; background: white; }
.result ul.pictures { display: flex; flex-wrap: wrap; gap: 1rem; padding: 0; list-style: none; }
.result ul.pictures img { height: 120px; width: auto; }
.result figure { margin: 0; }
.result a.download { text-decoration: underline; }
.message { border-left: 4px solid #b45309; padding: 0.25rem 0.75rem; }
.message.done { border-color: #15803d; }
"""

# Gradio's radio buttons are no group: neither the arrow keys nor a screen reader know what belongs
# together. It names each of them anew at every choice.
GROUP = """() => {
  const group = document.getElementById("tagger");
  if (!group) return;
  group.setAttribute("role", "radiogroup");
  group.setAttribute("aria-label", "Tagger");
  const join = () => group.querySelectorAll("input:not([name=tagger])").forEach(
    radio => { radio.name = "tagger"; });
  new MutationObserver(join).observe(group, {subtree: true, attributeFilter: ["name"]});
  join();
}"""
SHOW_LABELS = f"name => ({{__type__: 'update', visible: name === {json.dumps(TYPED)}}})"

LEAST_ROWS = 10  # of the table of tags
_SENSES = {"audio": "sound", "video": "picture", BOTH: "both"}


def theme() -> gr.themes.Base:
    """Return plain looks: fonts of the machine, and a button that is dark enough to be read."""
    looks = gr.themes.Base(font=["system-ui", "sans-serif"], font_mono=["monospace"])
    blue, darker = "#1d4ed8", "#1e3a8a"
    return looks.set(
        button_primary_background_fill=blue,
        button_primary_background_fill_dark=blue,
        button_primary_background_fill_hover=darker,
        button_primary_background_fill_hover_dark=darker,
    )


def build(uploads: Uploads, taggers: Taggers) -> gr.Blocks:
    """Return the page, which is not served yet."""
    one_at_a_time = threading.Lock()  # also for requests that come in beside the queue

    def tag(
        file: str | None, recording: str | None, labels: str, tagger: str | None
    ) -> tuple[str, str]:
        """Return a message, and the result or an empty text."""
        try:
            with one_at_a_time:
                return _tag(uploads, taggers, file or recording, labels, tagger)
        except InputError as error:
            return _message(str(error)), ""
        except Exception:  # the page goes on; what it was stands in the log alone
            logging.getLogger(__name__).exception("a clip could not be tagged")
            return _message("something went wrong here; the page's log says what"), ""
        finally:
            for upload in (file, recording):
                uploads.discard(upload)

    with gr.Blocks(title=TITLE, analytics_enabled=False) as page:
        gr.Markdown(f"# {TITLE}\n\n{_introduction(uploads)}")
        file = _path_alone(gr.File(label="Audio or video file", file_count="single"))
        recording = _path_alone(
            gr.Audio(label="Or a recording", sources=["microphone"], type="filepath")
        )
        tagger = gr.Radio(
            taggers.names,
            value=taggers.chosen,
            label="Tagger",
            visible=len(taggers.names) > 1,
            elem_id="tagger",
        )
        labels = gr.Textbox(
            label="Labels to look for, separated by ;",
            value=EXAMPLE,
            max_lines=3,
            visible=taggers.chosen == TYPED,
        )
        button = gr.Button("Tag the clip", variant="primary")
        message = gr.HTML(container=False, elem_id="message")
        result = gr.HTML(container=False, elem_id="result")
        # The later one of the two counts; it is the browser that empties the other.
        file.upload(None, outputs=recording, js="() => null", api_visibility="private")
        recording.stop_recording(None, outputs=file, js="() => null", api_visibility="private")
        tagger.change(None, tagger, labels, js=SHOW_LABELS, api_visibility="private")
        page.load(None, js=GROUP, api_visibility="private")
        gr.on(
            [button.click, labels.submit],
            tag,
            [file, recording, labels, tagger],
            [message, result],
            api_name="tag",
            concurrency_limit=1,
            trigger_mode="once",
        )
    return page.queue(max_size=MOST_WAITING, api_open=True)


def _tag(
    uploads: Uploads, taggers: Taggers, upload: str | None, labels: str, name: str | None
) -> tuple[str, str]:
    if not upload:
        raise InputError("there is no clip yet; choose a file or record one")
    # First of all, so that the upload is gone and yet remembered if the labels are refused.
    media = uploads.read(upload, taggers.pictures_hz)
    tagger = taggers.get(name, labels)
    tagging = tagger.tag(media, with_mel=True)
    tagging = dataclasses.replace(tagging, file=pathlib.PurePath(upload).name)
    done = html.escape(summary(tagging))
    message = f'<p class="message done" role="status">{done}</p>'
    return message, render(tagging, tagger.unmapped)


def _message(text: str) -> str:
    return f'<p class="message" role="alert"><strong>Not tagged:</strong> {html.escape(text)}.</p>'


def _introduction(uploads: Uploads) -> str:
    limits = uploads.limits
    return (
        "Choose a file or record a clip, and see what sounds in it and when. It takes up to "
        f"{limits.seconds:g} seconds and {limits.megabytes:g} MB. The file stays on this machine "
        "and is deleted when the result is there."
    )


def _path_alone(component):
    """Let Gradio neither open nor copy nor fetch what is sent; `Uploads` reads it."""

    async def as_it_is(path):
        return path

    component.preprocess = lambda payload: None if payload is None else payload.path
    component.async_move_resource_to_block_cache = as_it_is
    return component


def summary(tagging: Tagging) -> str:
    """Return in a line what was found: how many tags fired, the best class, or the values.

    >>> nothing = np.zeros(0)
    >>> summary(Tagging("a", 1.0, ("Dog",), *[nothing] * 3, np.array([False]), (), (), True, False))
    'No tags fired.'
    """
    fired = [tag for tag in tagging.tags if tag.fired]
    if tagging.task.is_regression:
        return "; ".join(f"{tag.label}: {tag.score:.2f}" for tag in fired) + "."
    if tagging.task.is_multi_class:
        return f"{fired[0].label} is the best of the classes." if fired else "No class was found."
    return f"{len(fired) or 'No'} {'tag' if len(fired) == 1 else 'tags'} fired."


def render(tagging: Tagging, unmapped: Sequence[str] = ()) -> str:
    """Return the result as HTML: tags, timeline, pictures that spoke, events to download.

    tagging: made `with_mel`. unmapped: labels of which the tagger knows nothing.
    """
    name = pathlib.PurePath(tagging.file)
    events = "".join(events_form().write([tagging]))
    n_rows = max(LEAST_ROWS, int(np.sum(tagging.fired)))
    order = {tag.label: place for place, tag in enumerate(tagging.tags[:n_rows])}
    reasons = [reason for reason in tagging.reasons if reason.label in order]
    return _template().render(
        tagging=tagging,
        tags=tagging.tags[:n_rows],
        n_left_out=len(tagging.tags) - n_rows,
        is_value=tagging.task.is_regression,
        multi_class=tagging.task.is_multi_class,
        reasons=sorted(reasons, key=lambda reason: order[reason.label]),
        senses=" and ".join(["sound"] * tagging.has_audio + ["pictures"] * tagging.has_video),
        sense=_SENSES.get,
        unmapped=unmapped,
        timeline=_uri("image/png", _timeline(tagging)),
        spoken=" ".join(
            f"{tagging.text_of(e)} from {e.onset_seconds:.1f} to {e.offset_seconds:.1f} s."
            for e in tagging.events
        ),
        pictures=[(_uri("image/jpeg", _jpeg(p)), p) for p in tagging.pictures],
        events_uri=_uri("text/tab-separated-values;charset=utf-8", events.encode()),
        events_file=f"{name.stem or 'clip'}-events.tsv",
    )


@functools.cache
def _template():
    import jinja2

    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    text = importlib.resources.files("mmat.app").joinpath("result.html").read_text("utf-8")
    return environment.from_string(text)


def _timeline(tagging: Tagging) -> bytes:
    png = io.BytesIO()
    plot(tagging, png)
    return png.getvalue()


def _jpeg(picture: Picture) -> bytes:
    import PIL.Image

    jpeg = io.BytesIO()
    PIL.Image.fromarray(picture.image).save(jpeg, "JPEG", quality=85)
    return jpeg.getvalue()


def _uri(kind: str, data: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(data).decode('ascii')}"
