"""The page: a clip and labels in, what the clip holds out, in Gradio and one piece of HTML.

What the page does in the browser is in `page.js`: it plays the browser's own copy of the clip.
"""

import dataclasses
import html
import importlib.resources
import json
import logging
import pathlib
import threading
from collections.abc import Callable

import gradio as gr

from mmat.app.answer import doubts, headline, render
from mmat.app.taggers import EXAMPLE, MOST_LABELS, TYPED, Taggers, offered_names
from mmat.app.uploads import Uploads
from mmat.files import InputError

TITLE = "What sounds in a clip"
MOST_WAITING = 16  # requests; one is tagged at a time
SHOW_LABELS = f"name => ({{__type__: 'update', visible: name === {json.dumps(TYPED)}}})"
TAKE_RECORDING = """recording => {
  if (recording && recording.url)
    document.dispatchEvent(new CustomEvent("mmat-recorded", {detail: recording.url}));
  return null;
}"""
# What was not even taken, Gradio says in a corner that no screen reader hears.
TELL_REFUSAL = """async () => {
  await new Promise(resolve => setTimeout(resolve, 50));  // it is drawn meanwhile
  const told = [...document.querySelectorAll("[data-testid=toast-text]")].pop();
  const line = document.createElement("p");
  line.className = "message";
  line.setAttribute("role", "alert");
  line.innerHTML = "<strong>Not tagged:</strong> ";
  line.append(told ? told.textContent.trim() : "the page cannot be reached.");
  document.querySelectorAll("[data-testid=toast-close]").forEach(button => button.click());
  return [line.outerHTML, ""];
}"""
READ, LOADED = 0.2, 0.3  # shares of the way: the clip is read, what knows the labels is there

Progress = Callable[[float, str], None]


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


def css() -> str:
    """Return the page's looks."""
    return _part("page.css")


def build(uploads: Uploads, taggers: Taggers) -> gr.Blocks:
    """Return the page, which is not served yet."""
    one_at_a_time = threading.Lock()  # also for requests that come in beside the queue

    def tag(
        file: str | None,
        recording: str | None,
        labels: list[str] | str | None,
        tagger: str | None,
        progress: gr.Progress = gr.Progress(),  # noqa: B008  how Gradio asks for it
    ) -> tuple[str, str]:
        """Return a message, and the result or an empty text."""
        try:
            with one_at_a_time:
                clip = file or recording
                return _tag(uploads, taggers, clip, labels or (), tagger, progress)
        except InputError as error:
            return _message(str(error)), ""
        except Exception:  # the page goes on; what it was stands in the log alone
            logging.getLogger(__name__).exception("a clip could not be tagged")
            return _message("something went wrong on this page's side; try another clip"), ""
        finally:
            for upload in (file, recording):
                uploads.discard(upload)

    with gr.Blocks(title=TITLE, analytics_enabled=False) as page:
        gr.Markdown(f"# {TITLE}\n\n{_introduction(uploads)}")
        file = _path_alone(
            gr.File(label="Audio or video file", file_count="single", elem_id="file")
        )
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
        labels = gr.Dropdown(
            offered_names(),
            value=list(EXAMPLE),
            label="Labels to look for",
            info="Type and choose, or press Enter for words of your own.",
            multiselect=True,
            allow_custom_value=True,
            max_choices=MOST_LABELS,
            visible=taggers.chosen == TYPED,
            elem_id="labels",
        )
        button = gr.Button("Tag the clip", variant="primary", elem_id="ask")
        message = gr.HTML(container=False, elem_id="message")
        result = gr.HTML(container=False, elem_id="result")
        # The later one of the two counts; it is the browser that empties the other.
        file.upload(None, outputs=recording, js="() => null", api_visibility="private")
        recording.stop_recording(None, recording, file, js=TAKE_RECORDING, api_visibility="private")
        tagger.change(None, tagger, labels, js=SHOW_LABELS, api_visibility="private")
        page.load(None, js=_part("page.js"), api_visibility="private")
        asked = button.click(
            tag,
            [file, recording, labels, tagger],
            [message, result],
            api_name="tag",
            concurrency_limit=1,
            trigger_mode="once",
            show_progress_on=message,
        )
        asked.failure(
            None,
            None,
            [message, result],
            js=TELL_REFUSAL,
            show_progress="hidden",
            api_visibility="private",
        )
    return page.queue(max_size=MOST_WAITING, api_open=True)


def _tag(
    uploads: Uploads,
    taggers: Taggers,
    upload: str | None,
    labels: list[str] | str,
    name: str | None,
    progress: Progress,
) -> tuple[str, str]:
    if not upload:
        raise InputError("there is no clip yet; choose a file or record one")
    progress(0.0, desc="Reading the clip")
    # First of all, so that the upload is gone and yet remembered if the labels are refused.
    windows = uploads.read(upload, taggers.spec(name))
    progress(READ, desc="Finding what the labels mean")
    tagger = taggers.get(name, labels)

    def tell(done_seconds: float, whole_seconds: float) -> None:
        share = min(1.0, done_seconds / whole_seconds)
        words = f"Listening, {done_seconds:.0f} of {whole_seconds:.0f} s"
        progress(LOADED + (1 - LOADED) * share, desc=words)

    progress(LOADED, desc="Listening")
    tagging = tagger.tag(windows, with_mel=True, progress=tell)
    tagging = dataclasses.replace(tagging, file=pathlib.PurePath(upload).name)
    unmapped, guesses = tagger.unmapped, tagger.guesses if name == TYPED else ()
    done = html.escape(headline(tagging))
    doubtful = html.escape(doubts(unmapped, guesses))
    aside = f' <span class="doubts">{doubtful}</span>' if doubtful else ""
    message = f'<p class="message done" role="status">{done}.{aside}</p>'
    return message, render(tagging, unmapped, guesses)


def _message(text: str) -> str:
    return f'<p class="message" role="alert"><strong>Not tagged:</strong> {html.escape(text)}.</p>'


def _introduction(uploads: Uploads) -> str:
    limits = uploads.limits
    return (
        "Choose a file or record a clip, and see what sounds in it and when. It takes up to "
        f"{limits.seconds:g} seconds and {limits.megabytes:g} MB. The page deletes the file "
        "when the result is there, and sends it nowhere else."
    )


def _part(name: str) -> str:
    return importlib.resources.files("mmat.app").joinpath(name).read_text("utf-8")


def _path_alone(component):
    """Let Gradio neither open nor copy nor fetch what is sent; `Uploads` reads it."""

    async def as_it_is(path):
        return path

    component.preprocess = lambda payload: None if payload is None else payload.path
    component.async_move_resource_to_block_cache = as_it_is
    return component
