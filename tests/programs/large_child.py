"""A small process with a child of 60 MB, which lives for half a second."""

import subprocess
import sys
import time

if sys.argv[1:] == ["child"]:
    x = bytearray(60_000_000)
    time.sleep(0.5)
else:
    subprocess.run([sys.executable, __file__, "child"])
