"""Write the invalid vectors of the specification: `python scripts/make_invalid_vectors.py [FOLDER]`.

They are the small files of the gallery in tests/spec/test_hostile.py, each of which breaks one rule; the manifest names
the error of `swsfmt.errors` that a reader must raise (other readers: refuse the file, or that tensor).
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(HERE / "tests" / "spec"), str(HERE / "tests" / "helpers")]

from test_hostile import GALLERY  # noqa: E402

MAX_BYTES = 4096


def vectors() -> dict[str, tuple[bytes, str, str]]:
    """File name -> bytes, error and what is wrong."""
    out = {}
    for row in GALLERY:
        data, error, _ = row.values
        if len(data) <= MAX_BYTES:
            name = re.sub(r"[^a-z0-9]+", "-", str(row.id).lower()).strip("-") + ".sws"
            assert name not in out, name
            out[name] = (data, error.__name__, str(row.id))
    return out


def main() -> None:
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else HERE / "spec" / "vectors" / "invalid"
    folder.mkdir(parents=True, exist_ok=True)
    manifest = {}
    for name, (data, error, wrong) in vectors().items():
        (folder / name).write_bytes(data)
        manifest[name] = {"error": error, "wrong": wrong}
    (folder / "manifest.json").write_text(json.dumps(manifest, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
