"""A script without the guard that multiprocessing asks for; it decodes a file."""

import sys

print("begun")

from mmat.media.workers import decode  # noqa: E402

(media,) = decode([{"path": sys.argv[1]}], workers=1)
print(len(media.waveform), "tensorflow" in sys.modules)
