"""Take pictures of a training in TensorBoard for the docs: `python -m tests.page.board LOGS docs`.

LOGS: what experiments/train.py leaves as `OUT/tensorboard`. They are `tensorboard.png` and
`tensorboard_clips.png`.
"""

import pathlib
import sys

from tensorboard.program import TensorBoard

from tests.page.browser import chromium

SIZE = {"width": 1280, "height": 900}
DRAWN_MILLISECONDS = 6000  # until curves and pictures have come


def take(logs: pathlib.Path, folder: pathlib.Path) -> None:
    """Show the curves, without the panel of settings, and the fixed clips."""
    board = TensorBoard()
    board.configure(argv=[None, "--logdir", str(logs), "--port", "0"])
    address = board.launch()
    with chromium(with_microphone=False) as browser:
        page = browser.new_page(viewport=SIZE)
        page.goto(f"{address}#timeseries")
        page.get_by_label("Close side pane").click()  # the panel of settings
        page.get_by_label("Fit line chart domains").first.wait_for()
        page.mouse.move(0, 0)
        page.wait_for_timeout(DRAWN_MILLISECONDS)
        page.screenshot(path=folder / "tensorboard.png")
        page.goto(f"{address}#images")
        page.wait_for_timeout(DRAWN_MILLISECONDS)
        page.screenshot(path=folder / "tensorboard_clips.png")


if __name__ == "__main__":
    take(*map(pathlib.Path, sys.argv[1:]))
