"""Source archives from pip's index, without building them: found, downloaded, checked, read.

`pip download` of a source archive runs its build, which is untrusted code. Here nothing of it is
run: unearth finds it in the places of pip's configuration, and named members are read out of it. A
user whose network has its own index, proxy or certificates configures pip alone (`pip config`,
`pip.conf`, `PIP_INDEX_URL` and the like): its settings are used here too.
"""

import contextlib
import csv
import dataclasses
import functools
import gzip
import hashlib
import json
import logging
import os
import pathlib
import ssl
import subprocess
import sys
import time
import urllib.parse
from collections.abc import Callable, Iterator, Mapping

import httpx2
import requests
from unearth import Link, PackageFinder
from unearth.auth import MultiDomainBasicAuth
from unearth.fetchers import PyPIClient

from mmat.corpora.downloads import PATIENCE, Patience, download, file_sha256
from mmat.files import MAX_BYTES, InputError, damage_as_error, iter_tar

# No command of pip prints the settings that result from its files and variables, nor its default
# index (`pip config list` does not). So its own command line parser is called.
_ASK = """
import json
from pip._internal.commands import create_command

options, _ = create_command("download").parse_args([])
indexes = [] if options.no_index else [options.index_url, *options.extra_index_urls]
print(json.dumps({
    "index_urls": indexes,
    "find_links": options.find_links,
    "trusted_hosts": options.trusted_hosts,
    "certificates": options.cert,
    "client_certificate": options.client_cert,
    "proxy": options.proxy,
    "timeout_seconds": options.timeout,
}))
"""


@dataclasses.dataclass(frozen=True)
class SourceArchive:
    """A source archive by project and version, and the sha256 of each member that is used.

    A member is named by its path below the archive's own folder, `PROJECT-VERSION/`.

    >>> SourceArchive("small-words", "1.0", "0" * 64, {}).file
    'small-words-1.0.tar.gz'
    """

    project: str
    version: str
    sha256: str
    members: Mapping[str, str]

    @property
    def file(self) -> str:
        """The archive's own name."""
        return f"{self.project}-{self.version}.tar.gz"

    def __str__(self) -> str:
        return f"{self.project}=={self.version}"


def read_source_archive(path: str | os.PathLike) -> SourceArchive:
    """Read a list of one archive's members: CSV, `project,version,member,sha256`.

    The row without a member is the archive itself.

    >>> from mmat.files import data_list
    >>> str(read_source_archive(data_list("speech_emotion", "sources.csv")))
    'nkululeko==1.14.1'
    """
    with open(path, encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    members = {row["member"]: row["sha256"] for row in rows}
    return SourceArchive(rows[0]["project"], rows[0]["version"], members.pop(""), members)


@dataclasses.dataclass(frozen=True)
class PipSettings:
    """Where pip looks for packages, and how it speaks to their hosts.

    index_urls: simple indexes, the first of them first; none where pip may ask none. find_links:
    folders, files and pages with links to archives. trusted_hosts: `HOST` or `HOST:PORT` whose
    certificates are not checked. certificates: path of those that are trusted, empty for the
    system's. client_certificate: path of the user's own. proxy: its address, empty for that of the
    environment.
    """

    index_urls: tuple[str, ...] = ()
    find_links: tuple[str, ...] = ()
    trusted_hosts: tuple[str, ...] = ()
    certificates: str = ""
    client_certificate: str = ""
    proxy: str = ""
    timeout_seconds: float = 15.0


def fetch_source_archive(
    archive: SourceArchive,
    folder: str | os.PathLike,
    progress: bool = True,
    patience: Patience = PATIENCE,
    settings: PipSettings | None = None,
) -> pathlib.Path:
    """Return the path of a source archive that has the right sha256.

    It is `folder/FILE`, downloaded unless it is there, or where pip looks for local archives.
    settings: pip's own by default. Raises InputError where no place has it, and as `download` does.
    """
    path = pathlib.Path(folder) / archive.file
    if path.is_file() and file_sha256(path) == archive.sha256:
        return path
    settings = read_pip_settings() if settings is None else settings
    sign_in = MultiDomainBasicAuth(prompting=False, index_urls=settings.index_urls)
    with _client(settings, sign_in) as client:
        link = _locate(archive, settings, client, patience)
    if link.is_file:
        return link.file_path
    url = link.split_auth()[1].partition("#")[0]
    get = _getter(url, settings, sign_in)
    return download(url, path, archive.sha256, progress=progress, patience=patience, get=get)


def read_members(
    archive: SourceArchive, path: str | os.PathLike, max_bytes: int = MAX_BYTES
) -> dict[str, bytes]:
    """Return the content of each listed member by its name.

    Raises InputError where one is missing or another one, and for an archive that is damaged or
    holds more than `max_bytes`.
    """
    top = f"{archive.project}-{archive.version}/"
    with damage_as_error(path, "source archive"), gzip.open(path) as stream:
        wanted = [top + member for member in archive.members]
        found = {
            name.removeprefix(top): content for name, content in iter_tar(stream, wanted, max_bytes)
        }
    for member, sha256 in archive.members.items():
        if member not in found:
            raise InputError(f"{path}: {member}: not in this archive; get {archive}")
        if (own := hashlib.sha256(found[member]).hexdigest()) != sha256:
            raise InputError(
                f"{path}: {member}: its sha256 is {own}, expected {sha256}; get {archive}"
            )
    return found


def read_pip_settings() -> PipSettings:
    """Return the settings of this environment's pip, read in a process of its own.

    Raises InputError where there is no pip, or its settings are wrong.

    >>> read_pip_settings().timeout_seconds > 0
    True
    """
    # -P: a folder named pip in the current folder is not imported.
    done = subprocess.run(
        [sys.executable, "-P", "-c", _ASK],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    try:
        settings = json.loads(done.stdout)
    except ValueError:
        lines = [*done.stdout.splitlines(), *done.stderr.splitlines()] or ["no answer"]
        raise InputError(
            f"pip of {sys.executable}: does not tell its settings: {lines[-1].strip()}; look at "
            "`python -m pip config list`, or install pip there"
        ) from None
    given = {name: value for name, value in settings.items() if value}
    return PipSettings(**{n: tuple(v) if isinstance(v, list) else v for n, v in given.items()})


def _locate(
    archive: SourceArchive, settings: PipSettings, client: PyPIClient, patience: Patience
) -> Link:
    """Return the first link to the archive, folders before indexes, that may have its sha256."""
    places = [{"find_links": [os.path.expanduser(each)]} for each in settings.find_links]
    places += [{"index_urls": [each]} for each in settings.index_urls]
    reasons: list[str] = [] if places else ["pip is told to look nowhere"]
    for place in places:
        ((where,),) = place.values()
        where = Link(where).redacted
        try:
            with _warnings_of_unearth(reasons):
                # Nothing is installed, so it may be for any Python.
                finder = PackageFinder(
                    client, no_binary=[archive.project], ignore_compatibility=True, **place
                )
                links = _links(finder, archive, patience)
            for link in links:
                sha256 = _stated_sha256(link)
                if sha256 in (None, archive.sha256):
                    return link
                reasons.append(
                    f"{link.redacted}: its sha256 is {sha256}, expected {archive.sha256}"
                )
            if not links:
                reasons.append(f"{where} has none")
        except (httpx2.HTTPError, httpx2.InvalidURL, OSError, ValueError) as error:
            reasons.append(f"{where}: {error or type(error).__name__}")
    raise InputError(
        f"{archive}: found no source archive of it: {'; '.join(reasons)}; look at pip's settings "
        "(`python -m pip config list`) and the network"
    )


def _links(finder: PackageFinder, archive: SourceArchive, patience: Patience) -> list[Link]:
    failures = 0
    while True:
        try:
            return [package.link for package in finder.find_matches(str(archive))]
        except httpx2.TransportError:
            failures += 1
            if failures >= patience.tries:
                raise
            time.sleep(patience.backoff_seconds * 2 ** (failures - 1))


def _stated_sha256(link: Link) -> str | None:
    """Return the sha256 of a local file, or the one that an index states, if it does."""
    if link.is_file:
        return file_sha256(link.file_path)
    return (link.hash_option or {}).get("sha256", [None])[0]


@contextlib.contextmanager
def _warnings_of_unearth(messages: list[str]) -> Iterator[None]:
    """Append to `messages` what unearth logs: it raises nothing for an index that is down."""
    logger, handler = logging.getLogger("unearth"), logging.Handler(logging.WARNING)
    handler.emit = lambda record: messages.append(record.getMessage())
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)


def _client(settings: PipSettings, sign_in: MultiDomainBasicAuth) -> PyPIClient:
    """Return the client that reads the pages of indexes."""
    proxy = settings.proxy or None
    # unearth would bypass the proxy for these.
    unchecked = httpx2.HTTPTransport(verify=False, proxy=proxy)
    return PyPIClient(
        trusted_hosts=settings.trusted_hosts,
        mounts={f"all://{host}": unchecked for host in settings.trusted_hosts} if proxy else {},
        verify=_certificates(settings),
        proxy=proxy,
        timeout=settings.timeout_seconds,
        follow_redirects=True,
        auth=sign_in,
    )


def _certificates(settings: PipSettings) -> ssl.SSLContext | bool:
    trusted, own = settings.certificates, settings.client_certificate
    if not (trusted or own):
        return True  # the system's
    try:
        kind = "capath" if os.path.isdir(trusted) else "cafile"
        context = ssl.create_default_context(**{kind: trusted or None})
        if own:
            context.load_cert_chain(own)
    except OSError as error:  # errors of ssl are of that kind
        files = " and ".join(filter(None, (trusted, own)))
        raise InputError(
            f"{files}: cannot be read as the certificates that pip is set to: "
            f"{error.strerror or error}; look at `python -m pip config list`"
        ) from error
    return context


def _getter(
    url: str, settings: PipSettings, sign_in: MultiDomainBasicAuth
) -> Callable[..., requests.Response]:
    """Return `requests.get` under pip's settings."""
    parts = urllib.parse.urlsplit(url)
    is_trusted = {parts.hostname, parts.netloc} & set(settings.trusted_hosts)
    return functools.partial(
        requests.get,
        verify=not is_trusted and (settings.certificates or True),
        cert=settings.client_certificate or None,
        proxies=dict.fromkeys(("http", "https"), settings.proxy) if settings.proxy else None,
        auth=sign_in,
    )
