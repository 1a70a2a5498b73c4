"""Files of Debian's packages, which are downloaded and unpacked once, and not installed; kept in the user's cache."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path


def unpacked(packages: Sequence[str], folder: Path, what: str) -> Path:
    """The folder, in `folder`, into which all packages are unpacked. what : they are for, where they cannot be had"""
    root = folder / "root"
    if root.is_dir():
        return root
    folder.mkdir(parents=True, exist_ok=True)
    try:
        subprocess.run(["apt-get", "download", "-q", *packages], cwd=folder, check=True, capture_output=True)
        for package in folder.glob("*.deb"):
            subprocess.run(["dpkg-deb", "-x", package, folder / "unpacking"], check=True)
            package.unlink()
    except (OSError, subprocess.CalledProcessError) as error:
        raise SystemExit(f"{what} cannot be had: {error}; apt-get update may help") from error
    (folder / "unpacking").rename(root)
    return root
