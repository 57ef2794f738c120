"""One step of training: the loss of a batch, its gradients, and the weights moved by them.

Training takes the fast CPU path of `mmat.models.fast_cpu` here, and nowhere else.

The same step serves one device, several of one machine and several machines. With a strategy each
replica takes its rows of the batch, the gradients of the whole batch are summed once, and only
then clipped, checked and applied, so that the weights move as they do on one device.

`all_finite` and `describe_batch` find NaN or infinity, and name the clips that it came from.
"""

from collections.abc import Callable

import keras
import numpy as np
import tensorflow as tf

from mmat.labels import MULTI_LABEL, Task
from mmat.models.fast_cpu import fast_cpu
from mmat.models.tracing import traced

_SEED_STRIDE = 1_000_003
_NAMED_AS_DAMAGED = 5


def training_step(
    model: keras.Model,
    optimizer: keras.optimizers.Optimizer,
    strategy: tf.distribute.Strategy | None = None,
    task: Task = MULTI_LABEL,
) -> Callable[[dict, tf.Tensor], tf.Tensor]:
    """Return a function that trains the model by one batch and gives the batch's loss.

    The function takes the model's inputs and weak labels, float32 `(batch, classes)`. The loss,
    float32 `()`, is that of the task, by default the binary cross-entropy of the model's `clip`
    output, the mean over the whole batch and the classes, and what layers add to it, such as
    regularizers. Frozen variables stay as they are. A `LossScaleOptimizer` scales the loss, which
    mixed_float16 needs.

    strategy: model and optimizer must then be made in its scope. The function takes the rows of
    this machine (`mmat.training.distributed`), one for each of its devices at least; the loss is
    that of all machines' rows, which may differ in number. Dropout and augmentation are drawn by
    each replica for itself. Batch normalisation takes the mean of a replica's own rows; its moving
    statistics, by which a model judges later, are the mean over all replicas.

    >>> import numpy as np
    >>> clip = keras.layers.Dense(3, "sigmoid", name="clip")
    >>> level = keras.Input((5,), name="level")
    >>> model = keras.Model({"level": level}, {"clip": clip(level)})
    >>> step = training_step(model, keras.optimizers.Adam(0.1))
    >>> batch = {"level": np.ones((2, 5), "float32")}, np.ones((2, 3), "float32")
    >>> losses = [float(step(*batch)) for _ in range(3)]
    >>> losses[2] < losses[1] < losses[0]
    True
    """
    variables = model.trainable_variables
    with (strategy or tf.distribute.get_strategy()).scope():
        if not optimizer.built:
            optimizer.build(variables)

    def gradients_of(inputs, weak_labels):
        with tf.GradientTape() as tape, fast_cpu(model, training=True):
            loss = clip_loss(model(inputs, training=True), weak_labels, task)
            loss = tf.add_n([loss, *model.losses])
            scaled = optimizer.scale_loss(loss)
        return loss, tape.gradient(scaled, variables)

    def step(inputs, weak_labels):
        loss, gradients = gradients_of(inputs, weak_labels)
        optimizer.apply(gradients, variables)
        return loss

    if strategy is None:
        return traced(step, autograph=False)
    return _step_of_replicas(gradients_of, model, optimizer, strategy)


class FastModel(keras.Model):
    """A functional model whose `fit` takes the fast CPU path: the same steps but for rounding.

    Made of inputs and outputs, as `keras.Model` is.
    """

    def compile(self, *arguments, **options):
        super().compile(*arguments, **options)
        # Variables that are made in the first step would have `fit` trace it twice.
        self.optimizer.build(self.trainable_variables)

    def train_step(self, data):
        with fast_cpu(self, training=True):
            return super().train_step(data)


def clip_loss(outputs: dict, weak_labels, task: Task = MULTI_LABEL) -> tf.Tensor:
    """Return the task's mean loss of the clips, binary cross-entropy by default, float32 `()`.

    >>> round(float(clip_loss({"clip": tf.constant([[0.5]])}, tf.constant([[1.0]]))), 4)
    0.6931
    """
    clip = tf.cast(outputs["clip"], tf.float32)
    loss_of = getattr(keras.losses, task.loss)
    return tf.reduce_mean(loss_of(tf.cast(weak_labels, tf.float32), clip))


def share_bounds(n_rows, index, count):
    """Return where the share of `index` begins and ends, of `count` shares as equal as can be.

    >>> [share_bounds(10, index, 4) for index in range(4)]
    [(0, 2), (2, 5), (5, 7), (7, 10)]
    """
    return n_rows * index // count, n_rows * (index + 1) // count


def _step_of_replicas(gradients_of, model, optimizer, strategy):
    variables = model.trainable_variables
    seeds = [x for x in model.non_trainable_variables if x.name == "seed_generator_state"]
    statistics = _moving_statistics(model)
    _leave_the_sum_to_the_step(optimizer)

    def replica_step(inputs, weak_labels):
        context = tf.distribute.get_replica_context()
        replica = context.replica_id_in_sync_group
        inputs, weak_labels = _rows_of(replica, (inputs, weak_labels), strategy)
        _move_seeds(seeds, replica)
        loss, gradients = gradients_of(inputs, weak_labels)
        _move_seeds(seeds, -replica)
        learning = [i for i, gradient in enumerate(gradients) if gradient is not None]
        # Weighted by clips, since the replicas may have different numbers of them.
        n_clips = tf.cast(tf.shape(weak_labels)[0], tf.float32)
        own = [loss, *(gradients[i] for i in learning), *map(tf.convert_to_tensor, statistics)]
        own = [n_clips * x for x in own] + [n_clips]
        *sums, total_clips = context.all_reduce(tf.distribute.ReduceOp.SUM, own)
        loss, *means = [total / total_clips for total in sums]
        optimizer.apply(means[: len(learning)], [variables[i] for i in learning])
        for variable, mean in zip(statistics, means[len(learning) :], strict=True):
            variable.assign(mean)
        return loss

    def step(inputs, weak_labels):
        losses = strategy.run(replica_step, args=(inputs, weak_labels))
        return strategy.experimental_local_results(losses)[0]

    return traced(step, autograph=False)


def _rows_of(replica, batch, strategy):
    """Return the rows that a replica takes of its machine's batch, cut before they go to it."""
    n_devices = len(strategy.extended.worker_devices)
    with tf.device("CPU:0"):
        n_rows = tf.shape(batch[1])[0]
        start, end = share_bounds(n_rows, replica % n_devices, n_devices)
        return tf.nest.map_structure(lambda rows: rows[start:end], batch)


def _moving_statistics(model) -> list[keras.Variable]:
    """Return the means and variances that each replica moves by its own rows."""
    layers = [x for x in model._flatten_layers() if isinstance(x, keras.layers.BatchNormalization)]
    return [x for layer in layers if layer.trainable for x in layer.non_trainable_variables]


def _move_seeds(seeds, replica) -> None:
    """Let each replica draw by seeds of its own; between steps the seeds are those of one device.

    Keras gives all replicas the same seeds, so that one mask would be drawn for all of them.
    """
    for seed in seeds:
        seed.assign_add(tf.stack([tf.cast(replica, seed.dtype) * _SEED_STRIDE, 0]))


def _leave_the_sum_to_the_step(optimizer) -> None:
    """Keep a Keras optimizer from summing the replicas' gradients once more.

    Keras 3 clips the gradients of each replica and sums thereafter, and a loss scale is judged by
    one replica alone; here both see the gradients of the whole batch.
    """
    inner = getattr(optimizer, "inner_optimizer", optimizer)
    if not hasattr(inner, "_all_reduce_sum_gradients"):
        raise RuntimeError("this Keras sums the gradients elsewhere: the step must be adapted")
    inner._all_reduce_sum_gradients = lambda gradients_and_variables: gradients_and_variables


@traced
def _all_finite(tensors):
    return tf.reduce_all([tf.reduce_all(tf.math.is_finite(x)) for x in tensors])


def all_finite(variables: list[keras.Variable]) -> bool:
    """Return whether no variable holds NaN or infinity."""
    floating = [x for x in variables if tf.as_dtype(x.dtype).is_floating]
    return bool(_all_finite([tf.convert_to_tensor(x) for x in floating]))


def describe_batch(batch: tuple[dict, tf.Tensor]) -> str:
    """Name the clips of a batch, those whose inputs hold NaN or infinity first, and what to do.

    >>> level = np.float32([[0.0], [np.inf]])
    >>> describe_batch(({"ids": np.array([b"a", b"b"]), "level": level}, np.zeros((2, 3))))
    'clips b hold NaN or infinity: leave them out or prepare them again; the batch: a, b'
    """
    inputs, weak_labels = batch
    n_clips = len(weak_labels)
    ids = [str(number) for number in range(n_clips)]
    if "ids" in inputs:
        ids = [clip.decode() for clip in np.asarray(inputs["ids"]).tolist()]
    bad = np.zeros(n_clips, bool)
    for values in (*inputs.values(), weak_labels):
        values = np.asarray(values)
        if values.dtype.kind == "f":
            bad |= ~np.isfinite(values.reshape(n_clips, -1)).all(axis=1)
    named = [clip for clip, is_bad in zip(ids, bad, strict=True) if is_bad]
    more = ", …" * (len(named) > _NAMED_AS_DAMAGED)
    if named:
        what = f"clips {', '.join(named[:_NAMED_AS_DAMAGED])}{more} hold NaN or infinity: "
        what += "leave them out or prepare them again"
    else:
        what = "all inputs were finite: train anew with a lower learning rate"
    return f"{what}; the batch: {', '.join(ids)}"
