"""Log-mel of 10 s clips: Kapre in the graph against librosa, plain tf.signal and torch.stft.

Ours transforms in float64, and in float32 where one asks, the others in float32: 80 dB under a pure
tone is the rounding noise of a float32 transform.
"""

from benchmarks.contest import Contest, Pair
from benchmarks.place import Contests, Place

BATCHES = (1, 16, 64)
OURS, IN_FLOAT32 = "Kapre in the graph, float64", "asked for, float32"
PEERS = {
    "librosa": ("librosa", "benchmarks.peers.plain_mel:by_librosa"),
    "tf.signal graph": ("tensorflow", "benchmarks.peers.plain_mel:by_tensorflow"),
    "torch.stft": ("torch", "benchmarks.peers.torch_runs:log_mel"),
}


def contests(place: Place) -> Contests:
    ours = place.ours()
    for size in BATCHES[:2] if place.quick else BATCHES:
        costs = ours.ask("benchmarks.ours.networks:costs", net="crnn", batch_size=size)
        floor = place.rates.floor_seconds(costs["log_mel"])
        graph = "benchmarks.ours.networks:log_mel_graph"
        runs = {
            OURS: ours.run(graph, batch_size=size),
            IN_FLOAT32: ours.run(graph, batch_size=size, in_float32=True),
        }
        for name, (worker, function) in PEERS.items():
            runs[name] = place.worker(worker).run(function, batch_size=size)
        pairs = [
            Pair(mine, name, floor_seconds=floor) for mine in (OURS, IN_FLOAT32) for name in PEERS
        ]
        asked = 1.8 if size == 1 else None
        pairs.append(Pair(IN_FLOAT32, OURS, aim=asked, floor_seconds=floor))
        yield Contest(f"log-mel, batch {size}", runs, pairs, rounds=9)
