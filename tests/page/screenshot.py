"""Take pictures of the page for the docs, wide and narrow: `python -m tests.page.screenshot docs`.

They are `app.png` and `app_narrow.png`.
"""

import pathlib
import sys
import tempfile

from mmat.app.server import serving
from tests.page.browser import Visit, chromium
from tests.page.fire_engine import write_clip

WIDTHS = {"app.png": 1280, "app_narrow.png": 375}


def take(folder: pathlib.Path) -> None:
    """Tag the fire engine, and take pictures of the whole page."""
    with tempfile.TemporaryDirectory() as own, serving(port=None) as address:
        clip = write_clip(pathlib.Path(own))
        with chromium(with_microphone=False) as browser:
            for name, width in WIDTHS.items():
                visit = Visit(browser, address, width, color_scheme="light")
                visit.upload(clip)
                print(visit.tag())
                visit.media.evaluate("media => { media.currentTime = 4 }")
                visit.page.mouse.move(0, 0)
                visit.page.wait_for_timeout(2000)  # what fades in is there
                visit.page.screenshot(path=folder / name, full_page=True)


if __name__ == "__main__":
    take(pathlib.Path(sys.argv[1]))
