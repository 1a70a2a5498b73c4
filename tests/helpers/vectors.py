"""The vectors of the specification and their manifests."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
VALID = ROOT / "spec" / "vectors" / "valid"
INVALID = ROOT / "spec" / "vectors" / "invalid"
VALID_MANIFEST: dict[str, Any] = json.loads((VALID / "manifest.json").read_text(encoding="utf-8"))
INVALID_MANIFEST: dict[str, Any] = json.loads((INVALID / "manifest.json").read_text(encoding="utf-8"))


def agrees(entry: dict[str, Any], data: bytes) -> bool:
    """Whether these elements are the manifest's."""
    if "hex" in entry:
        return data.hex() == entry["hex"]
    return hashlib.sha256(data).hexdigest() == entry["sha256"]
