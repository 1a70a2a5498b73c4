"""The notebook and the seed tutorial run: their cells as they stand, with fewer epochs."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOK = ROOT / "examples" / "tutorial.ipynb"
TUTORIAL = Path(os.environ.get("SWS_TUTORIAL") or ROOT.parent / "shared" / "seed_tutorial.txt")
MNIST = Path(os.environ.get("SWS_DATA") or ROOT.parent / "shared" / "data") / "mnist"


def notebook() -> Any:
    return nbformat.read(NOTEBOOK, as_version=4)


def test_the_outputs_of_the_notebook_are_there_and_no_errors() -> None:
    outputs = [output for cell in notebook().cells if cell.cell_type == "code" for output in cell.outputs]
    assert not [output for output in outputs if output.output_type == "error"]
    text = "".join(output.get("text", "") for output in outputs)
    assert re.search(r"dense bytes / [\d,]+ bytes = [\d.]+x", text)
    assert "whole" in text
    assert sum("image/png" in output.get("data", {}) for output in outputs) >= 4


def test_the_notebook_is_what_its_script_writes() -> None:
    script = ROOT / "scripts" / "make_notebook.py"
    namespace: dict[str, Any] = {"__name__": "make_notebook", "__file__": str(script)}
    exec(compile(script.read_text(encoding="utf-8"), str(script), "exec"), namespace)
    wanted = [cell.source for cell in namespace["notebook"]().cells]
    assert [cell.source for cell in notebook().cells] == wanted


def test_the_notebook_runs(tmp_path: Path) -> None:
    short = notebook()
    for cell in short.cells:
        cell.source = re.sub(r"\bepochs=\d+", "epochs=2", cell.source)
    NotebookClient(short, timeout=300, resources={"metadata": {"path": str(tmp_path)}}).execute()
    assert (tmp_path / "tutorial_files" / "small.sws").stat().st_size > 0
    assert (tmp_path / "tutorial_files" / "retraining.gif").read_bytes().startswith(b"GIF8")


@pytest.mark.skipif(not TUTORIAL.is_file(), reason="no tutorial: set SWS_TUTORIAL to its text")
@pytest.mark.skipif(not MNIST.is_dir(), reason="no MNIST: set SWS_DATA to a folder that has mnist/")
def test_the_seed_tutorial_runs(tmp_path: Path) -> None:
    """With one epoch in place of ten, on MNIST as it is."""
    command = [sys.executable, str(ROOT / "scripts" / "run_tutorial.py"), str(TUTORIAL), "--json", "result.json"]
    command += ["--pretrain-epochs", "1", "--retrain-epochs", "1"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=900, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    found = json.loads((tmp_path / "result.json").read_text())
    assert found["orig_bits"] == 32 * 642_460
    assert found["CR"] == found["orig_bits"] / found["compressed_bits"]
    assert found["pretrain_acc"] > 0.95
    assert found["retrain_acc"] > 0.95
    out = tmp_path / "tutorial_outputs2"
    pictures = ["pretrained_histogram.png", "learned_mixture.png", "weight_movement.png", "phase_comparison.png"]
    for name in [*pictures, "retraining.gif", "pretrained_model.pt", "quantized_model.pt"]:
        assert (out / name).stat().st_size > 0, name
    assert "Layer-wise Compression" in done.stdout
