"""Several devices and several machines: how they are found, and what they must agree upon.

Each machine runs the same command, with the cluster and its own number in `TF_CONFIG`, and is a
worker; worker 0 is the chief. All read the same batches, since a batch depends on its number alone,
and each trains on rows of its own. What depends on one machine's clock, disk or signals is agreed
upon by sums over all of them, as a worker that goes its own way would leave the others waiting.
"""

import contextlib
import json
import os
import re
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import tensorflow as tf

from mmat.files import InputError, one_line
from mmat.training.step import share_bounds

DEVICES = ("one", "mirrored", "workers")
_FORM = (
    'TF_CONFIG=\'{"cluster": {"worker": ["HOST:PORT", "HOST:PORT"]}, '
    '"task": {"type": "worker", "index": 0}}\''
)
_PEER = re.compile(r"/job:worker/(?:replica:\d+/)?task:(\d+)")
_GONE = (
    tf.errors.UnavailableError,
    tf.errors.AbortedError,
    tf.errors.CancelledError,
    tf.errors.DeadlineExceededError,
)


def make_strategy(devices: str) -> tf.distribute.Strategy | None:
    """Return how the devices share a batch: `one`, `mirrored` or `workers`; None for one.

    mirrored: all GPUs of this machine. workers: the machines that `TF_CONFIG` names, each with its
    GPUs or its CPU; the call waits until all of them have made it, and must come before anything
    else that TensorFlow computes. Models are then made in the strategy's scope. Raises InputError
    for mirrored without two GPUs, and for a `TF_CONFIG` that is missing or malformed.

    >>> make_strategy("one") is None
    True
    """
    if devices not in DEVICES:
        raise InputError(f"devices: {devices!r} is none of {', '.join(DEVICES)}")
    if devices == "one":
        return None
    if devices == "mirrored":
        n_gpus = len(tf.config.list_logical_devices("GPU"))
        if n_gpus < 2:
            raise InputError(
                f"devices: mirrored needs two GPUs, TensorFlow finds {n_gpus}; choose one"
            )
        return tf.distribute.MirroredStrategy()
    _check_cluster(os.environ.get("TF_CONFIG", ""))
    try:
        return tf.distribute.MultiWorkerMirroredStrategy()
    except (tf.errors.OpError, RuntimeError) as error:
        raise InputError(
            f"devices: the workers do not come together: {one_line(error, 300)}"
        ) from error


def is_chief(strategy: tf.distribute.Strategy | None) -> bool:
    """Return whether this machine writes and logs what is written and logged once.

    >>> is_chief(None)
    True
    """
    return Workers(strategy).is_chief


class Workers:
    """The machines of a strategy as one of them sees them; without several it is the only one.

    addresses: host:port of each. index: this machine's number. Every method but `own_share` must
    be called by all machines alike.

    >>> alone = Workers(None)
    >>> alone.is_chief, alone.anyone([False, True])
    (True, [False, True])
    """

    def __init__(self, strategy: tf.distribute.Strategy | None):
        self.strategy, self.addresses, self.index = strategy, [], 0
        resolver = getattr(strategy, "cluster_resolver", None)
        if resolver is not None and resolver.cluster_spec().jobs:
            self.addresses = resolver.cluster_spec().job_tasks("worker")
            self.index = resolver.task_id
        self.count = max(1, len(self.addresses))

        @tf.function(input_signature=[tf.TensorSpec((None,), tf.float32)])
        def sums(own):
            totals = strategy.run(self._sum_of_replicas, args=(own,))
            return strategy.experimental_local_results(totals)[0]

        self._sums = sums

    @property
    def is_chief(self) -> bool:
        return self.index == 0

    def own_share(self, inputs: dict, weak_labels: tf.Tensor) -> tuple[dict, tf.Tensor]:
        """Return the rows of a whole batch that are this machine's.

        Raises InputError for a batch with fewer clips than there are devices in all.
        """
        n_rows = len(weak_labels)
        n_devices = 1 if self.strategy is None else self.strategy.num_replicas_in_sync
        if n_rows < n_devices:
            raise InputError(
                f"a batch of {n_rows} clips for {n_devices} devices; give each device one at least"
            )
        start, end = share_bounds(n_rows, self.index, self.count)
        return {name: rows[start:end] for name, rows in inputs.items()}, weak_labels[start:end]

    def anyone(self, flags: Sequence[bool]) -> list[bool]:
        """Return for each flag whether it is set on any machine."""
        if self.count == 1:
            return list(flags)
        return [bool(total) for total in self._sums(np.array(flags, np.float32)).numpy()]

    def from_chief(self, own: bytes) -> bytes:
        """Return what the chief gives; what the others give is ignored."""
        if self.count == 1:
            return own
        length = len(own) if self.is_chief else 0
        # Two digits, since float32 counts no further than 2^24 without gaps.
        high, low = self._sums(np.array(divmod(length, 1 << 20), np.float32)).numpy()
        numbers = np.zeros(int(high) * (1 << 20) + int(low), np.float32)
        if self.is_chief:
            numbers[:] = np.frombuffer(own, np.uint8)
        return self._sums(numbers).numpy().astype(np.uint8).tobytes()

    def follow_chief(self, variables: Sequence) -> None:
        """Set variables to those of the chief, bit for bit."""
        if self.count == 1:
            return
        for variable in variables:
            value = np.asarray(variable)
            chiefs = self.from_chief(value.tobytes())
            if not self.is_chief:
                variable.assign(np.frombuffer(chiefs, value.dtype).reshape(value.shape))

    @contextlib.contextmanager
    def error_if_gone(self, what_to_do: Callable[[], str]) -> Iterator[None]:
        """Raise InputError, in a line, where another machine does not answer any more.

        TensorFlow notices it at once, or in 10 seconds by the heartbeat that does not come.
        """
        try:
            yield
        except _GONE as error:
            if self.count == 1:
                raise
            others = {int(task) for task in _PEER.findall(str(error))} - {self.index}
            named = [f"{x} ({self.addresses[x]})" for x in sorted(others) if x < self.count]
            who = f"worker {' or '.join(named)} does" if named else "the other workers do"
            raise InputError(f"{who} not answer, its log tells why; {what_to_do()}") from error

    def part(self) -> None:
        """Wait until all machines are here, with what they agreed upon before.

        A machine that has its sum may end before another has got hold of its own, which then fails.
        Here that is no fault: who has left had come here, and so had all sums before.
        """
        with contextlib.suppress(*_GONE):
            self.anyone([False])

    def _sum_of_replicas(self, own):
        context = tf.distribute.get_replica_context()
        n_local = len(self.strategy.extended.worker_devices)
        is_first = context.replica_id_in_sync_group % n_local == 0
        own = own * tf.cast(is_first, own.dtype)
        return context.all_reduce(tf.distribute.ReduceOp.SUM, [own])[0]


def _check_cluster(text: str) -> None:
    """Raise InputError if this is no `TF_CONFIG` of several workers."""
    why = _what_is_wrong(text)
    if why:
        raise InputError(f"TF_CONFIG: {why}; give each machine {_FORM} with its own index")


def _what_is_wrong(text: str) -> str | None:
    if not text:
        return "is not set"
    try:
        config = json.loads(text)
    except ValueError as error:
        return f"is no JSON ({one_line(error, 300)})"
    try:
        jobs, task = config["cluster"], config["task"]
        addresses, kind, index = jobs["worker"], task["type"], task["index"]
    except (KeyError, TypeError):
        return "lacks cluster, worker, task, type or index"
    if set(jobs) != {"worker"} or kind != "worker":
        return "has other tasks than workers"
    good = isinstance(addresses, list) and all(
        isinstance(x, str) and re.fullmatch(r"[^\s/]+:\d+", x) for x in addresses
    )
    if not good or len(set(addresses)) < max(2, len(addresses)):
        return "must name two workers or more, each once, as HOST:PORT"
    if type(index) is not int or not 0 <= index < len(addresses):
        return f"has index {index!r} for {len(addresses)} workers, counted from 0"
    return None
