"""Every code block of the documentation is run, and what stands beside it is true."""

from __future__ import annotations

import gzip
import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from documents import Block, blocks, documents
from safetensors.torch import load_file as load_safetensors
from small_models import folder_of_transformers
from small_models import text as some_text

import sws.data
import swsfmt
import swsfmt.torch

ROOT = Path(__file__).resolve().parents[2]
BLOCKS = blocks()


def block(start: str) -> Block:
    """The one that begins so."""
    (found,) = [block for block in BLOCKS if block.text.startswith(start)]
    return found


def run(commands: str | list[str], folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Lines of a shell, or arguments of Python, in a folder; with the command `sws` of these tests."""
    shell = f'set -e\nsws() {{ "{sys.executable}" -m sws "$@"; }}\n'
    command = ["bash", "-c", shell + commands] if isinstance(commands, str) else [sys.executable, *commands]
    common = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=folder, env=common | environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done


# ---- each block ------------------------------------------------------------------------------------------------------


def make(target: str) -> list[str]:
    """What make would do for a target, an environment that is there taken for granted."""
    command = ["make", "-n", "-o", ".venv/made", "-o", "spec/node_modules/made", target]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()


def test_two_commands() -> None:
    """They make environments and take minutes; what they run is run by other tests, or is these."""
    text = block("make demo").text
    assert re.findall(r"^make (\w+)", text, re.M) == ["demo", "test"]
    assert any(line.startswith(".venv/bin/sws demo") for line in make("demo"))
    tested = make("test")
    for tool in ("ruff check", "mypy", "pytest"):
        assert any(tool in line for line in tested)


def test_install() -> None:
    """What is named in brackets is there, and the torch of the text is the one of the Makefile."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    lines = block("pip install .").text.splitlines()
    named = [match[1] for line in lines if (match := re.search(r"'\.\[(\w+)\]'", line))]
    assert len(named) == len(lines) - 1
    assert set(named) <= project["optional-dependencies"].keys()
    readme, makefile = ((ROOT / name).read_text(encoding="utf-8") for name in ("README.md", "Makefile"))
    for page in documents():
        for name in re.findall(r"swsfmt\[(\w+)\]", page.read_text(encoding="utf-8")):
            assert name in project["optional-dependencies"], f"{page.name}: {name}"
    (version,) = set(re.findall(r"`pip install (torch==[\d.]+)`", readme))
    assert f"TORCH ?= {version}" in makefile
    assert project["requires-python"] == ">=3.11"


def test_library(tmp_path: Path) -> None:
    text = block("import torch\nfrom swsfmt.torch import load_model, safe_open").text
    printed = run(["-c", text], tmp_path).stdout
    assert printed == "['0.weight', '0.bias', '2.weight', '2.bias'] [300, 784] torch.float32\n"
    report = swsfmt.inspect(tmp_path / "model.sws")
    assert report.ratio > 50
    weight = swsfmt.load_file(tmp_path / "model.sws")["0.weight"]
    assert not (weight.view("u4") == 0x80000000).any()
    # "With both in it, this file is three times as large."
    signed = text.replace("weight + 0.0", "weight")
    assert signed != text
    run(["-c", signed], tmp_path)
    assert 2.5 < (tmp_path / "model.sws").stat().st_size / report.file_bytes < 3.5


def test_levels_and_scales(tmp_path: Path) -> None:
    text = block("import numpy as np\nimport swsfmt\n").text
    assert run(["-c", text], tmp_path).stdout == "float16 int8\n"


def test_library_gives_the_same_bytes_every_time(tmp_path: Path) -> None:
    text = (
        "import torch\ntorch.manual_seed(0)\n"
        + block("import torch\nfrom swsfmt.torch import load_model, safe_open").text
    )
    files = []
    for number in range(2):
        folder = tmp_path / str(number)
        folder.mkdir()
        run(["-c", text], folder)
        files.append((folder / "model.sws").read_bytes())
    assert files[0] == files[1]


def test_loading_a_module(tmp_path: Path) -> None:
    text = block("import torch\nfrom swsfmt.torch import load_model, save_model\n").text
    assert run(["-c", text], tmp_path).stdout == "([], []) cpu\n"


def test_transformers(tmp_path: Path) -> None:
    pytest.importorskip("transformers")
    text = block("import torch\nimport transformers\n").text
    printed = run(["-c", text], tmp_path, HF_HUB_OFFLINE="1").stdout
    assert printed == "True\nswsfmt.nn.layers\n"
    names = {path.name for path in (tmp_path / "folder").iterdir()}
    assert names == {"config.json", "generation_config.json", "model.sws"}


def test_compressed_layers(tmp_path: Path) -> None:
    text = block("import copy\nimport torch\nimport swsfmt.nn\n").text
    assert run(["-c", text], tmp_path).stdout == "True True\n"


def test_onnx(tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx")
    weight = onnx.numpy_helper.from_array(np.arange(64, dtype="f4").reshape(8, 8) // 9, "weight")
    value = [onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [8, 8]) for name in "xy"]
    node = onnx.helper.make_node("MatMul", ["x", "weight"], ["y"])
    graph = onnx.helper.make_graph([node], "net", value[:1], value[1:], [weight])
    onnx.save(onnx.helper.make_model(graph), tmp_path / "net.onnx")
    run(block("sws encode net.onnx").text, tmp_path)
    assert (tmp_path / "back.onnx").read_bytes() == (tmp_path / "net.onnx").read_bytes()


class Net(torch.nn.Module):
    """With the layers that the commands name."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.fc1, self.fc2, self.fc3 = torch.nn.Linear(64, 60), torch.nn.Linear(60, 40), torch.nn.Linear(40, 10)
        with torch.no_grad():
            for parameter in self.parameters():
                density = 0.1 + 0.3 * torch.rand(parameter.shape[:1] + (1,) * (parameter.dim() - 1))
                parameter.copy_((parameter * 30).round() * (torch.rand(parameter.shape) < density) + 0.0)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = self.fc3(torch.relu(self.fc2(torch.relu(self.fc1(x)))))
        return out


def test_command_line(tmp_path: Path) -> None:
    net = Net()
    torch.save(net.state_dict(), tmp_path / "model.pt")
    done = run(block("sws encode model.pt").text, tmp_path)
    assert "fc1.weight" in done.stdout
    assert "bit-identical to model.pt" in done.stdout
    back = load_safetensors(tmp_path / "model.safetensors")
    for name, tensor in net.state_dict().items():
        assert torch.equal(back[name], tensor)
    sizes = {name: (tmp_path / f"{name}.sws").stat().st_size for name in ("model", "small", "sorted")}
    assert sizes["small"] < sizes["model"]
    assert sizes["sorted"] < sizes["model"]
    other, x = Net(), torch.randn(20, 64)
    swsfmt.torch.load_model(other, tmp_path / "sorted.sws")
    assert not torch.equal(other.fc1.weight, net.fc1.weight)
    torch.testing.assert_close(other(x), net(x), rtol=1e-4, atol=1e-3)


def small_mnist(folder: Path) -> None:
    """Digits of scikit-learn, enlarged, in the files of MNIST."""
    (folder / "mnist").mkdir(parents=True)
    for part, split in zip(("train", "t10k"), sws.data.load("digits"), strict=True):
        images = torch.nn.functional.interpolate(split.images / split.images.max(), (28, 28), mode="bilinear")
        for kind, array in (("images-idx3", (images[:, 0] * 255).byte()), ("labels-idx1", split.labels.byte())):
            head = bytes([0, 0, 8, array.dim()]) + b"".join(size.to_bytes(4, "big") for size in array.shape)
            (folder / "mnist" / f"{part}-{kind}-ubyte.gz").write_bytes(gzip.compress(head + array.numpy().tobytes(), 1))


def test_training_commands(tmp_path: Path) -> None:
    """With fewer and smaller images; `accelerate` starts what it can here, `sws/test_processes.py` two processes."""
    pytest.importorskip("accelerate")
    small_mnist(tmp_path / "data")
    text = block("sws demo").text
    launch = f'accelerate() {{ "{sys.executable}" -m accelerate.commands.accelerate_cli "$@"; }}\n'
    done = run(launch + text, tmp_path, SWS_DATA=str(tmp_path / "data"), ACCELERATE_USE_CPU="true")
    reports = {}
    for name in ("sws_demo", "runs/lenet", "runs/digits"):
        assert swsfmt.verify(tmp_path / name / "model.sws").ratio > 15
        reports[name] = json.loads((tmp_path / name / "report.json").read_text(encoding="utf-8"))
    # The recipe for 60,000 images has few of them here: the network learns, and no more.
    (error,) = re.findall(r"([\d.]+)% test error \([\d,]+ of 360 images of mnist\)", done.stdout)
    assert float(error) == pytest.approx(100 * reports["runs/lenet"]["test_error"], abs=0.01)
    assert float(error) < 40
    for name in ("sws_demo", "runs/digits"):
        assert reports[name]["test_error"] < reports[name]["dense_test_error"] + 0.02


def test_training_in_python(tmp_path: Path) -> None:
    printed = run(["-c", block("from swsfmt.torch import inspect").text], tmp_path).stdout.splitlines()[-1]
    match = re.fullmatch(r"([\d.]+)%, in the file ([\d.]+)%, (\d+) times smaller", printed)
    assert match is not None, printed
    dense, quantised, ratio = map(float, match.groups())
    # "This prints about 91 % twice, and more than 20 times."
    assert 88 < dense < 94
    assert dense - quantised < 2
    assert ratio > 20


def quantizable(folder: Path) -> Path:
    """The program of the guide, and weights of its network after some training on what it reads."""
    (folder / "net.py").write_text(block("# net.py").text)
    code = """
import torch, net
torch.manual_seed(0)
torch.load = lambda path: None
torch.nn.Module.load_state_dict = lambda self, state: None
model = net.make_model()
from sklearn.datasets import load_digits
labels = torch.tensor(load_digits().target[:600]).split(20)
optimizer = torch.optim.Adam(model.parameters(), 2e-3)
for _ in range(4):
    for images, own in zip(net.images(), labels):
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(model(images), own).backward()
        optimizer.step()
torch.save(model.state_dict(), "weights.pt")
"""
    run(["-c", code], folder)
    return folder


@pytest.fixture(scope="module")
def guide(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return quantizable(tmp_path_factory.mktemp("guide"))


def test_quantizing_commands(guide: Path) -> None:
    done = run(block("sws quantize net.py:make_model -o small.sws --target-size").text, guide)
    assert 19_800 <= (guide / "small.sws").stat().st_size <= 20_000
    (error,) = re.findall(r"^good.sws: .* relative error ([\d.]+)$", done.stdout, re.M)
    assert 0.0475 <= float(error) <= 0.05
    elements = 16 * 9 + 16 + 32 * 144 + 32 + 64 * 512 + 64 + 640 + 10
    assert 3.465 <= 8 * (guide / "bits.sws").stat().st_size / elements <= 3.5
    assert "image/svg" in (guide / "good.html").read_text()
    # The last command measures again what the guide says is the figure to trust.
    assert "cosine" in done.stdout.splitlines()[-1]
    run(block("sws quantize weights.pt --dry-run").text, guide)
    assert 3.96 <= 8 * (guide / "alone.sws").stat().st_size / elements <= 4
    run(block("sws quantize net.py:make_model -o rules.sws").text, guide)
    found, state = swsfmt.torch.load_file(guide / "rules.sws"), torch.load(guide / "weights.pt")
    assert torch.equal(found["0.weight"], state["0.weight"])
    assert torch.equal(found["6.bias"], state["6.bias"].half().float())


def test_quantizing_in_python(guide: Path) -> None:
    printed = run(["-c", block("import torch\n\nimport net").text], guide).stdout
    assert re.fullmatch(r"step [\d.e-]+, 1[12],\d{3} bytes\n", printed)
    first, trained = (swsfmt.torch.load_file(guide / name) for name in ("small.sws", "trained.sws"))
    assert first.keys() == trained.keys()
    assert not torch.equal(first["6.weight"], trained["6.weight"])
    # What is said to change is all that did: what was raw has been trained too, as a float.
    assert swsfmt.safe_open(guide / "trained.sws").get_parts("6.weight").levels.dtype == "int8"


def test_quantizing_of_transformers(tmp_path: Path) -> None:
    pytest.importorskip("transformers")
    folder_of_transformers(tmp_path, "llama").rename(tmp_path / "my-model")
    (tmp_path / "text.txt").write_text(some_text())
    done = run(block("sws quantize my-model").text, tmp_path)
    assert done.stdout.count("KL divergence in nats") == 2
    assert "calibration: self" in run("sws inspect own-words.sws", tmp_path).stdout


def test_quantizing_in_the_readme(guide: Path, tmp_path: Path) -> None:
    program = (guide / "net.py").read_text()
    (tmp_path / "net.py").write_text(
        program.replace("def images(", "def inputs():\n    return images()\n\n\ndef images(")
    )
    (tmp_path / "weights.pt").write_bytes((guide / "weights.pt").read_bytes())
    done = run(block("sws quantize net.py:make_model -o small.sws --target-error").text, tmp_path)
    (error,) = re.findall(r"^small.sws: .* relative error ([\d.]+)$", done.stdout, re.M)
    # The errors of this small network jump from file to file.
    assert 0.015 <= float(error) <= 0.02


def json_keys() -> dict[str, set[str]]:
    """The keys that the page lists, by the commands that print them."""
    page = (ROOT / "docs" / "command_line.md").read_text(encoding="utf-8")
    table = page[page.index("| keys | in |") :].split("\n\n")[0].splitlines()[2:]
    keys: dict[str, set[str]] = {}
    for line in table:
        names, commands = (cell.strip() for cell in line.strip("|").split("|"))
        keys.setdefault(commands, set()).update(re.findall(r"`(\w+)`", re.split(r": (?:for each|bytes by)", names)[0]))
    return keys


def test_json_keys_are_those_of_the_table(tmp_path: Path) -> None:
    keys = json_keys()
    torch.save(Net().state_dict(), tmp_path / "model.pt")
    commands = {
        "encode": "sws encode --json model.pt",
        "inspect": "sws inspect --json model.sws",
        "verify": "sws verify --json model.sws --against model.pt",
        "decode": "sws decode --json model.sws -o back.pt",
    }
    page = (ROOT / "docs" / "command_line.md").read_text(encoding="utf-8")
    for command, line in commands.items():
        printed: dict[str, Any] = json.loads(run(line, tmp_path).stdout)
        assert printed.keys() == set().union(
            *(own for row, own in keys.items() if row == "all commands" or command in row)
        )
        (row,) = [line for line in page.splitlines() if line.startswith("| `tensors`: for each")]
        assert printed["tensors"][0].keys() == set(re.findall(r"`(\w+)`", row)) - {"tensors"}


def test_every_block_is_run() -> None:
    """A new one has to be tried here, too."""
    source = Path(__file__).read_text(encoding="utf-8")
    starts = [start.encode().decode("unicode_escape") for start in re.findall(r'block\(\s*"((?:[^"\\]|\\.)+)"', source)]
    for one in BLOCKS:
        assert any(one.text.startswith(start) for start in starts), f"{one.path} line {one.line} is run by no test"
