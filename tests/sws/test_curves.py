"""Training curves from logs."""

from __future__ import annotations

from pathlib import Path

import pytest

from sws.viz import plot_training_curves
from swsfmt import InputError


def test_panels_are_those_that_were_logged(tmp_path: Path) -> None:
    log = tmp_path / "retrain_log.csv"
    log.write_text("epoch,loss,accuracy,ratio\n1,0.5,,\n2,0.25,0.9,\n3,0.125,,\n4,0.1,0.95,\n")
    figure = plot_training_curves(log, save=tmp_path / "curves.png")
    assert figure is not None
    assert [axes.get_ylabel() for axes in figure.axes] == ["cross-entropy", "accuracy"]
    assert figure.axes[0].lines[0].get_xydata().tolist() == [[1, 0.5], [2, 0.25], [3, 0.125], [4, 0.1]]
    assert figure.axes[1].lines[0].get_xydata().tolist() == [[2, 0.9], [4, 0.95]]
    assert (tmp_path / "curves.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("text", ["", "epoch,loss\n", "a,b\n1,2\n"])
def test_a_log_without_epochs(tmp_path: Path, text: str) -> None:
    (tmp_path / "x.csv").write_text(text)
    with pytest.raises(InputError, match="no epochs"):
        plot_training_curves(tmp_path / "x.csv")
