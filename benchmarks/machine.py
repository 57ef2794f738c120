"""The machine that measures: what it is called, how fast it multiplies, how fast it copies."""

import concurrent.futures
import contextlib
import dataclasses
import importlib.metadata
import os
import pathlib
import platform
import time
from collections.abc import Callable

from benchmarks.contest import ContenderError, rounded
from benchmarks.processes import Worker
from mmat.startup import ENVIRONMENT

PACKAGES = (
    "tensorflow",
    "keras",
    "kapre",
    "torch",
    "librosa",
    "numpy",
    "av",
    "opencv-python-headless",
)
# What decides how fast a processor multiplies in float32 and in bfloat16.
FLAGS = ("avx2", "fma", "avx512f", "avx512_bf16", "amx_bf16")
MATRIX_SIZES = (256, 512, 1024, 2048)
COPIED_BYTES = 1 << 28


@dataclasses.dataclass(frozen=True)
class Rates:
    """What the machine can do at best, measured: multiply-adds and bytes a second.

    multiply_adds: by precision, of a product of large matrices, the better of TensorFlow's and
    PyTorch's. copied_bytes: read and written again.
    """

    multiply_adds: dict[str, float]
    copied_bytes: float

    def floor_seconds(
        self, multiply_adds: float = 0, n_bytes: float = 0, dtype: str = "float32"
    ) -> float:
        """Return the least time for so many multiply-adds and so many bytes that must be moved.

        The two may go on at once, so the longer of them counts. Where a lower precision is only
        imitated, float32 serves it better.

        >>> Rates({"float32": 100.0}, 10.0).floor_seconds(multiply_adds=300, n_bytes=20)
        3.0
        """
        # A copied byte is read and written: two bytes that are moved.
        moving = n_bytes / (2 * self.copied_bytes)
        rate = max(self.multiply_adds[dtype], self.multiply_adds["float32"])
        return max(multiply_adds / rate, moving)


def facts() -> dict:
    """Return what the machine and its software are called.

    >>> facts()["cores"] > 0
    True
    """
    cpu, flags = _processor()
    return {
        "cpu": cpu,
        "cores": len(os.sched_getaffinity(0)),
        "instructions": [flag for flag in FLAGS if flag in flags],
        "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "packages": {name: _version(name) for name in PACKAGES},
    }


def _processor() -> tuple[str, set[str]]:
    try:
        lines = pathlib.Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine(), set()
    values = {key.strip(): value.strip() for key, _, value in (x.partition(":") for x in lines)}
    return values.get("model name", platform.machine()), set(values.get("flags", "").split())


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def measure_rates() -> Rates:
    """Measure the machine, in a process of each framework; one that is absent is left out."""
    best = {}
    with Worker(ENVIRONMENT) as tensorflow, Worker() as torch:
        for dtype in ("float32", "bfloat16"):
            rates = []
            for worker, function in ((tensorflow, "tensorflow_rate"), (torch, "torch_rate")):
                with contextlib.suppress(ContenderError):
                    rates.append(worker.ask(f"benchmarks.machine:{function}", dtype=dtype))
            best[dtype] = max(rates)
    return Rates(best, copy_rate())


def tensorflow_rate(dtype: str) -> float:
    """Return the multiply-adds a second of TensorFlow's product of matrices."""
    import tensorflow as tf

    @tf.function
    def product(a, b):
        return tf.reduce_sum(tf.cast(tf.matmul(a, b)[:1], tf.float32))

    def run(n: int) -> Callable:
        a = tf.cast(tf.random.stateless_normal((n, n), seed=(0, 0)), dtype)
        return lambda: float(product(a, a))

    return product_rate(run)


def torch_rate(dtype: str) -> float:
    """Return the multiply-adds a second of PyTorch's product of matrices."""
    import torch

    def run(n: int) -> Callable:
        a = torch.randn((n, n)).to(getattr(torch, dtype))
        return lambda: a @ a

    return product_rate(run)


def product_rate(run: Callable[[int], Callable], enough_seconds: float = 0.2) -> float:
    """Return the best rate over growing matrices; no larger ones where a product takes long.

    run: given a size, a function that multiplies two square matrices of it.
    """
    best = 0.0
    for n in MATRIX_SIZES:
        product = run(n)
        product()
        seconds = min(_timed(product) for _ in range(5))
        best = max(best, n**3 / seconds)
        if seconds > enough_seconds:
            break
    return best


def copy_rate() -> float:
    """Return the bytes a second that are copied, by one thread or by all of them, at best."""
    import numpy as np

    cores = len(os.sched_getaffinity(0))
    source, target = np.ones(COPIED_BYTES, np.uint8), np.zeros(COPIED_BYTES, np.uint8)
    parts = list(zip(np.array_split(target, cores), np.array_split(source, cores), strict=True))

    def in_parts(threads):
        list(threads.map(lambda part: np.copyto(*part), parts))

    with concurrent.futures.ThreadPoolExecutor(cores) as threads:
        ways = [lambda: np.copyto(target, source), lambda: in_parts(threads)]
        return COPIED_BYTES / min(_timed(way) for way in ways for _ in range(5))


def _timed(function: Callable) -> float:
    began = time.perf_counter()
    function()
    return time.perf_counter() - began


def as_rates(rates: Rates) -> dict:
    """Return the rates as they stand in the results."""
    return {
        "float32_gigaflops": rounded(2e-9 * rates.multiply_adds["float32"]),
        "bfloat16_gigaflops": rounded(2e-9 * rates.multiply_adds["bfloat16"]),
        "copied_gb_a_second": rounded(1e-9 * rates.copied_bytes),
    }
