"""The group of commands: what every command has in common is errors, exit codes and `--version`."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import Any

import click

import swsfmt
from swsfmt.entropy import backend

from . import console, errors
from .compare import compare
from .decode import decode
from .demo import demo
from .encode import encode
from .eval import evaluate
from .inspect import inspect
from .quantize import quantize
from .train import train
from .verify import verify


class Sws(click.Group):
    """A group in which no exception leaves as a traceback."""

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        **extra: Any,
    ) -> Any:
        if not standalone_mode:
            return super().main(args, prog_name, complete_var, standalone_mode=False, **extra)
        args = list(sys.argv[1:] if args is None else args)
        try:
            with console.warnings_as_lines():
                code = super().main(args, prog_name, complete_var, standalone_mode=False, **extra)
        except click.Abort:
            console.line("sws: interrupted", err=True)
            sys.exit(errors.INTERRUPTED)
        except Exception as error:
            try:
                _tell(error, as_json="--json" in args)
                if sys.stdout is not None:
                    # What could not be written may be in its buffer still.
                    sys.stdout.flush()
            except OSError:
                # Nobody reads the message, or there is no room for it, as there may have been none for the output.
                _silence()
            sys.exit(errors.exit_code(error))
        # `ctx.exit()`, as of `--version`, comes back as a number.
        sys.exit(code if isinstance(code, int) else errors.OK)


def _tell(error: Exception, as_json: bool) -> None:
    """The error on stderr, and on stdout as JSON if that was asked for."""
    if isinstance(error, click.ClickException):
        error.show()
    elif errors.is_expected(error):
        console.line(f"sws: error: {errors.message(error)}", err=True)
    else:
        if os.environ.get("SWS_TRACEBACK"):
            raise error
        text = f"sws: error: unexpected {errors.message(error)}; please report it (SWS_TRACEBACK=1 shows where)"
        console.line(text, err=True)
    if as_json:
        console.json_object({"error": errors.as_dict(error)})


def _silence() -> None:
    """Let nothing more reach stdout and stderr, so that Python, which flushes them at its end, does not fail once more.

    As the documentation of Python's module `signal` has it, "Note on SIGPIPE".
    """
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            os.dup2(nowhere, stream.fileno())


def _version(ctx: click.Context, _param: click.Parameter, wanted: bool) -> None:
    if wanted and not ctx.resilient_parsing:
        console.line(f"sws {swsfmt.__version__} (kernels: {backend.active()})")
        ctx.exit()


_SLOW = (
    "sws: note: the C kernels are missing, those in Python are slower by far; "
    "install swsfmt again where there is a C compiler (SWS_KERNELS=bitarray: go without them)"
)
_EPILOG = """\b
Environment:
  SWS_KERNELS     native or bitarray: use no other kernels.
                  [default: native where they were built]
  SWS_TRACEBACK   1: show where an unexpected error came from.
"""


@click.group(cls=Sws, context_settings={"help_option_names": ["-h", "--help"]}, epilog=_EPILOG)
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_version,
    help="Show the version and the kernels in use.",
)
def main() -> None:
    """Compress models into .sws files, get them back, look into them and check them; train small ones.

    Exit codes: 0 well, 1 error, 2 wrong usage, 3 the file is damaged or differs.
    """
    if backend.is_substitute():
        console.line(_SLOW, err=True)
        backend.warned = True


for command in (encode, decode, quantize, inspect, verify, compare, train, evaluate, demo):
    main.add_command(command)
