"""The system's Chromium without a window, and what a person does in it on the page."""

import contextlib
import os
import pathlib
import re
import shutil
import urllib.parse
from collections.abc import Iterator

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserType, Page, sync_playwright

RESULT_MILLISECONDS = 120_000
SEVERE = {"serious", "critical"}
# A microphone that beeps.
MICROPHONE = ["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]


@contextlib.contextmanager
def chromium(with_microphone: bool = True) -> Iterator[Browser]:
    """Start the browser that the system has; nothing is downloaded."""
    with sync_playwright() as playwright:
        browser = launched(playwright.chromium, MICROPHONE if with_microphone else [])
        yield browser
        browser.close()


def launched(kind: BrowserType, arguments: list[str]) -> Browser:
    """Start the browser that the system has, with arguments of its own."""
    if os.getuid() == 0:  # Chromium's sandbox is not for root
        arguments = [*arguments, "--no-sandbox"]
    path = shutil.which("chromium")
    assert path, "no chromium here; `make test-page` installs Debian's"
    return kind.launch(executable_path=path, args=arguments)


class Window:
    """A window of the browser, at an address.

    width: in pixels. hosts: all that the browser loaded from, data and blobs aside. errors: what
    the page's scripts threw.
    """

    def __init__(self, browser: Browser, address: str, width: int = 1000, **options):
        context = browser.new_context(viewport={"width": width, "height": 900}, **options)
        self.page: Page = context.new_page()
        self.page.set_default_timeout(60_000)
        self.hosts: set[str] = set()
        self.errors: list[str] = []
        self.page.on("request", self._note)
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.goto(address)

    def _note(self, request) -> None:
        url = urllib.parse.urlsplit(request.url)
        if url.scheme not in ("data", "blob"):
            self.hosts.add(url.netloc)

    def overflow(self) -> list[str]:
        """Return what reaches beyond the window's sides; nothing can be scrolled to there."""
        return self.page.evaluate(
            """() => [document.scrollingElement, ...document.querySelectorAll("body *")]
                .filter(each => each.scrollWidth > innerWidth
                    || each.getBoundingClientRect().right > innerWidth + 0.5)
                .map(each => `${each.tagName} ${each.id} ${each.className}`)"""
        )

    def faults(self) -> list[str]:
        """Return the serious and critical accessibility faults that axe-core finds."""
        found = Axe().run(self.page).response
        assert len(found["passes"]) > 10
        return [
            f"{fault['id']} ({fault['impact']}): {node['html'][:200]}"
            for fault in found["violations"]
            if fault["impact"] in SEVERE
            for node in fault["nodes"]
        ]


class Visit(Window):
    """A visit to the page of `mmat app`."""

    def __init__(self, browser: Browser, address: str, width: int = 1000, **options):
        super().__init__(browser, address, width, **options)
        self.button.wait_for()

    @property
    def button(self):
        return self.page.get_by_role("button", name="Tag the clip")

    @property
    def labels(self):
        """The field in which labels are typed."""
        return self.page.get_by_label("Labels to look for")

    @property
    def options(self):
        """The names that are offered for what is typed."""
        return self.page.locator("#labels [role=option]")

    def look_for(self, *labels: str) -> None:
        """Take the labels away that are there, and type these."""
        clear = self.page.locator("#labels .remove-all")
        if clear.count():
            clear.click()
        for label in labels:
            self.labels.fill(label)
            self.labels.press("Enter")
        self.labels.press("Escape")

    def chosen_labels(self) -> list[str]:
        return [text.strip() for text in self.page.locator("#labels .token").all_inner_texts()]

    @property
    def taggers(self):
        return self.page.get_by_role("radiogroup", name="Tagger")

    def tagger(self) -> str:
        """Return the name of the tagger that is chosen."""
        return self.taggers.get_by_role("radio", checked=True).get_attribute("value")

    @property
    def result(self):
        return self.page.locator("#result section")

    def upload(self, path: pathlib.Path) -> None:
        """Choose a file, and wait until it is on the server."""
        with self.page.expect_response(re.compile(r"/upload\b")):
            self.page.locator("input[type=file]").first.set_input_files(path)
        self.page.get_by_text(re.compile(r"[\d.]+ [KM]?B")).first.wait_for()

    def tag(self) -> str:
        """Press the button and return the message that comes."""
        with self.next_message():
            self.button.click()
        return self.message()

    def message(self) -> str:
        return self.page.locator("#message p").inner_text()

    @property
    def media(self):
        """The player of the answer's clip."""
        return self.result.get_by_label("The clip")

    def playing_seconds(self) -> float:
        return self.media.evaluate("media => media.currentTime")

    @contextlib.contextmanager
    def next_message(self) -> Iterator[None]:
        """Wait at the end until another message than before has come."""
        mark = "document.querySelectorAll('#message p').forEach(p => p.dataset.old = 'yes')"
        self.page.evaluate(mark)
        yield
        self.page.locator("#message p:not([data-old])").wait_for(timeout=RESULT_MILLISECONDS)
