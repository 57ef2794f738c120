"""Results as tables: printed, and put where `docs/performance.md` has room for them.

    python -m benchmarks.tables    fill the page from benchmarks/results.json

In the page a line `<!-- results: PREFIX -->` begins a place, and `<!-- end -->` ends it. It is
filled with the rows whose job begins so; `aims` and `machine` are made of all of them.
"""

import collections
import re
import sys
from collections.abc import Sequence

import tabulate

from benchmarks.processes import ROOT
from benchmarks.results import read_results
from mmat.files import InputError

PAGE = ROOT / "docs" / "performance.md"
RESULTS = ROOT / "benchmarks" / "results.json"
PLACE = re.compile(r"(<!-- results: (.+?) -->\n).*?(<!-- end -->)", re.DOTALL)
NOT_MEASURED = "Not measured yet."


def main() -> int:
    try:
        results = read_results(RESULTS)
    except InputError as error:
        print(error, file=sys.stderr)
        return 2
    PAGE.write_text(filled(PAGE.read_text(encoding="utf-8"), results), encoding="utf-8")
    print(f"filled {PAGE.relative_to(ROOT)}")
    return 0


def filled(page: str, results: dict) -> str:
    """Return a page with its places filled anew."""

    def content(match: re.Match) -> str:
        begin, what, end = match.groups()
        if what == "machine":
            text = machine_line(results["machine"])
        elif what == "aims":
            text = aims_table(results["results"])
        else:
            text = table([row for row in results["results"] if row["job"].startswith(what)])
        return f"{begin}{text}\n{end}"

    return PLACE.sub(content, page)


def table(rows: Sequence[dict]) -> str:
    """Return rows as a table in Markdown: how long or how much, how many times better.

    Where several ways of ours meet several peers there is a column for each peer.
    """
    if not rows:
        return NOT_MEASURED
    ways = collections.Counter((row["job"], row["ours"]) for row in rows)
    ways_of_job = collections.Counter(job for job, _ in ways)
    if max(ways.values()) > 1 and max(ways_of_job.values()) > 1:
        return _crossed(rows)
    head = ["job", "ours", "", "against", "", "times better", "aim", "of the floor"]
    lines = [
        [
            row["job"],
            row["ours"],
            amount(row, "ours"),
            row["peer"],
            amount(row, "peer"),
            digits(row["ratio"]),
            aim(row),
            share(row),
        ]
        for row in rows
    ]
    return markdown(lines, head)


def _crossed(rows: Sequence[dict]) -> str:
    peers = list(dict.fromkeys(row["peer"] for row in rows))
    lines = []
    for job in dict.fromkeys(row["job"] for row in rows):
        own = [row for row in rows if row["job"] == job]
        met = {row["peer"]: amount(row, "peer") for row in own}
        lines.append([job, "", "", *(met.get(peer, "") for peer in peers)])
        for way in dict.fromkeys(row["ours"] for row in own):
            pairs = {row["peer"]: row for row in own if row["ours"] == way}
            first = next(iter(pairs.values()))
            cells = [f"× {digits(pairs[peer]['ratio'])}" if peer in pairs else "" for peer in peers]
            lines.append([way, amount(first, "ours"), share(first), *cells])
    return markdown(lines, ["job, and ours", "", "of the floor", *peers])


def aims_table(rows: Sequence[dict]) -> str:
    """Return for each aim the best of ours: how many times better it is, and whether that is it."""
    lines = []
    for row in best_of_ours([row for row in rows if row["aim"]]):
        verdict = "met" if row["ratio"] >= row["aim"] else "**missed**"
        cells = [row["job"], row["ours"], row["peer"], digits(row["ratio"]), aim(row)]
        lines.append([*cells, verdict, share(row)])
    head = ["job", "best of ours", "against", "times better", "aim", "", "of the floor"]
    return markdown(lines, head) if lines else NOT_MEASURED


def best_of_ours(rows: Sequence[dict]) -> list[dict]:
    """Return of the rows of one job and one peer that with the highest ratio."""
    best = {}
    for row in rows:
        key = row["job"], row["peer"]
        if key not in best or row["ratio"] > best[key]["ratio"]:
            best[key] = row
    return list(best.values())


def amount(row: dict, side: str) -> str:
    """Return the median of a side with the least and the most, in a unit that suits it.

    >>> amount({"ours_seconds": {"min": 0.011, "median": 0.012, "max": 0.02}}, "ours")
    '12 ms (11 to 20)'
    """
    if megabytes := row.get(f"{side}_megabytes"):
        return _spread(megabytes, 1, "MB")
    seconds = row[f"{side}_seconds"]
    for limit, unit, scale in ((1e-3, "µs", 1e6), (1, "ms", 1e3), (600, "s", 1)):
        if seconds["median"] < limit:
            return _spread(seconds, scale, unit)
    return _spread(seconds, 1 / 3600, "h")


def _spread(values: dict, scale: float, unit: str) -> str:
    low, middle, high = (digits(scale * values[name]) for name in ("min", "median", "max"))
    return f"{middle} {unit}" if low == high else f"{middle} {unit} ({low} to {high})"


def digits(value: float) -> str:
    """Return a number with three digits, or all before the point.

    >>> digits(0.01234), digits(1234.5)
    ('0.0123', '1,234')
    """
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def aim(row: dict) -> str:
    return "" if row["aim"] is None else f"{row['aim']:.2g}"


def share(row: dict) -> str:
    """Return which share of the floor ours reaches.

    >>> share({"floor_seconds": 1.03, "ours_seconds": {"median": 1.0}})
    '103 %'
    """
    if row["floor_seconds"] is None:
        return ""
    percent = 100 * row["floor_seconds"] / row["ours_seconds"]["median"]
    return f"{percent:.0f} %" if percent >= 10 else f"{percent:.2g} %"


def machine_line(machine: dict) -> str:
    """Return in a sentence or two what the machine is and what it can do at best."""
    has = ", ".join(machine["instructions"]) or "none of those that matter"
    packages = ", ".join(f"{name} {version}" for name, version in machine["packages"].items())
    return (
        f"{machine['cores']} cores, {machine['cpu']} ({has}), {machine['memory_gb']} GB, "
        f"{machine['system']}, Python {machine['python']}; {packages}. Products of matrices: "
        f"{machine['float32_gigaflops']:.3g} gigaflops in float32, "
        f"{machine['bfloat16_gigaflops']:.3g} in bfloat16; copies: "
        f"{machine['copied_gb_a_second']:.3g} GB a second."
    )


def markdown(lines: list[list[str]], head: list[str]) -> str:
    return tabulate.tabulate(lines, head, "github", disable_numparse=True)


if __name__ == "__main__":
    sys.exit(main())
