"""What mmat is made of: `pip install -e .`, or `make venv` for the pinned environment."""

import pathlib
import re

from setuptools import find_packages, setup

HERE = pathlib.Path(__file__).parent
VERSION = re.search(r'^__version__ = "(.+)"$', (HERE / "mmat/__init__.py").read_text(), re.M)[1]

REQUIRES = [
    "tensorflow>=2.17.1,<2.21",  # everything that computes; Kapre admits nothing newer
    "keras>=3.5,<3.14",  # the models; Keras 3, the versions that Kapre admits
    "kapre>=0.4.1,<0.5",  # the mel front end inside the graph
    "ai-edge-litert>=2.1,<3",  # runs exported taggers (.tflite) without TensorFlow
    "tensorflow-hub>=0.16.1,<0.17",  # frozen image networks and text encoders by handle
    "setuptools<82",  # tensorflow-hub imports pkg_resources, which 82 drops
    "numpy>=1.26",  # arrays at every border
    "h5py",  # reads the label file of CMU-MOSI, which is HDF5; Keras needs it too
    "scipy",  # sums over bootstrap draws as sparse products
    "pandas>=2,<3",  # tables; under 3 the event metrics meet read-only arrays
    "matplotlib",  # plots of spectrograms, scores and label maps
    "av",  # FFmpeg: decodes media files of every kind, writes mp4
    "pillow",  # photographs: decoding, scaling, pasting
    "soundfile",  # reads the recordings that corpora are made of, and writes WAV
    "soxr",  # resampling to 16 kHz
    "sed_eval==0.2.1",  # the field's own segment scores of sound events, in metrics/events.py
    "sed_scores_eval==0.0.4",  # PSDS and curves without a threshold, in metrics/curves.py
    "jinja2>=3.1,<4",  # the page of an evaluation, with untrusted names escaped
    "tqdm",  # progress bars
    "tabulate",  # printed tables
    "platformdirs",  # where the cache lies
    "filelock>=4.3,<5",  # one process at a time writes a folder of shards
    "requests",  # downloads of the public lists, resumed where they broke off
    "unearth>=0.19,<0.20",  # finds source archives in pip's indexes; pip would build them
    "zstandard",  # unpacks the packages that hold the mini corpus
]

EXTRAS = {
    "app": ["gradio>=6.31,<7"],  # the page of `mmat app`; 7 may change its parts and its names
    "parquet": ["pyarrow"],  # events as Parquet; 45 MB that text tables do without
    # `mmat export --format onnx`.
    "onnx": [
        "tf2onnx>=1.17",  # makes it of TensorFlow's graph
        "onnx<1.19",  # checks it; newer ones want ml_dtypes that TensorFlow 2.17 forbids
        "onnxruntime",  # runs it beside Keras
    ],
    # `mmat prepare --runner`: for lists that one machine is too small for.
    "beam": ["apache-beam"],
    # Its native ops load with this TensorFlow alone, so the two are pinned together.
    "tfio": ["tensorflow-io==0.37.1", "tensorflow==2.17.1"],
    # `make bench`: what a user would pick instead, measured beside mmat.
    "bench": [
        "torch==2.13.0",  # the same networks and features in PyTorch; a build for CPUs is enough
        "librosa",  # its features and its way to load sound
        "opencv-python-headless<4.12",  # its way to pictures; newer ones want NumPy 2
        "apache-beam",  # prepare by its DirectRunner
    ],
    "dev": [
        "axe-playwright-python",  # axe-core, which looks for accessibility faults of the page
        "build",  # the wheel
        "cryptography",  # the certificate of a server in the tests
        "hypothesis",  # tests over many inputs
        "librosa",  # the reference for the mel features
        "playwright",  # drives the browser that the page is tested in; the browser is the system's
        "pytest",  # the tests
        "pytest-xdist",  # the tests on both cores
        "ruff",  # lint and format
        "scikit-learn",  # the reference for the metrics
        "uv",  # makes the environments and the locks
        "wheel",  # the editable install without a download
    ],
}

setup(
    name="mmat",
    version=VERSION,
    description="Light-weight multimodal audio tagging of weakly labelled video clips, in Keras",
    long_description=(HERE / "README.md").read_text() if (HERE / "README.md").exists() else "",
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    license_files=["LICENSE", "THIRD_PARTY*"],
    python_requires=">=3.11,<3.13",
    packages=[*find_packages(include=["mmat", "mmat.*"]), "mmat.data_lists"],
    package_dir={"mmat": "mmat", "mmat.data_lists": "data_lists"},
    package_data={
        "mmat.app": ["answer.html", "page.css", "page.js"],
        "mmat.evaluation": ["page.html"],
        "mmat.export": ["web_page/*"],
        "mmat.data_lists": ["**/*.csv", "**/*.md", "**/*.tsv", "**/*.txt"],
    },
    install_requires=REQUIRES,
    extras_require=EXTRAS,
    entry_points={"console_scripts": ["mmat = mmat.cli:main"]},
    classifiers=[
        "Development Status :: 3 - Alpha",
        "Intended Audience :: Science/Research",
        "Operating System :: POSIX :: Linux",
        "Programming Language :: Python :: 3.11",
        "Programming Language :: Python :: 3.12",
        "Topic :: Multimedia :: Sound/Audio :: Analysis",
        "Topic :: Scientific/Engineering :: Artificial Intelligence",
    ],
)
