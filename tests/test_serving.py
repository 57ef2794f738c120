"""docs/serving.md as it stands: TensorFlow Serving's call by its text, the service by requests."""

import base64
import json
import os
import pathlib
import re
import socket
import subprocess
import sys

import numpy as np
import pytest
import requests
import soundfile

from mmat.labels import LabelSet
from tests.docker_steps import ROOT, steps
from tests.media.made_media import make_sine
from tests.processes import environment

pytest_plugins = ["tests.export.tiny"]

PAGE = (ROOT / "docs" / "serving.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def wav(tmp_path_factory) -> pathlib.Path:
    path = tmp_path_factory.mktemp("sound") / "clip.wav"
    soundfile.write(path, make_sine(rate=16_000), 16_000)
    return path


def test_the_call_of_tensorflow_serving_is_one_that_the_signature_takes(exports, wav):
    import tensorflow as tf

    model = tf.saved_model.load(str(exports["fused"]))
    shell = re.search(r"^    (printf .*?) \\\n", PAGE, re.M).group(1)
    told = subprocess.run(["bash", "-c", shell], cwd=wav.parent, capture_output=True, check=True)
    call = json.loads(told.stdout)
    given = {name: base64.b64decode(x["b64"]) for name, x in call["inputs"].items()}
    signature = model.signatures[call["signature_name"]]
    found = signature(**{name: tf.constant(x) for name, x in given.items()})
    samples, _ = soundfile.read(wav, dtype="float32")
    same = model.signatures["audio_only"](waveform=tf.constant(samples[None, :, None]))
    np.testing.assert_allclose(found["clip"], same["clip"], atol=1e-6)


def test_every_signature_that_is_called_has_inputs_as_tensorflow_servings_rest_asks(exports):
    import tensorflow as tf

    model = tf.saved_model.load(str(exports["fused"]))
    called = set(re.findall(r'"signature_name": "(\w+)"', PAGE))
    called |= set(re.findall(r"`(\w+)`", PAGE)) & {"audio_only", "serving_default"}
    assert called == {"tag_wav", "audio_only", "serving_default"}
    assert all(model.signatures[name].structured_input_signature[1] for name in called)
    names = [name.decode() for name in model.signatures["labels"]()["labels"].numpy()]
    assert list(LabelSet.from_csv(exports["fused"] / "assets" / "labels.csv").names) == names


@pytest.fixture(scope="module")
def service(exports, tmp_path_factory):
    """The address of the page's own service, with a model of three labels."""
    folder = tmp_path_factory.mktemp("service")
    (folder / "service.py").write_text(PAGE.split("```python\n")[1].split("```")[0])
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "uvicorn", "service:app", "--port", str(port)]
    env = environment(MMAT_MODEL=str(exports["audio"]))
    env["PYTHONPATH"] += os.pathsep + str(folder)
    process = subprocess.Popen(command, cwd=folder, env=env, stderr=subprocess.PIPE, text=True)
    try:
        for line in process.stderr:
            if "running on" in line:
                break
        yield f"http://127.0.0.1:{port}/tag"
    finally:
        process.terminate()
        process.communicate(timeout=60)


def test_the_service_tags_what_it_is_sent(service, wav):
    answer = requests.post(service, data=wav.read_bytes(), timeout=120)
    assert answer.status_code == 200
    sure = {tag["label"]: tag["confidence"] for tag in answer.json()}
    assert "Dog" in sure and "Train" not in sure  # thresholds are 0, 0.5 and 1
    assert all(0.5 <= each <= 1 for each in sure.values())


def test_what_is_no_medium_gets_a_sentence_without_the_path(service):
    answer = requests.post(service, data=b"no medium at all", timeout=120)
    assert answer.status_code == 422
    assert answer.json()["detail"].startswith("the file") and "tmp" not in answer.json()["detail"]


def test_more_than_the_service_takes_is_refused(service):
    answer = requests.post(service, data=bytes(50_000_001), timeout=120)
    assert answer.status_code == 413


def test_the_dockerfile_names_files_that_are_there():
    copied = [text.split()[:-1] for word, text in steps() if word == "COPY"]
    files = [file for files in copied for file in files]
    assert files and all((ROOT / file).exists() for file in files)
    assert {"mmat", "data_lists", "setup.py"} <= set(files)
