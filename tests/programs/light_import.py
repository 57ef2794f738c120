"""Import names, or run `mmat --help`: light, and without touching the network.

There is no tensorflow-io here. A name is a module's, or `module:attribute`; what makes a label set
is tried.
"""

import pkgutil
import runpy
import sys


def no_network(event, arguments):
    if event.startswith("socket.") and event != "socket.__new__":
        raise AssertionError(f"touched the network: {event} {arguments}")


sys.addaudithook(no_network)
sys.modules["tensorflow_io"] = None
if sys.argv[1:] == ["--help"]:
    sys.argv[0] = "mmat"
    try:
        runpy.run_module("mmat", run_name="__main__")
    except SystemExit as end:
        assert not end.code, end.code
else:
    for name in sys.argv[1:]:
        found = pkgutil.resolve_name(name)
        if name.endswith(":LabelSet.of"):
            found(["Dog"])
heavy = {"av", "keras", "matplotlib", "pandas", "tensorflow", "tensorflow_hub"} & set(sys.modules)
assert not heavy, heavy
