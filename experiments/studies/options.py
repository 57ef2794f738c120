"""The command line that the studies share."""

import argparse

from mmat.training import fastest_dtype

PRECISIONS = ("float32", "mixed_bfloat16")
ENCODERS = ("crnn", "yamnet")


def options(study: str, seeds: int, encoder: bool = False, **flags: str) -> argparse.Namespace:
    """Read `--precision`, `--seeds` and, where a study has it, `--encoder`.

    study: its docstring. flags: further switches of the study's own, name to help. The precision is
    the fastest of this machine where none is named; it is measured once, and printed.
    """
    parser = argparse.ArgumentParser(description=study.splitlines()[0])
    parser.add_argument("--precision", choices=PRECISIONS, help="default: the fastest here")
    parser.add_argument(
        "--seeds", type=int, default=seeds, help=f"trainings each (default {seeds})"
    )
    if encoder:
        parser.add_argument(
            "--encoder", choices=ENCODERS, default=ENCODERS[0], help="what is heard"
        )
    for name, told in flags.items():
        parser.add_argument(f"--{name}", action="store_true", help=told)
    chosen = parser.parse_args()
    chosen.precision = chosen.precision or fastest_dtype()
    print(f"precision: {chosen.precision}", flush=True)
    return chosen
