"""The parent of a decoding process, which is at each of some files, then idle."""

import sys
import time

from mmat.media.workers import DecodingProcess

process = DecodingProcess()
for path in sys.argv[1:]:
    print("next", flush=True)
    process.decode({"path": path})
print("idle", flush=True)
time.sleep(60)
