"""Tagging 10 s waveforms: each way to serve the CRNN against YAMNet and networks in PyTorch."""

from benchmarks.contest import Contest, Pair
from benchmarks.place import Contests, Place
from mmat.startup import ENVIRONMENT

YAMNET, CRNN, TALNET = "YAMNet", "the same net, PyTorch", "TALNet, 9.98 M, PyTorch"
# With the environment that mmat gives TensorFlow, which its users do not have.
TOLD = "YAMNet, with mmat's settings"
# How many times faster we mean to be, by batch and peer.
AIMS = {1: {YAMNET: 2.0}, 16: {YAMNET: 5.0, CRNN: 2.5, TALNET: 8.0}}
ONE_THREAD = {"TF_NUM_INTRAOP_THREADS": "1", "TF_NUM_INTEROP_THREADS": "1"}


def contests(place: Place) -> Contests:
    for size in AIMS:
        ours = place.ours()
        costs = ours.ask("benchmarks.ours.networks:costs", net="crnn", batch_size=size)
        runs, precisions = {}, {}
        for way, function in (("Keras", "by_keras"), ("SavedModel", "by_saved_model")):
            for dtype in ("float32", "bfloat16"):
                name = f"CRNN, {way}, {dtype}"
                arguments = {"batch_size": size, "dtype": dtype}
                runs[name] = ours.run(f"benchmarks.ours.networks:{function}", **arguments)
                precisions[name] = dtype
        for threads in (1, 2):
            name = f"CRNN, TFLite, {threads} thread{'s' * (threads > 1)}"
            arguments = {"batch_size": size, "threads": threads}
            runs[name] = ours.run("benchmarks.ours.networks:by_tflite", **arguments)
            precisions[name] = "float32"
        job = f"tagging, batch {size}"
        runs = place.affordable(job, runs | peers(place, size), size)
        pairs = [
            Pair(
                name,
                peer,
                aim=AIMS[size].get(peer),
                floor_seconds=place.rates.floor_seconds(costs["tagging"], costs["bytes"], dtype),
            )
            for name, dtype in precisions.items()
            for peer in runs
            if not peer.startswith("CRNN, ")
        ]
        place.learn((yield Contest(job, runs, pairs, rounds=11)), size)
    yield one_thread(place)


def one_thread(place: Place) -> Contest:
    """Return the two exports of the CRNN on one processor: LiteRT should be no slower."""
    lite, graph = "CRNN, TFLite", "CRNN, SavedModel"
    own = place.worker("one thread", ENVIRONMENT | ONE_THREAD)
    made = "benchmarks.ours.networks"
    runs = {
        lite: place.ours().run(f"{made}:by_tflite", batch_size=1, threads=1),
        graph: own.run(f"{made}:by_saved_model", batch_size=1, dtype="float32"),
    }
    return Contest("one thread, batch 1", runs, [Pair(lite, graph, aim=1.0)], rounds=21)


def peers(place: Place, size: int) -> dict:
    torch = place.worker("torch")
    workers = {YAMNET: place.worker("yamnet"), TOLD: place.ours("yamnet, told")}
    function = "benchmarks.peers.yamnet:tagging"
    runs = {name: worker.run(function, batch_size=size) for name, worker in workers.items()}
    for name, net in ((CRNN, "crnn"), (TALNET, "talnet")):
        for dtype in ("float32", "bfloat16"):
            named = name if dtype == "float32" else f"{name}, bfloat16"
            arguments = {"net": net, "batch_size": size, "dtype": dtype}
            runs[named] = torch.run("benchmarks.peers.torch_runs:tagging", **arguments)
    return runs
