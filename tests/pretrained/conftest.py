"""Models in TF-Hub's form, on disk and served over loopback as tfhub.dev serves them."""

import http.server
import io
import tarfile
import threading
import urllib.parse

import keras
import numpy as np
import pytest
import tensorflow as tf

from mmat.pretrained.efficientnet_lite import save_in_hub_form


@pytest.fixture(scope="session", autouse=True)
def hub_cache(tmp_path_factory):
    """An empty cache for downloads: a port may be another model's tomorrow."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TFHUB_CACHE_DIR", str(tmp_path_factory.mktemp("hub")))
        yield


@pytest.fixture(scope="session")
def serve():
    """A function that serves a SavedModel's folder over loopback and returns its handle."""
    archives = {}

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            address = urllib.parse.urlsplit(self.path)
            compressed = urllib.parse.parse_qs(address.query).get("tf-hub-format") == ["compressed"]
            if not compressed or address.path not in archives:
                self.send_error(404)
                return
            self.send_response(200)
            self.send_header("Content-Type", "application/x-gzip")
            self.end_headers()
            self.wfile.write(archives[address.path])

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()

    def publish(folder, path):
        packed = io.BytesIO()
        # Weights drawn at random hardly shrink.
        with tarfile.open(fileobj=packed, mode="w:gz", compresslevel=0) as archive:
            archive.add(folder, arcname=".")
        archives[path] = packed.getvalue()
        return f"http://127.0.0.1:{server.server_port}{path}"

    yield publish
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="session")
def frames():
    """uint8 (2, 3, 299, 299, 3): smooth coloured patterns, no two alike."""
    rng = np.random.default_rng(7)
    small = rng.integers(0, 256, (6, 9, 9, 3))
    large = tf.image.resize(small, (299, 299), method="bicubic")
    return np.clip(large, 0, 255).astype(np.uint8).reshape(2, 3, 299, 299, 3)


@pytest.fixture(scope="session")
def inception():
    """The Inception V3 architecture with 1001 outputs and seeded random weights."""
    keras.utils.set_random_seed(3)
    model = keras.applications.InceptionV3(weights=None, classes=1001, classifier_activation=None)
    kernel, bias = model.layers[-1].get_weights()
    # Random features differ little: a wide last layer makes one class stand out in each frame.
    model.layers[-1].set_weights([200 * kernel, np.random.default_rng(3).normal(size=bias.shape)])
    return model


@pytest.fixture(scope="session")
def inception_folder(inception, tmp_path_factory):
    folder = tmp_path_factory.mktemp("inception")
    save_in_hub_form(inception, folder)
    return folder


@pytest.fixture(scope="session")
def vggish_folder(tmp_path_factory):
    """A SavedModel in VGGish's form: from a waveform to (patches, 128), mean levels of patches."""
    module = tf.Module()

    @tf.function(input_signature=[tf.TensorSpec((None,), tf.float32)])
    def encode(waveform):
        patches = tf.abs(tf.signal.frame(waveform, 15600, 15360))
        return tf.reduce_mean(patches, axis=1, keepdims=True) * tf.ones((1, 128))

    module.__call__ = encode
    folder = tmp_path_factory.mktemp("vggish")
    tf.saved_model.save(module, str(folder))
    return folder


@pytest.fixture(scope="session")
def text_folder(tmp_path_factory):
    """A SavedModel from strings to (n, 512): the sum of a fixed random vector for each letter."""
    vectors = tf.constant(np.random.default_rng(5).normal(size=(256, 512)), tf.float32)
    module = tf.Module()

    @tf.function(input_signature=[tf.TensorSpec((None,), tf.string)])
    def encode(texts):
        letters = tf.cast(tf.io.decode_raw(texts, tf.uint8, fixed_length=64), tf.int32)
        present = tf.cast(letters > 0, tf.float32)[..., tf.newaxis]
        return tf.reduce_sum(present * tf.gather(vectors, letters), axis=1)

    module.__call__ = encode
    folder = tmp_path_factory.mktemp("text")
    tf.saved_model.save(module, str(folder))
    return folder
