"""A command of mmat, then its exit status and the modules of models it imported."""

import sys

from mmat.cli import main

print(main(sys.argv[1:]))
print(*sorted(name for name in sys.modules if name.startswith("mmat.models.")))
