"""The jobs of `make bench`: modules whose `contests(place)` yields what is compared."""

from benchmarks.jobs import (
    decoding,
    evaluate,
    folder,
    frozen_network,
    full_training,
    input_pipeline,
    log_mel,
    prepare,
    start_up,
    tag,
    tagging,
    thresholds,
    training_step,
)

# By the name that `--jobs` takes, in the order in which they run.
JOBS = {
    "log-mel": log_mel,
    "tagging": tagging,
    "frozen-network": frozen_network,
    "training-step": training_step,
    "input-pipeline": input_pipeline,
    "full-training": full_training,
    "decoding": decoding,
    "thresholds": thresholds,
    "start-up": start_up,
    "tag": tag,
    "folder": folder,
    "evaluate": evaluate,
    "prepare": prepare,
}
