"""Nothing that TensorFlow says of its own gets between a user and mmat's lines."""

import subprocess
import sys

from mmat.startup import ENVIRONMENT
from tests.processes import user_environment

# As a user's script begins: modules of the package, before anything else of it was used.
QUIET = """
import mmat
from mmat.models.fusion import EitherRight
import keras, tensorflow as tf
print(float(keras.ops.sum(tf.ones(2))))
"""


def run(code: str, **changes: str) -> subprocess.CompletedProcess:
    environment = {k: v for k, v in user_environment().items() if k not in ENVIRONMENT} | changes
    command = [sys.executable, "-c", code]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)


def test_tensorflow_is_quiet_and_quick_after_any_import_of_mmat():
    done = run(QUIET + "import os; print(os.environ['TF_ENABLE_ONEDNN_OPTS'])")
    assert (done.stdout, done.stderr, done.returncode) == ("2.0\n1\n", "", 0)


def test_what_a_user_set_stays():
    done = run(
        "import mmat, os; print(os.environ['TF_CPP_MIN_LOG_LEVEL'])", TF_CPP_MIN_LOG_LEVEL="0"
    )
    assert done.stdout == "0\n"


def test_after_tensorflow_nothing_is_changed():
    done = run("import tensorflow, mmat, os; print('TF_ENABLE_ONEDNN_OPTS' in os.environ)")
    assert done.stdout == "False\n"


def test_a_program_collects_garbage_less_often_and_a_call_of_it_changes_nothing():
    done = run(
        """
import gc, sys
from mmat.cli import main
words, kept = ["fetch", "models", "--dry-run"], gc.get_threshold()
main(words)
print(gc.get_threshold() == kept)
sys.argv[1:] = words
main()
print(gc.get_threshold() == kept)
"""
    )
    said = [line for line in done.stdout.splitlines() if line in ("True", "False")]
    assert said == ["True", "False"]
