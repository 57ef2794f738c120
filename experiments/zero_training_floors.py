"""From which cosine on a name is near enough to a label: other data sets' labels, and nonsense.

    python experiments/zero_training_floors.py    a minute; prints docs/zero_training.md's table

A floor is good where labels of sounds (ESC-50, UrbanSound8K) find a name and nonsense finds none.
Neither data set's recordings are needed. Labels that are a network's own names are left out: no
floor concerns them.
"""

import numpy as np
import tabulate

from mmat.labels import LabelSet
from mmat.models.label_map import imagenet_hypernyms, matched_similarities, sound_label_names
from mmat.models.pretrained.registry import imagenet_labels, yamnet
from mmat.models.pretrained.text import embedded_text_encoder

FLOORS = (0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8)
SOUNDS = """dog;rooster;pig;cow;frog;cat;hen;insects;sheep;crow;rain;sea waves;crackling fire;
crickets;chirping birds;water drops;wind;pouring water;toilet flush;thunderstorm;crying baby;
sneezing;clapping;breathing;coughing;footsteps;laughing;brushing teeth;snoring;drinking, sipping;
door knock;mouse click;keyboard typing;door, wood creaks;can opening;washing machine;
vacuum cleaner;clock alarm;clock tick;glass breaking;helicopter;chainsaw;siren;car horn;engine;
train;church bells;airplane;fireworks;hand saw;air conditioner;children playing;dog bark;drilling;
engine idling;gun shot;jackhammer;street music"""
NONSENSE = """Quarterly tax return;zzqx;Constitutional amendment;Differential equation;Purple;
Tuesday;Interest rate;Photosynthesis;asdfghjkl;Copyright notice;Grammar;Happiness;Mitochondria;
Annual report;Philosophy;Gravity;Password;Zip code;Blue;Eleven;qwrtp;Spreadsheet;Vitamin C;
Parliament;Inflation;Geometry;Friendship;Latitude;Invoice;Yesterday;lorem ipsum;Hypothesis;
Chlorine;Bankruptcy;DNA sequence;Mortgage;Theology;Sociology;Wavelength;Justice"""


def main() -> None:
    heard = LabelSet.of(yamnet.labels())
    networks = {
        "YAMNet": ([sound_label_names(heard, i) for i in range(len(heard))], None),
        "image network": (imagenet_labels(), imagenet_hypernyms()),
    }
    rows = []
    for network, (names, hypernyms) in networks.items():
        for title, text in (("labels of sounds", SOUNDS), ("nonsense", NONSENSE)):
            labels = LabelSet.from_text(text)
            found = matched_similarities(names, labels, embedded_text_encoder, 0.0, hypernyms)
            nearest = found.max(axis=0)
            nearest = nearest[nearest < 1]
            shares = [f"{100 * np.mean(nearest >= floor):.0f}" for floor in FLOORS]
            rows.append([network, f"{title} ({len(nearest)})", *shares])
    head = ["% that find a name", "", *(f"from {floor:g}" for floor in FLOORS)]
    print(tabulate.tabulate(rows, head, tablefmt="github", disable_numparse=True))


if __name__ == "__main__":
    main()
