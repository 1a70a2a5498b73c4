"""Options that several commands have."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import click

from swsfmt import InputError, Limits
from swsfmt.checkpoints import parse_size
from swsfmt.write.options import SETTINGS, Setting

_LIMITS = [field.name for field in dataclasses.fields(Limits)]


class Size(click.ParamType):  # type: ignore[type-arg]
    """A number of bytes: 5GB, 500MB, 2GiB, 1000000."""

    name = "size"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        try:
            return parse_size(value)
        except InputError as error:
            self.fail(error.message, param, ctx)


def _limits(_ctx: click.Context, _param: click.Parameter, settings: tuple[str, ...]) -> Limits:
    """Each setting is NAME=VALUE, for a field of `Limits`."""
    values = {}
    for setting in settings:
        name, _, number = setting.partition("=")
        if name not in _LIMITS:
            raise click.BadParameter(f"there is no limit {name!r}; the limits are {', '.join(_LIMITS)}")
        # 18 digits are enough for 2**59, and int() refuses thousands of them.
        if not (number.isascii() and number.isdigit() and len(number) <= 18):
            raise click.BadParameter(f"{name} takes a whole number, not {number!r}")
        values[name] = int(number)
    return Limits(**values)


threads = click.option("--threads", type=click.IntRange(1), metavar="N", help="Threads.  [default: all cores]")
as_json = click.option("--json", "as_json", is_flag=True, help="Print one JSON object and nothing else.")
force = click.option("--force", is_flag=True, help="Replace the output if it exists.")
_key = click.option(
    "--key", metavar="NAME", help="The entry of a .pt file that holds the tensors, e.g. state_dict or state.model."
)
_strip_prefix = click.option(
    "--strip-prefix",
    metavar="PREFIX",
    multiple=True,
    help="Take PREFIX away from names, e.g. module. of DataParallel, _orig_mod. of torch.compile; repeatable.",
)
limits = click.option(
    "--limit",
    "limits",
    metavar="NAME=VALUE",
    multiple=True,
    callback=_limits,
    help=f"Raise or lower what is accepted: {', '.join(_LIMITS)}. Repeatable.",
)


def checkpoint(command: Callable[..., Any]) -> Callable[..., Any]:
    """What says which tensors of a checkpoint are meant, and how they are called."""
    return _key(_strip_prefix(command))


def encoding(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options of the encoder, as keyword arguments of `swsfmt.write.options.Options`."""
    for name, setting in reversed(SETTINGS.items()):
        command = _encoding_option(name, setting)(command)
    return command


def _encoding_option(name: str, setting: Setting) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    flag = "--" + name.replace("_", "-")
    if setting.is_flag:
        return click.option(f"{flag}/--no-{flag[2:]}", default=setting.default, help=setting.help)
    kind = click.Choice(setting.choices) if setting.choices else click.IntRange(setting.widths[0], setting.widths[-1])
    return click.option(flag, type=kind, default=setting.default, help=setting.help)
