"""A command of mmat that may write files of so many bytes alone."""

import resource
import sys

from mmat.cli import main

resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]), resource.RLIM_INFINITY))
sys.exit(main(sys.argv[2:]))
