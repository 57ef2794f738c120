"""Take the picture of the page for the docs: `python -m tests.page.screenshot docs/app.png`."""

import pathlib
import sys
import tempfile

from mmat.app.server import serving
from tests.page.browser import Visit, chromium
from tests.page.fire_engine import write_clip


def take(path_png: pathlib.Path) -> None:
    """Tag the fire engine, and take a picture of the whole page."""
    with tempfile.TemporaryDirectory() as folder, serving(port=None) as address:
        clip = write_clip(pathlib.Path(folder))
        with chromium(with_microphone=False) as browser:
            visit = Visit(browser, address, color_scheme="light")
            visit.upload(clip)
            print(visit.tag())
            visit.page.mouse.move(0, 0)
            visit.page.wait_for_timeout(2000)  # what fades in is there
            visit.page.screenshot(path=path_png, full_page=True)


if __name__ == "__main__":
    take(pathlib.Path(sys.argv[1]))
