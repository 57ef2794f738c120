"""The first tag of a file by an export, without the code of models."""

import sys

sys.modules["kapre"] = sys.modules["tensorflow_hub"] = None

from mmat.tagging.tagger import Tagger  # noqa: E402

print(Tagger(sys.argv[1]).tag(sys.argv[2]).tags[0].label)
assert not [name for name in sys.modules if name.startswith("mmat.models")]
