"""Tags a file by a LiteRT file, and prints what was found and which heavy modules it took."""

import sys

import mmat

tagging = mmat.load(sys.argv[1]).tag(sys.argv[2])
print(tagging.has_audio, tagging.has_video, *(f"{tag.score:.5f}" for tag in tagging.tags))
print(*({"tensorflow", "keras", "pandas", "matplotlib"} & sys.modules.keys()))
