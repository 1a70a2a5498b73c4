"""The documentation's site: pages outside docs/ are part of it, and links between pages hold there too.

A hook of mkdocs (mkdocs.yml). In the repository a link is a path between files; on the site README.md is index.md, and
what is no page (code, folders, vectors) has no place, so that such a link becomes plain text.
"""

from __future__ import annotations

import posixpath
import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

ROOT = Path(__file__).resolve().parent.parent
_LINK = re.compile(r"(?<!!)\[([^\]]+)\]\(([^)#\s]+)(#[^)\s]*)?\)")
_IMAGE = re.compile(r"(!\[[^\]]*\]\()([^)\s]+)\)")


def pages() -> dict[str, str]:
    """Path in the repository -> path on the site, for the pages that are not in docs/."""
    outside = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", *ROOT.glob("spec/*.md")]
    names = [path.relative_to(ROOT).as_posix() for path in [*outside, *ROOT.glob("zoo/*.md")]]
    return {name: "index.md" if name == "README.md" else name for name in names}


def on_files(files: Files, config: Any, **_: Any) -> Files:
    for name, place in pages().items():
        files.append(File.generated(config, place, content=(ROOT / name).read_text(encoding="utf-8")))
    return files


def on_page_markdown(markdown: str, page: Any, files: Files, **_: Any) -> str:
    here = page.file.src_uri
    source = next((name for name, place in pages().items() if place == here), f"docs/{here}")

    def place(path: str) -> str | None:
        """Of what a page links to: its path from that page on the site, or None."""
        target = posixpath.normpath(posixpath.join(posixpath.dirname(source), path))
        on_site = pages().get(target) or (target.removeprefix("docs/") if target.startswith("docs/") else None)
        if on_site is None or files.get_file_from_path(on_site) is None:
            return None
        return posixpath.relpath(on_site, posixpath.dirname(here) or ".")

    def link(match: re.Match[str]) -> str:
        text, path, heading = match[1], match[2], match[3] or ""
        if "://" in path:
            return match[0]
        where = place(path)
        return text if where is None else f"[{text}]({where}{heading})"

    markdown = _LINK.sub(link, markdown)
    return _IMAGE.sub(lambda match: f"{match[1]}{place(match[2]) or match[2]})", markdown)
