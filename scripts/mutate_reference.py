"""Change the reference decoder in one place at a time and list the changes that no vector tells: holes in them.

`python scripts/mutate_reference.py [SECONDS [SEED]]`. Each comparison becomes another, each number
one more or one less. What is left is to be read: some changes change nothing (a limit that no small file meets).
"""

from __future__ import annotations

import ast
import json
import random
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests" / "spec"))

from test_wrong_readers import SOURCE, SPEC, is_right, module  # noqa: E402

NEIGHBOURS: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
}
# A change that makes the decoder run on for so long has been told.
SECONDS = 30


def mutants() -> Iterator[tuple[int, str, str]]:
    """Line, what it became, and the whole source."""
    tree = ast.parse(SOURCE)
    for node in ast.walk(tree):
        if isinstance(node, ast.Compare):
            for i, operator in enumerate(node.ops):
                if type(operator) in NEIGHBOURS:
                    node.ops[i] = NEIGHBOURS[type(operator)]()
                    yield node.lineno, ast.unparse(node), ast.unparse(tree)
                    node.ops[i] = operator
        elif isinstance(node, ast.Constant) and type(node.value) is int:
            number = node.value
            for other in (number + 1, number - 1):
                node.value = other
                yield node.lineno, f"{number} -> {other}", ast.unparse(tree)
            node.value = number


def vectors() -> list[str]:
    """The quick ones first, and not the one with half a million decisions."""
    names = []
    for folder in ("valid", "invalid"):
        manifest = json.loads((SPEC / "vectors" / folder / "manifest.json").read_text(encoding="utf-8"))
        names += [
            f"{folder}/{name.removesuffix('.sws')}"
            for name, entry in manifest.items()
            if entry.get("error") != "UnknownCodingError" and name != "adaptive-weights.sws"
        ]
    return sorted(names, key=lambda name: "adaptive" in name)


def is_told(source: str, names: list[str]) -> bool:
    signal.alarm(SECONDS)
    try:
        reader: Any = module(source)
        return not all(is_right(reader, name) for name in names)
    except Exception:
        # A decoder that breaks down is told, too.
        return True
    finally:
        signal.alarm(0)


def main() -> None:
    budget = float(sys.argv[1]) if len(sys.argv) > 1 else 1e9
    end = time.monotonic() + budget

    def late(*_: Any) -> None:
        raise TimeoutError

    signal.signal(signal.SIGALRM, late)
    names = vectors()
    assert all(is_right(module(SOURCE), name) for name in names)
    chosen = list(mutants())
    random.Random(int(sys.argv[2]) if len(sys.argv) > 2 else 0).shuffle(chosen)
    lines = SOURCE.splitlines()
    tried = survived = 0
    for line, change, source in chosen:
        if time.monotonic() > end:
            break
        tried += 1
        if not is_told(source, names):
            survived += 1
            print(f"{line}: {change}    in    {lines[line - 1].strip()}", flush=True)
    print(f"{tried} of {len(chosen)} changes tried, {survived} told by no vector")


if __name__ == "__main__":
    main()
