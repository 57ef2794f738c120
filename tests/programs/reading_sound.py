"""The samples of a sound file, and whether TensorFlow was imported to read them."""

import sys

import mmat.media.find  # noqa: F401 - it needs no TensorFlow either
from mmat.media.read import read_audio

print(len(read_audio(sys.argv[1])), "tensorflow" in sys.modules)
