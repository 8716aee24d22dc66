#!/usr/bin/python3
"""bench: measures socketmaster against floors taken beside it, in one run.

usage: bench.py [--quick] [--build DIR] [--only NAME]...

Prints a table to standard output and keeps everything, with every single sample, in
DIR/bench.json. What is to be reached stands beside each figure; whether it was does not change the
exit status, since a busy machine misses for reasons of its own.
"""

import argparse
import json
import os
import pathlib
import platform
import statistics
import subprocess
import sys
import time

from measures import Bench
from process import Broken
from rows import FULL, QUICK

COLUMNS = "{:<48} {:>21} {:>21} {:>6}  {:<9} {}"


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="fewer rounds: half a minute")
    parser.add_argument("--build", default=os.environ.get("BUILD", "build"), metavar="DIR")
    parser.add_argument("--only", action="append", metavar="NAME", help="a measure (repeatable)")
    return parser.parse_args()


def progress(text):
    if sys.stderr.isatty():
        print(f"\r{text:<60}\r", end="", file=sys.stderr, flush=True)


def number(value):
    """Three digits that count, or more before the point."""
    if value == 0 or float(value).is_integer():
        return f"{value:.0f}"
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"


def summary(samples):
    if not samples:
        return ""
    text = number(statistics.median(samples))
    if len(samples) > 1:
        text += f" ({number(min(samples))}-{number(max(samples))})"
    return text


def print_table(rows):
    line = COLUMNS.format("", "floor", "socketmaster", "ratio", "reach", "").rstrip()
    print(line)
    print("-" * (len(line) + 11))
    for row in rows:
        ratio = "" if row.ratio is None else f"{row.ratio:.2f}"
        met = {True: "met", False: "missed", None: ""}[row.met]
        what = f"{row.what}, {row.unit}" if row.unit else row.what
        cells = summary(row.floor), summary(row.ours), ratio, row.reach, met
        print(COLUMNS.format(what, *cells).rstrip())


def figures(samples):
    if not samples:
        return None
    return {
        "median": statistics.median(samples),
        "min": min(samples),
        "max": max(samples),
        "samples": samples,
    }


def machine():
    return {
        "kernel": " ".join(platform.uname()[index] for index in (0, 2, 4)),
        "processors": os.cpu_count(),
        "load": os.getloadavg()[0],
    }


def write_json(path, rows, skipped, quick):
    record = {
        "when": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        "machine": machine(),
        "quick": quick,
        "rows": [
            {
                "what": row.what,
                "unit": row.unit,
                "floor": figures(row.floor),
                "ours": figures(row.ours),
                "ratio": row.ratio,
                "reach": row.reach,
                "met": row.met,
            }
            for row in rows
        ],
        "not measured": skipped,
    }
    path.write_text(json.dumps(record, indent=1) + "\n")


def main():
    options = arguments()
    rows, skipped = [], {}
    if not pathlib.Path(options.build, "socketmaster").exists():
        sys.exit(f"bench: there is no {options.build}/socketmaster: `make bench` builds it")
    bench = Bench(options.build, QUICK if options.quick else FULL)
    for name in options.only or bench.measures:
        if name not in bench.measures:
            sys.exit(f"bench: there is no {name!r} but " + ", ".join(bench.measures))
        progress(f"measuring: {name}")
        try:
            rows += bench.measure(name)
        except (Broken, OSError, subprocess.CalledProcessError) as error:
            skipped[name] = str(error)
    progress("")
    print_table(rows)
    for name, why in skipped.items():
        print(f"not measured: {name}: {why}")
    kept = pathlib.Path(options.build, "bench.json")
    write_json(kept, rows, skipped, options.quick)
    print(f"Medians (lowest-highest) of one run; kept in {kept}.")


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
