"""What the pages say of the folders, of each other and of the commands holds."""

import pathlib
import re

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
each_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)


def test_architecture_names_every_module():
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(mmat/[\w/]*)` \| ([\w, ]+) \|$", text, re.MULTILINE)
    named = {f"{folder}{name}.py" for folder, names in rows for name in names.split(", ")}
    modules = {
        str(path.relative_to(ROOT))
        for path in (ROOT / "mmat").rglob("*.py")
        if not path.name.startswith("__")
    }
    assert len(rows) > 10 and named == modules


@each_page
def test_paths_of_modules_exist(page):
    named = re.findall(r"`(mmat/[\w/]+\.(?:py|html|js|css))\b", page.read_text(encoding="utf-8"))
    assert [path for path in named if not (ROOT / path).is_file()] == []


@each_page
def test_links_to_files_lead_somewhere(page):
    links = re.findall(r"\]\(([\w./-]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8"))
    assert [link for link in links if not (page.parent / link).exists()] == []


@each_page
def test_commands_are_named_as_in_readme(page):
    """README says how `mmat` comes onto the path, and from there on all pages have it there."""
    assert re.findall(r"\.venv/bin/(?:mmat|python).*", page.read_text(encoding="utf-8")) == []
