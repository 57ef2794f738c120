"""The names of the networks' outputs, each once."""

from mmat.pretrained.embedded import yamnet_labels
from mmat.pretrained.names import EAR, EYE, network_names
from mmat.pretrained.registry import imagenet_labels


def test_names_that_are_heard_come_before_those_that_are_only_seen(models_cache):
    names = network_names()
    assert tuple(known.name for known in names[:521]) == yamnet_labels()
    assert {known.by for known in names[:521]} == {(EAR,)}
    assert {known.by for known in names[521:]} == {(EYE,)}
    found = [known.name.casefold() for known in names]
    assert len(found) == len(set(found))
    assert set(found) >= {name.casefold() for name, *_ in imagenet_labels()}


def test_two_things_of_one_name_have_the_synonyms_of_both(models_cache):
    """ImageNet has two kinds of maillot, of which one is a tank suit."""
    own = [set(synonyms) for name, *synonyms in imagenet_labels() if name == "maillot"]
    (maillot,) = [known for known in network_names() if known.name == "maillot"]
    assert len(own) == 2 and set(maillot.synonyms) == own[0] | own[1] >= {"tank suit"}
