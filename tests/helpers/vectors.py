"""The vectors of the specification, their manifests, and modules that are in no package."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
VALID = ROOT / "spec" / "vectors" / "valid"
INVALID = ROOT / "spec" / "vectors" / "invalid"
VALID_MANIFEST: dict[str, Any] = json.loads((VALID / "manifest.json").read_text(encoding="utf-8"))
INVALID_MANIFEST: dict[str, Any] = json.loads((INVALID / "manifest.json").read_text(encoding="utf-8"))


def load(path: Path) -> ModuleType:
    """Import a file that is in no package."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module
    spec.loader.exec_module(module)
    return module


def agrees(entry: dict[str, Any], data: bytes) -> bool:
    """Whether these elements are the manifest's."""
    if "hex" in entry:
        return data.hex() == entry["hex"]
    return hashlib.sha256(data).hexdigest() == entry["sha256"]
