"""Host and Origin of requests: those of the page are taken, all others refused in a sentence."""

import socket

import pytest

from mmat.app.hosts import Hosts
from mmat.files import InputError

HERE = ("127.0.0.1", 7860)
OTHER_NAMES = [
    "evil.example:7860",
    "evil.example",
    "localhost",  # another server's port
    "localhost:80",
    "localhost:7861",
    "127.0.0.1:78600",
    "127.0.0.2:7860",
    "10.0.0.7:7860",
    "[::2]:7860",
    "localhost.evil.example:7860",
    "evil.localhost:7860",
    "127.0.0.1.evil.example:7860",
    "xlocalhost:7860",
    "127.1:7860",  # browsers write these in full
    "2130706433:7860",
    "0x7f000001:7860",
    "127.0.0.01:7860",
]
NO_NAMES = [
    "",
    " ",
    ":7860",
    ".",
    "..:7860",
    "user@localhost:7860",
    "localhost:7860@evil.example",
    "localhost:7860/",
    "localhost:7860,evil.example",
    "localhost:7860 evil.example",
    "localhost:7860\t",
    "localhost:7860\n",
    "localhost:+7860",
    "localhost:７８６０",
    "localhost:",
    "ｌocalhost:7860",
    "localhost\x00:7860",
    "[::1:7860",
    "::1:7860",
    "[::1]evil:7860",
    "[localhost]:7860",
    "http://localhost:7860",
    "*",
    "a" * 300,
]


@pytest.mark.parametrize(
    "host",
    [
        "localhost:7860",
        "LOCALHOST:7860",
        "localhost.:7860",
        "127.0.0.1:7860",
        "[::1]:7860",
        "[0:0:0:0:0:0:0:1]:7860",
        "localhost:07860",
    ],
)
def test_the_page_has_all_loopback_names_with_its_port(host):
    for listening in ("127.0.0.1", "localhost", "::1", "0.0.0.0", "::"):
        assert Hosts(listening).refusal([host], [], HERE) is None
        assert Hosts(listening).refusal([host], [f"http://{host}"], HERE) is None


@pytest.mark.parametrize("host", OTHER_NAMES)
def test_another_name_is_refused_and_the_option_said(host):
    for listening in ("127.0.0.1", "::1", "0.0.0.0"):
        refusal = Hosts(listening, ["tags.example.org"]).refusal([host], [], HERE)
        assert refusal.endswith(f"start the page with --allow-host {host}")
        assert Hosts(listening, [host]).refusal([host], [], HERE) is None


@pytest.mark.parametrize("hosts", [[], *[[host] for host in NO_NAMES], ["localhost:7860"] * 2])
def test_what_names_no_host_is_refused_and_not_repeated(hosts):
    refusal = Hosts("127.0.0.1", ["tags.example.org"]).refusal(hosts, [], HERE)
    assert refusal.startswith("the request does not say in one Host header")
    assert "--allow-host" in refusal and "evil" not in refusal and "\n" not in refusal


@pytest.mark.parametrize(
    "origin",
    [
        "null",
        "",
        "*",
        "localhost:7860",
        "http://",
        "file://",
        "ftp://localhost:7860",
        "chrome-extension://abcdefghijklmnop",
        "http://localhost",
        "https://localhost",
        "http://localhost:3000",  # another server of this machine
        "http://localhost:7860/",
        "http://localhost:7860.evil.example",
        "http://localhost:7860@evil.example",
        "http://user@localhost:7860",
        "http://localhost:7860 http://evil.example",
        "http://evil.example",
        "https://evil.example:7860",
        "http://tags.example.org:81",
        "http://xtags.example.org",
    ],
)
def test_another_origin_is_refused(origin):
    hosts = Hosts("127.0.0.1", ["tags.example.org"])
    for host in ("localhost:7860", "tags.example.org"):
        refusal = hosts.refusal([host], [origin], HERE)
        assert refusal.startswith("this page takes nothing from") and "--allow-host" in refusal
    own = "http://localhost:7860"
    assert hosts.refusal(["localhost:7860"], [own, origin], HERE) is not None


def test_a_proxy_may_have_its_own_name_or_pass_it_on():
    hosts = Hosts("127.0.0.1", ["Tags.example.org.", "other.example:8443", "bücher.example"])
    for origin in ("https://tags.example.org", "http://TAGS.example.org:7860"):
        for host in ("localhost:7860", "tags.example.org", "tags.example.org:443"):
            assert hosts.refusal([host], [origin], HERE) is None
    assert hosts.refusal(["other.example:8443"], ["https://other.example:8443"], HERE) is None
    assert hosts.refusal(["xn--bcher-kva.example"], [], HERE) is None
    for host in ("other.example", "tags.example.org:8443"):
        assert "--allow-host" in hosts.refusal([host], [], HERE)


def test_on_all_addresses_the_one_that_was_reached_counts():
    hosts, there = Hosts("0.0.0.0"), ("192.168.1.5", 7860)
    assert hosts.refusal(["192.168.1.5:7860"], ["http://192.168.1.5:7860"], there) is None
    assert hosts.refusal([f"{socket.gethostname()}:7860"], [], there) is None
    assert hosts.refusal(["192.168.1.6:7860"], [], there) is not None
    assert hosts.refusal(["192.168.1.5:7860"], [], ("::ffff:192.168.1.5", 7860)) is None
    assert hosts.refusal(["[fe80::1]:7860"], [], ("fe80::1%eth0", 7860)) is None
    assert hosts.refusal(["0.0.0.0:7860"], [], HERE) is None  # as some type it
    alone = Hosts("127.0.0.1").refusal([f"{socket.gethostname()}:7860"], [], HERE)
    assert alone is not None


def test_default_ports_need_no_number():
    for port, origin in ((80, "http://localhost"), (443, "https://localhost")):
        here = ("127.0.0.1", port)
        assert Hosts("127.0.0.1").refusal(["localhost"], [origin], here) is None
        assert Hosts("127.0.0.1").refusal([f"localhost:{port}"], [origin], here) is None
    assert Hosts("localhost").refusal(["localhost"], ["https://localhost"], ("::1", 80))


@pytest.mark.parametrize(
    "name", ["", "*", "*.example.org", "https://tags.example.org", "a b", "a/b", "a:x", "ä" * 90]
)
def test_a_name_that_is_none_is_said(name):
    with pytest.raises(InputError, match="--allow-host .*: this is no name of a host; write"):
        Hosts("127.0.0.1", [name])
