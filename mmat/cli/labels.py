"""`mmat labels`: the names that are known by ear and eye, and what other labels are taken for."""

import argparse

from mmat.cli.common import LABEL_FORMS, add_command

MOST_NAMED = 3  # of the names that one label is taken for


def add(commands) -> None:
    """Add the command to the parser's."""
    command = add_command(
        commands,
        "labels",
        "list the names that are known by ear and by eye, or look labels up",
        run,
        "Any label may be asked for: one that is no known name is taken for the nearest names.",
    )
    command.add_argument(
        "labels",
        metavar="WORD",
        nargs="*",
        help=f"a word to search for, or labels: {LABEL_FORMS} (default: list every known name)",
    )


def run(arguments: argparse.Namespace) -> int:
    """Run the command and return its exit status."""
    from mmat.models.asked import known_names, parse_label_set

    if not arguments.labels:
        names = known_names()
        _list(names)
        n_heard, n_seen = (sum(sense in known.by for known in names) for sense in ("ear", "eye"))
        print(f"\n{len(names)} names: {n_heard} known by ear, {n_seen} by eye")
        return 0
    labels = parse_label_set(";".join(arguments.labels))
    print(_table(labels.names))
    if len(labels) == 1:
        found = known_names(labels.names[0])
        print(f"\n{len(found) or 'no'} known names with {labels.names[0]!r}")
        _list(found)
    return 0


def _list(names) -> None:
    """Print names, a line each; synonyms stand behind them."""
    for known in names:
        print(f"{' and '.join(known.by):<12} {', '.join((known.name, *known.synonyms))}")


def _table(labels) -> str:
    import tabulate

    from mmat.models.asked import mappings
    from mmat.models.name_maps import IMAGE_FLOOR, SOUND_FLOOR

    rows = [
        [m.label, _names(m.heard, m.nearest_heard), _names(m.seen, m.nearest_seen)]
        for m in mappings(labels)
    ]
    table = tabulate.tabulate(rows, ["label", "heard as", "seen as"], disable_numparse=True)
    return (
        f"{table}\nnumbers: how near a name is, which counts from {SOUND_FLOOR:g} by ear and from "
        f"{IMAGE_FLOOR:g} by eye; without one it means the same"
    )


def _names(near, nearest) -> str:
    """Return what a label is taken for in a cell, or the nearest name that is too far."""
    if not near:
        return f"nothing (nearest: {_name(*nearest)})"
    shown = ", ".join(_name(*each) for each in near[:MOST_NAMED])
    more = len(near) - MOST_NAMED
    return f"{shown} and {more} more" if more > 0 else shown


def _name(name: str, similarity: float) -> str:
    return name if similarity >= 1 else f"{name} {similarity:.2f}"
