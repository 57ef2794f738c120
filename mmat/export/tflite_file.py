"""A tagger out of one LiteRT (TensorFlow Lite) file; running it needs no TensorFlow.

`mmat.export.litert` writes the file; what else lies in it, `mmat.export.archive` says.
"""

import contextlib
import os
import pathlib
from collections.abc import Iterator, Mapping

import numpy as np

from mmat.export.archive import DAMAGES, Archive, check_network
from mmat.export.interpreters import Interpreters, Processors, Signature
from mmat.export.served import IMAGE_INPUTS, Facts
from mmat.files import InputError, one_line
from mmat.media.sound import FRAME_SAMPLES, SAMPLE_RATE_HZ
from mmat.pretrained.registry import count_patches

SERVING, AUDIO_ONLY = "serving_default", "audio_only"


class TFLiteTagger:
    """Runs a file of `mmat.export.litert.export_tflite`; a `mmat.export.served.ServedModel`.

    Call it with a waveform float32 `(1, samples, 1)`, 16 kHz mono in [-1, 1]; it returns NumPy
    arrays by name. taken: the shapes of what the file takes, by name. n_samples: how long its clips
    are. any_length: whether shorter clips are taken too, which then get what the model gives them
    at their own length. threads: how many processors it may use, None for all. Its methods may be
    called from several threads, and then compute side by side.

    Raises InputError for a file that is no such file, and where it is called for a waveform of
    another length, form or type. Where `ai_edge_litert` is missing TensorFlow runs the file.
    """

    def __init__(self, path: str | os.PathLike, threads: int | None = 1):
        self.path = path
        self._processors = Processors(threads or len(os.sched_getaffinity(0)))
        try:
            # Read once: the file may go or change while the tagger is made and lives.
            content = pathlib.Path(path).read_bytes()
            check_network(content)  # before a damaged one is run
            self._network = Interpreters(content)
            self._set_model(content)
        except DAMAGES as error:  # of the archive, the interpreter's and InputError among them
            raise InputError(
                f"{path}: no TensorFlow Lite file of a tagger: {one_line(error, 200)}; "
                "copy or export it again"
            ) from error

    _given: Mapping[str, np.ndarray] = {}  # with every call, by name: another kind of file's

    def _set_model(self, content: bytes) -> None:
        self._open()
        archive = Archive.read(content, clip_seconds=self.n_samples / SAMPLE_RATE_HZ)
        self._describe(archive.facts, archive.label_maps, archive.images)

    def _open(self) -> None:
        with self._computing(self._network) as signatures:
            taken = signatures[SERVING].get_input_details()
            self._hears_alone = AUDIO_ONLY in signatures
        self.taken = {
            name: tuple(map(int, each["shape"]))
            for name, each in taken.items()
            if name not in self._given
        }
        _, self.n_samples, _ = self.taken["waveform"]
        self.any_length = "n_samples" in self.taken

    def _describe(self, facts: Facts, label_maps: Mapping, images: bytes) -> None:
        self.facts, self.label_maps = facts, label_maps
        self.inputs = frozenset(self.taken) - {"n_samples", *IMAGE_INPUTS.values()}
        if images:
            self.inputs |= {"frames"}
            self._images = Interpreters(images)
            with self._computing(self._images) as signatures:
                signatures[SERVING]  # a damaged one shows here

    @contextlib.contextmanager
    def _computing(self, network: Interpreters) -> Iterator[Mapping[str, Signature]]:
        with self._processors.some() as threads, network.signatures(threads) as signatures:
            yield signatures

    def __call__(self, waveform: np.ndarray) -> dict[str, np.ndarray]:
        return self.audio_only(waveform)

    def audio_only(self, waveform: np.ndarray) -> dict[str, np.ndarray]:
        """Return the outputs for a waveform float32 `(1, samples, 1)`."""
        return self._run(AUDIO_ONLY if self._hears_alone else SERVING, waveform, {})

    def serve(self, **inputs: np.ndarray) -> dict[str, np.ndarray]:
        """Return the outputs for one clip, by the names of `inputs`.

        frames: uint8 RGB `(1, n_frames, height, width, 3)`, as many as the facts say; what is no
        square of `image_size_px` is squeezed to one.
        """
        if "frames" in inputs:
            inputs |= self._look(inputs.pop("frames")[0])
        return self.predict(**inputs)

    def predict(self, waveform: np.ndarray, **inputs: np.ndarray) -> dict[str, np.ndarray]:
        """Return the outputs for one clip, by the names of the signature `serving_default`.

        `image_probabilities` float32 `(1, n_frames, n_image_labels)` stands for the pictures.
        """
        outputs = self._run(SERVING, waveform, inputs)
        seen = {name: x for name, x in inputs.items() if name == "image_probabilities"}
        return outputs | seen

    def _run(self, signature: str, waveform, inputs: dict) -> dict[str, np.ndarray]:
        n_samples = self._checked(waveform)
        for name, x in inputs.items():
            if np.shape(x) != self.taken[name]:
                raise InputError(
                    f"{self.path}: takes {name} {self.taken[name]}, and was given {np.shape(x)}"
                )
        if self.any_length:
            inputs = inputs | {"n_samples": np.int32([n_samples])}
            behind = self.n_samples - n_samples
            waveform = np.pad(waveform, ((0, 0), (0, behind), (0, 0))) if behind else waveform
        with self._computing(self._network) as signatures:
            outputs = signatures[signature](waveform=waveform, **inputs, **self._given)
        lengths = dict.fromkeys(outputs, -(-n_samples // FRAME_SAMPLES))
        if "sound_probabilities" in outputs:
            hop, window = (
                round(float(self.label_maps[f"sound_{name}_seconds"]) * SAMPLE_RATE_HZ)
                for name in ("hop", "window")
            )
            lengths["sound_probabilities"] = count_patches(n_samples, window, hop)
        return {name: x[:, : lengths[name]] if x.ndim == 3 else x for name, x in outputs.items()}

    def _checked(self, waveform) -> int:
        """Return how long a waveform is; raises InputError for what the file does not take."""
        given, longest = np.shape(waveform), self.n_samples
        shortest = 1 if self.any_length else longest
        if not (len(given) == 3 and given[::2] == (1, 1) and shortest <= given[1] <= longest):
            up_to = "up to " * self.any_length
            raise InputError(
                f"{self.path}: takes a waveform {(1, longest, 1)}, {up_to}"
                f"{longest / SAMPLE_RATE_HZ:g} s at {SAMPLE_RATE_HZ} Hz, and was given {given}; "
                + (
                    "cut it into windows, as `mmat tag` does"
                    if self.any_length
                    else "cut it or put zeros behind it, or export a SavedModel, which takes any "
                    "length"
                )
            )
        kind = np.asarray(waveform).dtype
        if kind != np.float32:
            raise InputError(f"{self.path}: takes float32 in [-1, 1], and was given {kind}")
        return given[1]

    def _look(self, frames: np.ndarray) -> dict[str, np.ndarray]:
        """Return what the image network gives for pictures uint8 `(n, height, width, 3)`."""
        with self._computing(self._images) as signatures:
            classify = signatures[SERVING]
            seen = [classify(frames=x[None]) for x in squares(frames, self.facts.image_size_px)]
        wanted = {name: key for key, name in IMAGE_INPUTS.items() if name in self.taken}
        return {
            name: np.concatenate([each[key] for each in seen])[None] for name, key in wanted.items()
        }


def squares(frames: np.ndarray, size_px: int) -> np.ndarray:
    """Return pictures uint8 `(n, height, width, 3)` squeezed to squares, as the networks see them.

    >>> squares(np.full((1, 2, 4, 3), 7, np.uint8), 2)[0, :, :, 0].tolist()
    [[7, 7], [7, 7]]
    """
    if frames.shape[1:3] == (size_px, size_px):
        return frames
    from PIL import Image

    size = (size_px, size_px)
    # Its bilinear filter widens where a picture shrinks, as the antialiased one in the graph does.
    squeezed = [Image.fromarray(x).resize(size, Image.Resampling.BILINEAR) for x in frames]
    return np.stack([np.asarray(x) for x in squeezed])
