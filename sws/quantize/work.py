"""The folder beside the output that keeps what a run has done, so that another one goes on where it was stopped."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from swsfmt import InputError
from swsfmt.write.atomic import write_atomically

from .targets import Attempt

_SETTINGS, _ATTEMPTS = "settings.json", "attempts.json"


class Work:
    """attempts : what was tried so far, with the same settings, by this run and those before it

    folder : OUT.sws.unfinished; it is made when there is something to keep
    """

    def __init__(
        self, output: str | os.PathLike[str], settings: Mapping[str, Any], *, resume: bool, anew: bool = False
    ) -> None:
        """settings : all that decides what an attempt gives, of JSON. anew : drop what an earlier run has left

        Raises `InputError` where an earlier run has left something and nobody says what is to be done with it, or where
        it had other settings; `OSError`.
        """
        self.folder = folder_for(output)
        self._settings = json.loads(json.dumps(settings))
        self.attempts: list[Attempt] = []
        self._is_to_go = False
        if not self.folder.exists():
            return
        if resume:
            self._load()
        elif anew:
            # When there is something in its place, not before.
            self._is_to_go = True
        else:
            text = "an earlier run has left what it had done; go on with it with --resume, or drop it with --force"
            raise InputError(text, file=str(self.folder))

    def _load(self) -> None:
        try:
            before = json.loads((self.folder / _SETTINGS).read_bytes())
            attempts = self.folder / _ATTEMPTS
            entries = json.loads(attempts.read_bytes()) if attempts.exists() else []
            self.attempts = [Attempt(**entry) for entry in entries]
        except (OSError, ValueError, TypeError) as error:
            raise InputError(
                f"this cannot be gone on with: {error}; drop it with --force", file=str(self.folder)
            ) from error
        different = [name for name in {**before, **self._settings} if before.get(name) != self._settings.get(name)]
        if different:
            text = f"the earlier run had another {', '.join(different)}"
            raise InputError(f"{text}; give what it had, or drop what it did with --force", file=str(self.folder))

    def made(self) -> Path:
        """The folder, which is there now. Raises `OSError`."""
        if self._is_to_go:
            shutil.rmtree(self.folder)
            self._is_to_go = False
        if not (self.folder / _SETTINGS).exists():
            self.folder.mkdir(exist_ok=True)
            self._write(_SETTINGS, self._settings)
        return self.folder

    def keep(self, attempts: list[Attempt]) -> None:
        """Write down what was tried."""
        self.made()
        entries = [asdict(one) for one in attempts]
        for entry in entries:
            del entry["quantized"]
        self._write(_ATTEMPTS, entries)

    def finish(self) -> None:
        """The output is there: nothing is to be kept any more."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def drop_if_empty(self) -> None:
        """Nothing but settings is nothing to go on with."""
        if not self._is_to_go and self.folder.exists() and {path.name for path in self.folder.iterdir()} <= {_SETTINGS}:
            with contextlib.suppress(OSError):
                shutil.rmtree(self.folder)

    def _write(self, name: str, value: Any) -> None:
        write_atomically(self.folder / name, (json.dumps(value, indent=1) + "\n").encode())


def folder_for(output: str | os.PathLike[str]) -> Path:
    """Where what belongs to the output is kept until it is there."""
    path = Path(output)
    return path.with_name(path.name + ".unfinished")
