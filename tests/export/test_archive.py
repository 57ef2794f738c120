"""What lies beside the network of a LiteRT file: read back as it was, and damage is noticed."""

import json
import zipfile

import numpy as np
import pytest

from mmat.export.archive import CHECKSUM, FACTS_FILE, Archive, append_members, check_network
from mmat.export.served import Facts
from mmat.files import InputError
from mmat.labels import LabelSet

NETWORK = np.random.default_rng(0).bytes(10_000)  # the archive knows nothing of what is before it
FACTS = Facts(LabelSet.of(["Dog", "Cat, kitten"]), np.float32([0.25, 0.5]), 3.1, 8, 224, "net")
MAPS = {"sound_labels": np.array([b"Bark"]), "similarities": np.eye(2, dtype=np.float32)}


@pytest.fixture
def content(tmp_path) -> bytes:
    path = tmp_path / "a.tflite"
    path.write_bytes(NETWORK)
    Archive(FACTS, MAPS, images=b"seen" * 100).append_to(path, card="# Dogs\n")
    return path.read_bytes()


def test_all_is_read_back_and_the_network_stays_in_front(content):
    check_network(content)
    found = Archive.read(content, clip_seconds=10.0)
    assert content.startswith(NETWORK) and found.images == b"seen" * 100
    assert (found.facts.labels, found.facts.clip_seconds) == (FACTS.labels, 3.1)
    assert found.facts.thresholds.tolist() == [0.25, 0.5]
    assert found.facts.image_network == "net"
    assert set(found.label_maps) == set(MAPS)
    np.testing.assert_array_equal(found.label_maps["similarities"], np.eye(2))


@pytest.mark.parametrize("at", [0, 5000, len(NETWORK) - 1])
def test_a_flipped_bit_of_the_network_is_noticed(content, at):
    damaged = bytearray(content)
    damaged[at] ^= 1
    with pytest.raises(InputError, match="its network is damaged"):
        check_network(bytes(damaged))


def test_a_file_of_before_has_no_checksum_and_passes(tmp_path):
    path = tmp_path / "a.tflite"
    path.write_bytes(NETWORK)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("labels.csv", "index,mid,display_name\n0,,Dog\n")
    check_network(path.read_bytes())
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(FACTS_FILE, json.dumps({"format": 1}))
    check_network(path.read_bytes())


def test_the_checksum_is_that_of_the_bytes_before_the_archive(tmp_path):
    path = tmp_path / "a.tflite"
    path.write_bytes(b"123456789")
    append_members(path, {"format": 1}, {})
    with zipfile.ZipFile(path) as archive:
        facts = json.loads(archive.read(FACTS_FILE))
    assert facts == {"format": 1, CHECKSUM: 0xCBF43926}  # CRC-32's published check value
