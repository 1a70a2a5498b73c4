"""The docstrings on the site: lines `name : what it is` become a list (mkdocs.yml, an extension of griffe)."""

from __future__ import annotations

import re
from typing import Any

import griffe

_NAMES = r"\*{0,2}\w+(?:, \*{0,2}\w+)*"
_ENTRY = re.compile(rf"^({_NAMES}) : ", re.M)


class Entries(griffe.Extension):
    """Names of arguments, attributes and keys, as our docstrings list them."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        if obj.docstring is not None:
            text = re.sub(rf"(?<=\S)\n(?={_NAMES} : )", "\n\n", obj.docstring.value)
            obj.docstring.value = _ENTRY.sub(lambda match: f"- `{match[1].replace(', ', '`, `')}` : ", text)
