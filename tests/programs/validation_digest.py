"""The digest of the clips that a list's validation slice holds."""

import hashlib
import sys

from mmat.lists.read import read_list
from mmat.lists.splits import validation_slice

clips = validation_slice(read_list(sys.argv[1]).clips, 0.1)
ids = "\n".join(clip.id for clip in clips if clip.split == "validation")
print(hashlib.sha256(ids.encode()).hexdigest())
