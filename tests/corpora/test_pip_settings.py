import os

import pytest

from mmat.corpora.source_archives import read_pip_settings
from mmat.files import InputError


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch):
    for name in os.environ:
        if name.startswith("PIP_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)  # then pip reads no file at all


def test_where_nothing_is_set_there_is_pips_own_index():
    settings = read_pip_settings()
    (index,) = settings.index_urls
    assert index.startswith("https://")
    assert (settings.find_links, settings.trusted_hosts, settings.certificates) == ((), (), "")


def test_variables_of_the_environment(monkeypatch):
    monkeypatch.setenv("PIP_INDEX_URL", "http://me:secret@localhost:1/simple")
    monkeypatch.setenv("PIP_EXTRA_INDEX_URL", "http://localhost:2/a http://localhost:3/b")
    monkeypatch.setenv("PIP_FIND_LINKS", "folder other")
    monkeypatch.setenv("PIP_TRUSTED_HOST", "localhost:3")
    monkeypatch.setenv("PIP_CERT", "trusted.pem")
    monkeypatch.setenv("PIP_PROXY", "http://localhost:4")
    monkeypatch.setenv("PIP_TIMEOUT", "7")
    settings = read_pip_settings()
    assert settings.index_urls == (
        "http://me:secret@localhost:1/simple",
        "http://localhost:2/a",
        "http://localhost:3/b",
    )
    assert settings.find_links == ("folder", "other")
    assert settings.trusted_hosts == ("localhost:3",)
    assert (settings.certificates, settings.proxy) == ("trusted.pem", "http://localhost:4")
    assert settings.timeout_seconds == 7


def test_a_file_whose_section_is_about_downloads_and_no_index(tmp_path, monkeypatch):
    (tmp_path / "pip.conf").write_text(
        "[global]\nindex-url = http://localhost:1\nextra-index-url =\n  http://localhost:2\n"
        "  http://localhost:3\n[install]\nindex-url = http://localhost:4\n"
        "[download]\nindex-url = http://localhost:5\n"
    )
    monkeypatch.setenv("PIP_CONFIG_FILE", str(tmp_path / "pip.conf"))
    found = read_pip_settings().index_urls
    assert found == ("http://localhost:5", "http://localhost:2", "http://localhost:3")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    assert read_pip_settings().index_urls == ()


def test_a_wrong_setting_is_reported_as_pip_tells_it(monkeypatch):
    monkeypatch.setenv("PIP_TIMEOUT", "soon")
    with pytest.raises(InputError, match="'soon'.*pip config list") as caught:
        read_pip_settings()
    assert "\n" not in str(caught.value)


def test_a_folder_named_pip_where_one_stands_is_not_asked(tmp_path, monkeypatch):
    (tmp_path / "pip").mkdir()
    (tmp_path / "pip" / "__init__.py").write_text("open('ran', 'w')")
    monkeypatch.chdir(tmp_path)
    assert read_pip_settings().index_urls
    assert not (tmp_path / "ran").exists()
