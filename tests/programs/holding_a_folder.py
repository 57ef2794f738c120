"""A process that writes shards alone into a folder, for a minute."""

import pathlib
import sys
import time

from mmat.files import exclusive_lock

with exclusive_lock(pathlib.Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
