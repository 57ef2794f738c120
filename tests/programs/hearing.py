"""Hear a waveform by YAMNet: the names of its file and of the file of what is heard."""

import sys

import numpy as np

from mmat.pretrained.registry import yamnet

scores, embeddings = yamnet.encode(np.load(sys.argv[1]))
np.savez(sys.argv[2], scores=scores, embeddings=embeddings)
