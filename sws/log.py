"""What a run leaves behind while it goes on: a CSV log, mixture snapshots, a checkpoint from which it can go on."""

from __future__ import annotations

import csv
import json
import os
import pickle
from pathlib import Path
from typing import Any

import torch

from swsfmt import InputError
from swsfmt.write.atomic import replacement
from swsfmt.write.watched import watched

LOG, MIXTURE, CHECKPOINT = "log.csv", "mixture.jsonl", "checkpoint.pt"


class RunLog:
    """The files of one phase of a run in `folder`; without a folder nothing is written.

    phase : goes before the names of the files, e.g. retrain_log.csv
    """

    def __init__(self, folder: str | os.PathLike[str] | None, phase: str) -> None:
        self._folder = None if folder is None else Path(folder)
        self._phase = phase
        if self._folder is not None:
            self._folder.mkdir(parents=True, exist_ok=True)

    def path(self, name: str) -> Path | None:
        """Where the file lies."""
        return None if self._folder is None else self._folder / f"{self._phase}_{name}"

    def row(self, values: dict[str, Any]) -> None:
        """Append a line to the CSV log; the first one writes the header."""
        path = self.path(LOG)
        if path is None:
            return
        new = not path.exists()
        with path.open("a", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, values)
            if new:
                writer.writeheader()
            writer.writerow(values)

    def mixture(self, epoch: int, snapshot: dict[str, Any]) -> None:
        """Append a snapshot of the mixture, one JSON object a line."""
        path = self.path(MIXTURE)
        if path is not None:
            with path.open("a", encoding="utf-8") as file:
                file.write(json.dumps({"epoch": epoch, **snapshot}) + "\n")

    def save(self, state: dict[str, Any]) -> None:
        """Replace the checkpoint; a kill in between leaves the old one. The generators of torch are saved too."""
        path = self.path(CHECKPOINT)
        if path is None:
            return
        generators: dict[str, Any] = {"generator": torch.get_rng_state()}
        if torch.cuda.is_initialized():
            generators["cuda_generators"] = torch.cuda.get_rng_state_all()
        with replacement(path) as file, watched(file) as out:
            torch.save({**state, **generators}, out)

    def load(self) -> dict[str, Any] | None:
        """The checkpoint, where there is one. Restores the generators of torch; changes no file.

        Raises `InputError` for a file that is not a checkpoint.
        """
        path = self.path(CHECKPOINT)
        if path is None or not path.exists():
            return None
        try:
            state: dict[str, Any] = torch.load(path, weights_only=True, map_location="cpu")
            torch.set_rng_state(state.pop("generator"))
            # There may be fewer devices than where the run began, or none.
            devices = range(torch.cuda.device_count())
            for device, generator in zip(devices, state.pop("cuda_generators", []), strict=False):
                torch.cuda.set_rng_state(generator, device)
            state["epoch"] = int(state["epoch"])
        except (OSError, RuntimeError, KeyError, EOFError, ValueError, TypeError, pickle.UnpicklingError) as error:
            raise InputError(f"this is not a checkpoint of this program: {error}", file=str(path)) from error
        return state

    def start(self) -> None:
        """Remove what an earlier run of this phase left in the folder."""
        for name in (LOG, MIXTURE, CHECKPOINT):
            path = self.path(name)
            if path is not None:
                path.unlink(missing_ok=True)

    def cut(self, epoch: int) -> None:
        """Drop what the logs hold of epochs after this one. Raises `InputError` for a file that is not a log."""
        log, mixture = self.path(LOG), self.path(MIXTURE)
        if log is not None and log.exists():
            try:
                with log.open(newline="", encoding="utf-8") as file:
                    rows = [row for row in csv.DictReader(file) if int(row["epoch"]) <= epoch]
            except (KeyError, ValueError, TypeError) as error:
                raise InputError(f"this is not a log of this program: {error}", file=str(log)) from error
            log.unlink()
            for row in rows:
                self.row(row)
        if mixture is not None and mixture.exists():
            try:
                lines = mixture.read_text(encoding="utf-8").splitlines()
                kept = [line for line in lines if json.loads(line)["epoch"] <= epoch]
            except (KeyError, ValueError, TypeError) as error:
                raise InputError(f"these are not snapshots of a mixture: {error}", file=str(mixture)) from error
            mixture.write_text("".join(line + "\n" for line in kept), encoding="utf-8")
