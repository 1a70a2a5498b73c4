"""Print the lowest version of every dependency that pyproject.toml allows, as constraints for pip.

    python scripts/lowest.py > constraints.txt && pip install -c constraints.txt -e '.[train,test]'

`make test-lowest` runs the tests with them. Tools that only look at the code are left as they are.
"""

from __future__ import annotations

import re
import tomllib
from itertools import chain
from pathlib import Path

PYPROJECT = Path(__file__).resolve().parent.parent / "pyproject.toml"
TOOLS = {"mypy", "ruff"}


def constraints(pyproject: Path = PYPROJECT) -> dict[str, str]:
    """Name -> lowest version. Raises `ValueError` for a requirement without one, or for two that differ."""
    project = tomllib.loads(pyproject.read_text(encoding="utf-8"))["project"]
    out: dict[str, str] = {}
    for requirement in chain(project["dependencies"], *project["optional-dependencies"].values()):
        match = re.fullmatch(r"([\w-]+)(?:\[[\w,]+\])?>=([\d.]+)", requirement)
        if match is None:
            raise ValueError(f"{requirement!r} has no lowest version")
        name, version = match.groups()
        if out.setdefault(name, version) != version:
            raise ValueError(f"{name} has two lowest versions, {out[name]} and {version}")
    return {name: version for name, version in sorted(out.items()) if name not in TOOLS}


if __name__ == "__main__":
    for name, version in constraints().items():
        print(f"{name}=={version}")
