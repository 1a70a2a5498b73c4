"""The documentation builds as a site: every page has its place, every link and every API page its object."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def test_every_page_has_a_place() -> None:
    places = set(re.findall(r": ([\w./-]+\.md)$", (ROOT / "mkdocs.yml").read_text(encoding="utf-8"), re.M))
    pages = {path.relative_to(ROOT / "docs").as_posix() for path in (ROOT / "docs").rglob("*.md")}
    assert pages <= places


@pytest.mark.slow
def test_site(tmp_path: Path) -> None:
    """Built strictly: a warning is an error."""
    pytest.importorskip("mkdocstrings")
    pytest.importorskip("material")
    command = [sys.executable, "-m", "mkdocs", "build", "--quiet", "--site-dir", str(tmp_path)]
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    api = (tmp_path / "api" / "swsfmt" / "index.html").read_text(encoding="utf-8")
    assert 'id="swsfmt.save_file"' in api
    assert "<code>threads</code> : " in api
    # What is no page has no link, and what is one is linked where it lies on the site.
    start = (tmp_path / "index.html").read_text(encoding="utf-8")
    assert 'href="spec/sws-1.0/"' in start
    assert 'href="recipes' not in start
