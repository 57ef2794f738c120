"""Results as tables and pictures."""

import pathlib

import numpy as np
import pytest
from PIL import Image

from benchmarks.figures import draw
from benchmarks.tables import NOT_MEASURED, PLACE, aims_table, amount, filled, table

PAGE = pathlib.Path(__file__).parents[2] / "docs" / "performance.md"
MACHINE = {
    "cpu": "a processor",
    "cores": 2,
    "instructions": ["avx2"],
    "memory_gb": 25,
    "system": "Linux x86_64",
    "python": "3.11.7",
    "packages": {"tensorflow": "2.17.1"},
    "float32_gigaflops": 100.0,
    "bfloat16_gigaflops": 200.0,
    "copied_gb_a_second": 10.0,
}


def row(ours: str, ratio: float, aim: float | None = 2.0, job: str = "tagging, batch 16") -> dict:
    ours_seconds = dict.fromkeys(("min", "median", "max"), 1 / ratio)
    peer_seconds = dict.fromkeys(("min", "median", "max"), 1.0)
    sides = {"ours_seconds": ours_seconds, "peer_seconds": peer_seconds}
    named = {"job": job, "ours": ours, "peer": "YAMNet"}
    return named | sides | {"ratio": ratio, "aim": aim, "floor_seconds": 0.1}


def test_an_aim_is_met_by_the_best_of_ours():
    text = aims_table([row("slow", 1.5), row("fast", 2.5), row("other", 9.0, aim=None)])
    assert [word in text for word in ("fast", "slow", "other")] == [True, False, False]
    assert " met " in text
    assert "**missed**" in aims_table([row("slow", 1.5)])


def test_amounts_have_units_that_suit_them():
    row = {"ours_seconds": {"min": 0.011, "median": 0.012, "max": 0.02}}
    assert amount(row, "ours") == "12 ms (11 to 20)"
    hours = {"ours_seconds": dict.fromkeys(("min", "median", "max"), 36000.0)}
    assert amount(hours, "ours") == "10 h"
    memory = {"ours_megabytes": {"min": 400.0, "median": 1412.0, "max": 1500.0}}
    assert amount(hours | memory, "ours") == "1,412 MB (400 to 1,500)"


def test_the_share_of_the_floor_is_in_the_table():
    assert "25 %" in table([row("fast", 2.5)])


def test_several_ways_and_several_peers_are_crossed():
    rows = [row(ours, 2.5) for ours in ("fast", "faster")]
    rows += [each | {"peer": "PyTorch", "ratio": 7.0} for each in rows]
    head, _, job, *ways = table(rows).splitlines()
    assert head.index("YAMNet") < head.index("PyTorch")
    assert job.count("1 s") == 2
    assert [line.split("|")[1].strip() for line in ways] == ["fast", "faster"]
    assert all("× 2.5" in line and "× 7" in line and "400 ms" in line for line in ways)


def test_a_page_is_filled_where_it_has_room():
    page = (
        "a\n<!-- results: tagging -->\nold\n<!-- end -->\nb\n<!-- results: none -->\n<!-- end -->"
    )
    found = filled(page, {"machine": MACHINE, "results": [row("fast", 2.5)]})
    assert "old" not in found and "YAMNet" in found
    assert found.startswith("a\n") and "\nb\n" in found
    assert NOT_MEASURED in found
    assert filled(found, {"machine": MACHINE, "results": [row("fast", 2.5)]}) == found


def test_the_page_has_room_for_every_job():
    places = [what for _, what, _ in PLACE.findall(PAGE.read_text(encoding="utf-8"))]
    assert {"machine", "aims"} <= set(places)
    wanted = ("log-mel", "tagging", "a training step", "input pipeline", "full training")
    wanted += ("decoding", "8 pictures", "prepare", "thresholds", "start-up", "first tag")
    wanted += ("mmat tag", "mmat evaluate")
    assert set(wanted) <= set(places)


@pytest.mark.parametrize("n", [1, 12])
def test_pictures_are_drawn(tmp_path, n):
    rows = [row("fast", 2.5, job=f"tagging, batch {i}") for i in range(n)]
    draw({"machine": MACHINE, "results": rows}, tmp_path)
    for name in ("aims.png", "floors.png"):
        with Image.open(tmp_path / name) as picture:
            assert picture.width > picture.height / (2 * n)
            assert len(np.unique(picture.convert("L"))) > 10


def test_nothing_is_drawn_of_nothing(tmp_path):
    draw({"results": [row("fast", 2.5, aim=None, job="prepare")]}, tmp_path)
    assert not list(tmp_path.iterdir())
