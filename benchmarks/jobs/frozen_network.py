"""YAMNet on 10 s clips: rebuilt as one graph, against Google's SavedModel, with mmat's settings.

Those of its users, who do not have them, are a peer too.
"""

from benchmarks.contest import Contest, Pair
from benchmarks.place import Contests, Place

OURS, IN_A_GRAPH, USERS = "rebuilt", "SavedModel, in a graph", "SavedModel, users' settings"
AIM = 1.7


def contests(place: Place) -> Contests:
    ours, users = place.ours(), place.worker("yamnet")
    for size in (1, 16):
        costs = ours.ask("benchmarks.ours.frozen:costs", batch_size=size)
        floor = place.rates.floor_seconds(costs["multiply_adds"], costs["bytes"])
        runs = {
            OURS: ours.run("benchmarks.ours.frozen:hearing", batch_size=size),
            IN_A_GRAPH: ours.run("benchmarks.peers.yamnet:in_a_graph", batch_size=size),
            USERS: users.run("benchmarks.peers.yamnet:tagging", batch_size=size),
        }
        pairs = [
            Pair(OURS, IN_A_GRAPH, aim=AIM, floor_seconds=floor),
            Pair(OURS, USERS, floor_seconds=floor),
        ]
        yield Contest(f"frozen network, batch {size}", runs, pairs, rounds=21)
