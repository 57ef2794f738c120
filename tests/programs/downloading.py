"""A download: address, path, digest and, where files have one, the limit of their size."""

import resource
import signal
import sys

from mmat.corpora.downloads import download

url, path, sha256, *limit = sys.argv[1:]
if limit:
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(limit[0]),) * 2)
download(url, path, sha256, progress=False)
