"""A preparation in a file system of the process's own, which grows each time it is full."""

import shutil
import subprocess
import sys

from mmat.files import InputError
from mmat.labels import LabelSet
from mmat.lists.clip import Clip
from mmat.shards.prepare import prepare
from mmat.shards.verify import verify

media, out, copy = sys.argv[1:]
clips = [Clip(f"clip {i}", f"{i}.wav", ("a",)) for i in range(40)]
subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4k", "none", out], check=True)
for size_kb in range(8, 4000, 60):
    subprocess.run(["mount", "-o", f"remount,size={size_kb}k", out], check=True)
    try:
        prepare(
            clips,
            media,
            out,
            LabelSet.of(["a"]),
            clip_seconds=0.5,
            clips_per_shard=10,
            workers=0,
            progress=False,
        )
    except InputError as full:
        print(full)
        if verify(out, progress=False).complete:
            sys.exit("complete, yet full")
    else:
        break
shutil.copytree(out, copy)
