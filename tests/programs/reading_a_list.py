"""A list is described without the libraries that take long to load."""

import sys

from mmat.cli import main

assert main(["lists", sys.argv[1], "--json"]) == 0
assert "tensorflow" not in sys.modules and "keras" not in sys.modules
assert "matplotlib" not in sys.modules
