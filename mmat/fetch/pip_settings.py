"""What pip is set to: its indexes, folders, hosts and certificates, as pip itself says.

A user whose network has its own index, proxy or certificates told pip of them once (`pip config`,
`pip.conf`, `PIP_INDEX_URL` and the like); nothing has to be told again.
"""

import dataclasses
import json
import subprocess
import sys

from mmat.errors import InputError

# No command of pip's says what its settings come to: `pip config list` gives them file by file, and
# never the index that is asked where none is set. So its own parser of a command line is asked.
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


def read_pip_settings() -> PipSettings:
    """Ask this environment's pip, in a process of its own, what it is set to.

    Raises InputError where there is no pip, or its settings are wrong.

    >>> read_pip_settings().timeout_seconds > 0
    True
    """
    # Safe path: a folder named pip where the command is run is not asked.
    done = subprocess.run(
        [sys.executable, "-P", "-c", _ASK],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    try:
        answer = json.loads(done.stdout)
    except ValueError:
        said = [*done.stdout.splitlines(), *done.stderr.splitlines()] or ["no answer"]
        raise InputError(
            f"pip of {sys.executable}: does not tell its settings: {said[-1].strip()}; look at "
            "`python -m pip config list`, or install pip there"
        ) from None
    answer = {name: value for name, value in answer.items() if value}
    return PipSettings(**{n: tuple(v) if isinstance(v, list) else v for n, v in answer.items()})
