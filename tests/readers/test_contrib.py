"""What `contrib/` has for other tools: the entry for file(1), the view for netron, as far as they can be tried here."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest
from second_readers import ROOT

CONTRIB = ROOT / "contrib"
LENET = ROOT / "zoo" / "lenet5.sws"
NETRON = """
import { readFileSync } from "node:fs";
import { ModelFactory } from "./sws.js";
const bytes = readFileSync(process.argv[2]);
const context = { stream: { length: bytes.length, peek: (n) => bytes.subarray(0, n) } };
const factory = new ModelFactory();
if (await factory.match({ stream: { length: 9, peek: () => new Uint8Array(8) } })) throw new Error("anything matches");
if ((await factory.match(context)) !== "sws") throw new Error("no match");
const model = await factory.open(context);
console.log(JSON.stringify(model.graphs[0].nodes.map((node) => [
  node.name,
  node.inputs.map((i) => [i.name, i.value[0].type.toString(), i.value[0].initializer.values.length]),
])));
"""


@pytest.mark.skipif(shutil.which("file") is None, reason="file(1) is not installed")
def test_magic() -> None:
    command = ["file", "--brief", "-m", str(CONTRIB / "sws.magic")]
    said = subprocess.run([*command, str(LENET)], capture_output=True, check=True, text=True).stdout
    assert said.strip() == "SWS compressed tensors, version 1.0"
    mime = subprocess.run([*command, "--mime-type", str(LENET)], capture_output=True, check=True, text=True).stdout
    assert mime.strip() == "application/vnd.sws"


@pytest.mark.skipif(shutil.which("node") is None, reason="node is not installed")
def test_netron_view(tmp_path: Path) -> None:
    shutil.copy(CONTRIB / "netron" / "sws.js", tmp_path / "sws.js")
    shutil.copy(ROOT / "readers" / "js" / "sws.js", tmp_path / "sws-reader.js")
    (tmp_path / "package.json").write_text('{"type": "module"}', encoding="utf-8")
    (tmp_path / "view.js").write_text(NETRON, encoding="utf-8")
    command = ["node", str(tmp_path / "view.js"), str(LENET)]
    nodes = dict(json.loads(subprocess.run(command, capture_output=True, check=True, text=True).stdout))
    assert list(nodes) == ["conv1", "conv2", "fc1", "fc2"]
    assert nodes["fc1"] == [["weight", "float32[500,800]", 1_600_000], ["bias", "float32[500]", 2000]]
