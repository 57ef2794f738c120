"""A process that fails in words."""

import sys

sys.exit("no such file")
