"""Checkpoints: all that a training is, in one file each, written whole or not at all.

A file `step-00000500.npz` holds every variable of the model, seeds of dropout and augmentation
among them, every variable of the optimizer, and the state of the loop as JSON. The last 32 bytes
are the SHA-256 of those before, so that a damaged file is known as such.
"""

import dataclasses
import hashlib
import io
import json
import os
import pathlib
import shutil
from collections.abc import Callable

import keras
import numpy as np

from mmat.files import InputError, atomic_path, one_line, reason_of
from mmat.models.bundle import FORMER_NAMES
from mmat.training.recipe import History

FOLDER = "checkpoints"
# Where classes stood when checkpoints began, since settings hash it; by module or by class. The
# names on the right are history: they do not follow when a module moves again.
FORMER_MODULES = {
    "PatchesToFrames": "mmat.models.encoder",
    "mmat.models.evidence": "mmat.models.semantics",
    "mmat.models.fusion": "mmat.models.joining",
    "mmat.models.label_map": "mmat.models.semantics",
    "mmat.models.masking": "mmat.models.ragged",
    "mmat.models.outputs": "mmat.models.answers",
    "mmat.models.rivals": "mmat.models.joining",
    "mmat.models.sound_timing": "mmat.models.joining",
    "mmat.pretrained.hub": "mmat.models.pretrained.audio_hub",
}
_STATE = "state"
_DAMAGE = (OSError, ValueError)
_DIGEST_BYTES = 32


@dataclasses.dataclass
class Progress:
    """Where a training stands.

    step: how many steps were taken. losses: of the steps since the last checkpoint. waited:
    checkpoints since the validation loss was last better or the rate last halved.
    """

    history: History
    step: int = 0
    losses: list[float] = dataclasses.field(default_factory=list)
    waited: int = 0

    @classmethod
    def of(cls, state: dict) -> "Progress":
        """Return what `dataclasses.asdict` made a dict of."""
        return cls(**state | {"history": History(**state["history"])})


class Checkpoints:
    """The checkpoints of one training, in `folder/checkpoints`.

    settings: what may not change between two runs of a training; see `settings_of`. keep: how many
    of the last are kept, beside the best. log: called with a line for each that cannot be read.
    """

    def __init__(self, folder: str | os.PathLike, settings: dict, keep: int, log: Callable = print):
        self.run_folder, self.folder = pathlib.Path(folder), pathlib.Path(folder, FOLDER)
        self.settings, self.keep, self.log = settings, keep, log

    def save(self, progress: Progress, model: keras.Model, optimizer) -> None:
        """Write a checkpoint, then remove those that are not wanted any more.

        Raises InputError where the disk is full or the folder cannot be written; the checkpoints
        before are then as they were.
        """
        state = {"settings": self.settings, **dataclasses.asdict(progress)}
        arrays = _arrays(model.variables, "model") | _arrays(optimizer.variables, "optimizer")
        arrays[_STATE] = np.frombuffer(json.dumps(state).encode(), np.uint8)
        self._clear_leftovers()
        try:
            with atomic_path(self._path(progress.step)) as part:
                _write(part, arrays)
        except OSError as error:
            raise InputError(
                f"{self.folder}: step {progress.step} cannot be saved: {reason_of(error)}; "
                "the checkpoints before it are whole: make room there, or name another folder, and "
                "run the same command again"
            ) from error
        self._remove_old(progress)

    def load(self, model: keras.Model, optimizer) -> Progress | None:
        """Set the model and the optimizer to the last checkpoint that is whole; None without one.

        Raises InputError for a checkpoint of another training.
        """
        for path in reversed(_saved(self.folder)):
            try:
                state, arrays = _read(path)
            except _DAMAGE as error:
                _log_damage(self.log, path, error)
                continue
            self._check(state.pop("settings"))
            _assign(path, model.variables, arrays, "model")
            _assign(path, optimizer.variables, arrays, "optimizer")
            return Progress.of(state)
        return None

    def _clear_leftovers(self) -> None:
        """Remove what a killed process had begun to write."""
        for part in self.folder.glob(".step-*"):
            shutil.rmtree(part, ignore_errors=True)

    def _check(self, settings: dict) -> None:
        now = json.loads(json.dumps(self.settings))
        changes = [
            f"{key} was {settings.get(key)}, now {now.get(key)}"
            if _short(settings.get(key)) and _short(now.get(key))
            else f"another {key}"
            for key in sorted(settings | now)
            if settings.get(key) != now.get(key)
        ]
        if changes:
            raise InputError(
                f"{self.run_folder}: holds another training ({'; '.join(changes)}); name another "
                "folder, or train anew with --again"
            )

    def _remove_old(self, progress: Progress) -> None:
        # Of later steps there are only those that were damaged and passed over.
        kept = [path for path in _saved(self.folder) if _step_of(path) <= progress.step]
        kept = kept[-self.keep :]
        wanted = {path.name for path in kept}
        # The best of each that is kept, since the newest of them may turn out damaged.
        for path in kept:
            then = [x for x in progress.history.checkpoints if x["step"] <= _step_of(path)]
            if best := History(progress.history.monitor, then).best:
                wanted.add(self._path(best["step"]).name)
        for path in _saved(self.folder):
            if path.name not in wanted:
                path.unlink()

    def _path(self, step: int) -> pathlib.Path:
        return self.folder / f"step-{step:08}.npz"


def load_best(model: keras.Model, folder: str | os.PathLike, log: Callable = print) -> dict:
    """Set a model to the best checkpoint of a training and return that checkpoint's figures.

    Where that is damaged, `log` gets a line and the best before it is taken. Raises
    InputError for a folder without a checkpoint that was validated and can be read.
    """
    for path in reversed(_saved(pathlib.Path(folder, FOLDER))):
        try:
            best = History(**_read(path)[0]["history"]).best
            if best is None:
                continue
            path = path.with_name(f"step-{best['step']:08}.npz")
            arrays = _read(path)[1]
        except _DAMAGE as error:
            _log_damage(log, path, error)
            continue
        _assign(path, model.variables, arrays, "model")
        return best
    raise InputError(f"{folder}: holds no validated checkpoint that can be read; train first")


def forget(folder: str | os.PathLike) -> None:
    """Remove the checkpoints of a training, so that the next one begins anew."""
    shutil.rmtree(pathlib.Path(folder, FOLDER), ignore_errors=True)


def settings_of(model: keras.Model, optimizer, **more) -> dict:
    """Return what tells one training from another: the model, the optimizer, and `more` as it is.

    Names that Keras counts up are left out, since they depend on what else a process has built.
    """
    shapes = [[*variable.shape, str(variable.dtype)] for variable in model.variables]
    layers = [_plain(layer) for layer in _in_former_order(model.layers)]
    # By name, since a policy's configuration is its name alone.
    dtypes = [layer.dtype_policy.name for layer in model._flatten_layers()]
    text = json.dumps([shapes, layers, dtypes], sort_keys=True, default=str)
    return {
        "model": hashlib.sha256(text.encode()).hexdigest(),
        "optimizer": json.dumps(_plain(optimizer), sort_keys=True, default=str),
        **more,
    }


def _in_former_order(model_layers: list) -> list:
    """Return a model's layers in their order when checkpoints began, of which settings tell.

    Pictures were then held for the fusion, which came after; today for what is seen alone.
    """
    names = [type(layer).__name__ for layer in model_layers]
    held = next((i for i, name in enumerate(names) if name in ("HoldFrames", "HoldOwnFrames")), 0)
    if "LateFusion" not in names[:held]:
        return model_layers
    at = names.index("LateFusion")
    while names[at - 1] == "InputLayer":
        at -= 1
    before, between = model_layers[:at], model_layers[at:held]
    return [*before, model_layers[held], *between, *model_layers[held + 1 :]]


def _plain(thing) -> list:
    name = type(thing).__name__
    return [FORMER_NAMES.get(name, name), _without_names(thing.get_config())]


def _without_names(config):
    if isinstance(config, dict):
        left_out = ("name", "build_config", "inbound_nodes", "input_layers", "output_layers")
        found = {key: _without_names(x) for key, x in config.items() if key not in left_out}
        return found | _former(config) if "registered_name" in config else found
    if isinstance(config, list | tuple):
        return [_without_names(each) for each in config]
    return config


def _former(serialized: dict) -> dict:
    """Return how Keras named a class of ours, and where it stood, when checkpoints began."""
    name, module = serialized["class_name"], serialized["module"]
    registered = serialized["registered_name"] or ""
    if not registered.startswith("mmat>"):
        return {}
    former = FORMER_NAMES.get(name, name)
    named = {"registered_name": f"mmat>{former}"} if registered == f"mmat>{name}" else {}
    module = FORMER_MODULES.get(name, FORMER_MODULES.get(module, module))
    return {"class_name": former, "module": module} | named


def _saved(folder: pathlib.Path) -> list[pathlib.Path]:
    return sorted(folder.glob("step-*.npz"), key=_step_of)


def _step_of(path: pathlib.Path) -> int:
    digits = path.stem.removeprefix("step-")
    return int(digits) if digits.isdecimal() else -1


def _arrays(variables, prefix: str) -> dict[str, np.ndarray]:
    return {f"{prefix}/{i}": np.asarray(variable) for i, variable in enumerate(variables)}


def _write(path: pathlib.Path, arrays: dict[str, np.ndarray]) -> None:
    whole = io.BytesIO()  # NumPy's own way to a full disk ends in a second error
    np.savez(whole, **arrays)
    with open(path, "wb") as file:
        file.write(whole.getbuffer())
        file.write(hashlib.sha256(whole.getbuffer()).digest())
        file.flush()
        os.fsync(file.fileno())  # on the disk before its name is


def _read(path: pathlib.Path) -> tuple[dict, dict[str, np.ndarray]]:
    whole = path.read_bytes()
    data, digest = whole[:-_DIGEST_BYTES], whole[-_DIGEST_BYTES:]
    if hashlib.sha256(data).digest() != digest:
        raise ValueError("its checksum is another")
    with np.load(io.BytesIO(data), allow_pickle=False) as file:
        arrays = {name: file[name] for name in file.files}
    return json.loads(arrays.pop(_STATE).tobytes()), arrays


def _assign(path: pathlib.Path, variables, arrays: dict[str, np.ndarray], prefix: str) -> None:
    own = [name for name in arrays if name.startswith(f"{prefix}/")]
    shapes = [tuple(variable.shape) for variable in variables]
    if [arrays[f"{prefix}/{i}"].shape for i in range(len(own))] != shapes:
        raise InputError(f"{path}: of another {prefix}; train anew with --again")
    for i, variable in enumerate(variables):
        variable.assign(arrays[f"{prefix}/{i}"])


def _log_damage(log: Callable, path: pathlib.Path, error: Exception) -> None:
    log(f"{path}: damaged ({one_line(error)}); passed over")


def _short(value) -> bool:
    return value is None or isinstance(value, int | float | str) and len(str(value)) <= 40
