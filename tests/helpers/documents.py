"""The documentation as tests read it: its code blocks and tables."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Block:
    """A fenced block of code. path : of its document. line : the one of its fence."""

    path: Path
    line: int
    language: str
    text: str


def documents() -> list[Path]:
    """Every page of the project."""
    folders = (".", "docs", "docs/api", "docs/design", "spec", "zoo", "examples")
    pages = [path for folder in folders for path in (ROOT / folder).glob("*.md")]
    return sorted({page.resolve() for page in pages})


def blocks() -> list[Block]:
    """The code of all pages; what names no language is no code."""
    found = []
    for path in documents():
        text = path.read_text(encoding="utf-8")
        for match in re.finditer(r"^```(\w+)\n(.*?)^```$", text, re.M | re.S):
            line = text.count("\n", 0, match.start()) + 1
            found.append(Block(path.relative_to(ROOT), line, match[1], match[2]))
    return found


def table(path: str, first_cell: str) -> list[list[str]]:
    """The rows of the table of a page whose head begins with this cell, head first, without the rule below it."""
    text = (ROOT / path).read_text(encoding="utf-8")
    start = text.index(f"\n| {first_cell} |")
    rows = text[start + 1 :].split("\n\n")[0].splitlines()
    return [[cell.strip() for cell in row.strip().strip("|").split("|")] for row in (rows[0], *rows[2:])]
