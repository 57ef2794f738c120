"""A model file of Keras's, `.keras`, is read as what it may be: somebody else's.

Keras's safe mode refuses lambdas. What it lets pass is looked for here, before anything is made of
the file: networks that are named by an address, classes that run or read something else, members
of the archive that no file system takes, JSON without end, and layers that wait for each other.
"""

import json
import os
import zipfile
from collections.abc import Collection, Iterator
from typing import TYPE_CHECKING, BinaryIO

from mmat.files import InputError, check_zip, one_line
from mmat.pretrained.embedded import EMBEDDED

if TYPE_CHECKING:
    import keras

CONFIGURATION = "config.json"
MOST_JSON_BYTES = 1 << 26
HOLDS_CODE = "the model holds code that would run here; refused"
# Where models' parts come from in Keras, but for those of FOREIGN.
KERAS_ROOMS = {
    *("activations", "constraints", "dtype_policies", "initializers", "layers", "losses"),
    *("metrics", "models", "ops", "optimizers", "random", "regularizers", "src"),
}
# Of Keras's own classes those that run a program or read a file that a configuration names.
FOREIGN = {
    *("lambda", "typespec", "torchmodulewrapper", "tfsmlayer", "jaxlayer", "flaxlayer"),
    *("indexlookup", "integerlookup", "stringlookup", "textvectorization", "featurespace"),
}


def read_model(path: str | os.PathLike, trusted_handles: Collection[str] = ()) -> "keras.Model":
    """Read a `.keras` file, without its optimizer, whose own layers are registered already.

    trusted_handles: of pretrained networks that it may name, beside those that mmat embeds. Raises
    InputError for another network and for an archive that is refused, ValueError for a class that
    is, and nearly anything for a damaged file.
    """
    import keras

    with zipfile.ZipFile(path) as archive:
        check_zip(archive, path)
        with archive.open(CONFIGURATION) as file:
            configuration = read_json(file, CONFIGURATION)
    for part in _objects(configuration):
        _refuse_class(part)
        _refuse_handle(part, path, trusted_handles)
    try:
        return keras.models.load_model(
            path, custom_objects={"Functional": _Functional}, compile=False, safe_mode=True
        )
    except ValueError as error:
        if "safe_mode" not in str(error):
            raise
        raise ValueError(HOLDS_CODE) from error  # Keras suggests how to run it all the same


def read_json(file: BinaryIO, name: str):
    """Return what JSON holds; raises ValueError for what is none, too large or nested too deep.

    >>> import io
    >>> read_json(io.BytesIO(b'{"clips": 2}'), "index.json")
    {'clips': 2}
    """
    content = file.read(MOST_JSON_BYTES + 1)
    if len(content) > MOST_JSON_BYTES:
        raise ValueError(f"{name} has more than {MOST_JSON_BYTES} bytes")
    try:
        return json.loads(content)
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from error
    except RecursionError as error:
        raise ValueError(f"{name} is nested too deep") from error


def _objects(configuration) -> Iterator[dict]:
    """Yield every dict anywhere in a model's configuration."""
    left = [configuration]
    while left:
        part = left.pop()
        if isinstance(part, dict):
            yield part
            left.extend(part.values())
        elif isinstance(part, list):
            left.extend(part)


def _refuse_handle(part: dict, path, trusted_handles: Collection[str]) -> None:
    """Raise InputError where a part of a configuration names a network that is not trusted.

    The embedded networks' handles are names, and lead to weights that were checked by sha256.
    """
    for handle in (part.get("handle"), part.get("embedding_handle")):
        known = handle in (None, *trusted_handles) or str(handle).startswith(EMBEDDED)
        if not known:
            raise InputError(
                f"{path}: its model would load and run {handle!r:.1000}; if you trust that, name "
                f"it: load_bundle(folder, trusted_handles=[{handle!r:.1000}])"
            )


def _refuse_class(part: dict) -> None:
    """Raise ValueError where a part of a configuration is of a class that may not be made."""
    import keras

    if "class_name" not in part:
        return
    # Keras looks up any of these, in this order or another.
    names = [part.get(key) for key in ("registered_name", "class_name", "spec_name", "config")]
    names = [name for name in names if isinstance(name, str)]
    if any(name.replace("_", "").lower() in FOREIGN for name in names):
        raise ValueError(f"{HOLDS_CODE}: {one_line(names, 80)}")
    module = str(part.get("module") or "builtins")  # without one it is in Keras's own tables
    package, *rooms = module.split(".")
    own = module == "builtins" or (package == "keras" and {*rooms[:1]} <= KERAS_ROOMS)
    known = {*keras.saving.get_custom_objects(), "Functional"}
    # Keras reads whatever has these as a functional model, for which `_Functional` stands.
    is_graph = isinstance(part.get("config"), dict) and "input_layers" in part["config"]
    is_known_graph = part.get("registered_name", part["class_name"]) in known
    if not (own or known.intersection(names)) or (is_graph and not is_known_graph):
        raise ValueError(
            f"{CONFIGURATION}: {one_line((module, *names), 100)}: neither a layer of Keras nor "
            "registered here; refused"
        )


class _Functional:
    """Stands for Keras's functional model while a file is read, which Keras may do for ever.

    It goes round the layers until each has its inputs, also where one waits for what never comes.
    """

    @staticmethod
    def from_config(config: dict) -> "keras.Model":
        import keras

        return keras.Model.from_config(config | {"layers": _Rounds(config["layers"])})


class _Rounds(list):
    """Layers that may be gone round once for each call of one of them, and once to make them."""

    def __iter__(self):
        left = getattr(self, "left", 1 + sum(len(x["inbound_nodes"]) for x in list.__iter__(self)))
        if not left:
            raise ValueError(f"{CONFIGURATION}: its layers wait for inputs that never come")
        self.left = left - 1
        return list.__iter__(self)
