"""Tables of a TOML file -> dataclasses, checked by pydantic; what does not fit is one `InputError`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from swsfmt import InputError

if TYPE_CHECKING:
    from pydantic import ConfigDict

STRICT: ConfigDict = {"extra": "forbid", "allow_inf_nan": False}
"""For `__pydantic_config__` of the dataclasses: unknown names are errors."""

T = TypeVar("T")


def check_ranges(**checks: bool) -> None:
    """Raise `InputError` with the names of the settings for which the check is False."""
    wrong = [name for name, good in checks.items() if not good]
    if wrong:
        raise InputError(f"settings out of range: {', '.join(wrong)}")


def validated(kind: type[T], table: dict[str, Any]) -> T:
    """An instance of `kind` from a table. Raises `InputError`, which names the first setting that does not fit."""
    # Only recipes need it, and settings are made without.
    from pydantic import TypeAdapter, ValidationError

    try:
        return TypeAdapter(kind).validate_python(table)
    except ValidationError as error:
        first = error.errors()[0]
        own = first.get("ctx", {}).get("error")
        message = str(own) if isinstance(own, InputError) else first["msg"]
        raise InputError(": ".join(filter(None, [".".join(map(str, first["loc"])), message]))) from error
