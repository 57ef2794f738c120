"""`python -m mmat` is the command `mmat`."""

import sys

from mmat.cli import main

if __name__ == "__main__":
    sys.exit(main())
