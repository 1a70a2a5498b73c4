"""Sentences of three kinds from Debian's packages, downloaded once and kept in the user's cache: verses of the King
James Bible, paragraphs of a dictionary (GCIDE), and fortunes.

Every second one is for measuring, and nothing else; calibration and whatever is chosen may use the others.
"""

from __future__ import annotations

import gzip
import random
import re
import subprocess
import sys
from functools import cache
from pathlib import Path

from debian_packages import unpacked

CACHE = Path.home() / ".cache" / "swsfmt" / "texts"
PACKAGES = ("bible-kjv-text", "bible-kjv", "dict-gcide", "fortunes")


def evaluation(count: int, seed: int = 0) -> list[str]:
    """So many sentences of each kind that are for measuring, in random order."""
    return _drawn(0, count, seed)


def calibration(count: int, seed: int = 0) -> list[str]:
    """So many of each kind that are not for measuring."""
    return _drawn(1, count, seed)


def others(count: int, seed: int = 0) -> list[str]:
    """Some that are not for measuring, and not among these of `calibration` either: to choose settings by."""
    first = set(calibration(count, seed))
    return [text for text in calibration(400, seed=1) if text not in first][1000:]


def _drawn(parity: int, count: int, seed: int) -> list[str]:
    generator = random.Random(seed)
    out = []
    for kind in (verses(), definitions(), fortunes()):
        out += generator.sample(kind[parity::2], count)
    generator.shuffle(out)
    return out


@cache
def verses() -> list[str]:
    """Verses in the order of the Bible."""
    root = _packages()
    path = CACHE / "bible.txt"
    if not path.is_file():
        command = [root / "usr/bin/bible", "-p", root / "usr/lib", "-l9999", "Gen1:1-Rev22:21"]
        path.write_bytes(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout)
    lines = path.read_text(encoding="latin-1").splitlines()
    return _fitting(re.sub(r"^\s*\d+ ", "", line) for line in lines if re.match(r"\s*\d+ ", line))


@cache
def definitions() -> list[str]:
    """Paragraphs of the dictionary, without its notes in brackets."""
    with gzip.open(_packages() / "usr/share/dictd/gcide.dict.dz", "rt", encoding="utf-8", errors="replace") as file:
        paragraphs = re.split(r"\n\s*\n", file.read())
    return _fitting(re.sub(r"\[[^\]]*\]", "", " ".join(text.split())).strip() for text in paragraphs)


@cache
def fortunes() -> list[str]:
    files = sorted((_packages() / "usr/share/games/fortunes").iterdir())
    texts = [
        path.read_text(encoding="utf-8", errors="replace")
        for path in files
        if not path.suffix and "ascii" not in path.name
    ]
    entries = (" ".join(entry.split()) for text in texts for entry in text.split("\n%\n"))
    return [entry for entry in entries if 30 < len(entry) < 400]


def _fitting(texts):  # type: ignore[no-untyped-def]
    return [text for text in texts if 40 < len(text) < 400 and text[0].isalpha()]


def _packages() -> Path:
    return unpacked(PACKAGES, CACHE, "the texts")


if __name__ == "__main__":
    for kind in (verses(), definitions(), fortunes()):
        print(f"{len(kind):,}", kind[2], file=sys.stderr)
