"""Other people's files, in and out: PyTorch checkpoints, safetensors files, .npz and .npy, ONNX models, several files
with an index, and folders with any of them; GGUF files in.

`open` reads any of them, `convert` makes a .sws file of one, and one of a .sws file. What a program asks before it
converts: `find`, `recognise`, `encoded_name`, `check_output`, `decoded_name`, `decoded_paths`, `parse_size`,
`require_torch`.

checkpoint   what has been read: names, tensors that may still be on disk, metadata
file         what was given: a path, a file in memory, an open binary file
folder       which checkpoint is meant where a folder is given
formats      what a format is to this package, and how one is recognised
pytorch, safetensors, arrays, gguf, onnx, sharded
entries      where in nested dicts the tensors are
prefixes     what wrappers put before names
registry     all formats; a new one is a module and a line there
conversion   from and to .sws files

No module here imports torch or safetensors before a file asks for it.
"""

from __future__ import annotations

from .checkpoint import Checkpoint
from .conversion import Conversion, check_output, convert, decoded_name, decoded_paths, encoded_name
from .folder import find
from .pytorch import require_torch
from .registry import open_checkpoint as open
from .registry import recognise_file as recognise
from .sharded import parse_size

__all__ = [
    "Checkpoint",
    "Conversion",
    "check_output",
    "convert",
    "decoded_name",
    "decoded_paths",
    "encoded_name",
    "find",
    "open",
    "parse_size",
    "recognise",
    "require_torch",
]
