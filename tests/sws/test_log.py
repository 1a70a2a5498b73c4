"""The files of a run."""

from __future__ import annotations

from pathlib import Path

import pytest

from sws.log import CHECKPOINT, RunLog


def test_a_checkpoint_takes_the_place_of_files_only(tmp_path: Path) -> None:
    log = RunLog(tmp_path, "train")
    log.save({"epoch": 1})
    log.save({"epoch": 2})
    path = log.path(CHECKPOINT)
    assert path is not None
    path.unlink()
    path.mkdir()
    with pytest.raises(IsADirectoryError):
        log.save({"epoch": 3})
    assert path.is_dir()
