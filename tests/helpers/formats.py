"""Files of all formats, of the same tensors."""

from __future__ import annotations

import json
from pathlib import Path

import safetensors.torch
import torch

Tensors = dict[str, torch.Tensor]
METADATA = {"format": "pt", "note": "é"}


def written(kind: str, tensors: Tensors, folder: Path) -> Path:
    if kind == "pytorch":
        torch.save({"epoch": 3, "model": tensors}, folder / "net.pt")
        return folder / "net.pt"
    if kind == "safetensors":
        safetensors.torch.save_file(tensors, folder / "net.st", METADATA)
        return folder / "net.st"
    names = list(tensors)
    weight_map: dict[str, str] = {}
    for file, part in (("1.st", names[::2]), ("2.st", names[1::2])):
        safetensors.torch.save_file({name: tensors[name] for name in part}, folder / file, METADATA)
        weight_map |= dict.fromkeys(part, file)
    path = folder / "net.safetensors.index.json"
    path.write_text(json.dumps({"weight_map": {name: weight_map[name] for name in names}}))
    return path
