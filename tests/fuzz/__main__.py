"""Fuzzes the readers for as long as wanted: `python -m tests.fuzz [--mutants N] [FORMAT [NUMBER]]`.

Prints, for each format, how many mutants were read, refused, and what else happened. With a number, tells about that
mutant alone, and leaves its files.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from tests.fuzz.formats import FORMATS
from tests.fuzz.pool import Reader, fault

_SHOWN = 1000


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--mutants", type=int, default=500, help="mutants of each format")
    parser.add_argument("format", nargs="?", choices=sorted(FORMATS), help="only this format")
    parser.add_argument("number", nargs="?", type=int, help="only this mutant")
    return parser.parse_args()


def _one(name: str, number: int) -> int:
    folder = Path(tempfile.mkdtemp(prefix="fuzz-"))
    reader = Reader(folder)
    told = reader.read(FORMATS[name], number)
    print(reader.log())
    reader.close()
    print(f"{name} {number}: {told}\nits files are in {folder / 'work'}")
    return 1 if fault(told) else 0


def _all(names: list[str], mutants: int) -> int:
    print(f"{'format':20} {'mutants':>8} {'read':>6} {'refused':>8} {'faults':>7} {'seconds':>8} {'most MB':>8}")
    faults: list[str] = []
    for name in names:
        with tempfile.TemporaryDirectory(prefix="fuzz-") as folder:
            reader, codes, found, most = Reader(Path(folder)), Counter[str](), 0, 0
            begun = time.monotonic()
            for number in range(1, mutants + 1):
                told = reader.read(FORMATS[name], number)
                most = max(most, told.get("kilobytes", 0))
                if wrong := fault(told):
                    found += 1
                    faults.append(f"{name} {number} ({told.get('file')}): {wrong}")
                codes[str(told["code"])] += 1
            reader.close()
        taken = time.monotonic() - begun
        print(
            f"{name:20} {mutants:8} {codes['0']:6} {codes['2']:8} {found:7} {taken:8.0f} {most / 1000:8.0f}", flush=True
        )
    print(*faults[:_SHOWN], sep="\n")
    return 1 if faults else 0


if __name__ == "__main__":
    given = _arguments()
    if given.number is not None:
        sys.exit(_one(given.format, given.number))
    sys.exit(_all([given.format] if given.format else list(FORMATS), given.mutants))
