"""ONNX models: the tensors of their graphs become tensors, what is left of the model one of bytes beside them.

Tensors are initialisers and larger constants, those in the branches of the graph too. Package `onnx` reads and writes
the model. What is decoded computes the same, as every tensor has the same bits; how an .onnx file lays them out may
differ.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any, BinaryIO

import numpy as np

from ..dtypes import BY_NAME
from ..errors import InputError, located
from ..format.not_sws import is_onnx
from ..numpy import from_array
from ..read.reader import Reader
from ..tensor import Elements, Loadable, TensorInfo, Tied
from .checkpoint import Checkpoint
from .file import CheckpointFile

GRAPH = "onnx.graph"
"""The tensor with the model, from which the others have been taken: its bytes."""

# Constants of fewer elements are shapes, axes and the like, and stay in the graph.
_LEAST = 64
# What one message of protobuf may have, in bytes.
_MOST = (1 << 31) - 1
# Of ONNX and of the registry. The others stay in the graph: text, and elements that share bytes.
_DTYPES = {
    "FLOAT": "F32",
    "UINT8": "U8",
    "INT8": "I8",
    "UINT16": "U16",
    "INT16": "I16",
    "INT32": "I32",
    "INT64": "I64",
    "BOOL": "BOOL",
    "FLOAT16": "F16",
    "DOUBLE": "F64",
    "UINT32": "U32",
    "UINT64": "U64",
    "COMPLEX64": "C64",
    "COMPLEX128": "C128",
    "BFLOAT16": "BF16",
    "FLOAT8E4M3FN": "F8_E4M3",
    "FLOAT8E4M3FNUZ": "F8_E4M3FNUZ",
    "FLOAT8E5M2": "F8_E5M2",
    "FLOAT8E5M2FNUZ": "F8_E5M2FNUZ",
    "FLOAT8E8M0": "F8_E8M0",
}
# Fields of a tensor that may have its elements.
_FIELDS = ("raw_data", "float_data", "int32_data", "int64_data", "double_data", "uint64_data")


class Onnx:
    """Models of one file, or with their tensors in files beside it."""

    name = "an ONNX model"
    has_entries = False
    suffixes: tuple[str, ...] = (".onnx",)
    # The graph has what the file had.
    has_metadata = False

    def recognises(self, head: bytes) -> bool:
        return is_onnx(head)

    def read(self, source: CheckpointFile, key: str | None) -> Checkpoint:
        """Raises `InputError` for a model that is damaged, `OSError`."""
        onnx = _package()
        with source.unchanged(), source.opened() as file:
            model = _parsed(onnx, file.read())
        folder = None if source.path is None or source.data is not None else os.path.dirname(source.path)
        tensors: dict[str, Loadable | Tied] = {}
        for name, tensor in _tensors(onnx, model):
            with located(tensor=name):
                elements = _elements(onnx, tensor, folder)
                if name == GRAPH:
                    raise InputError("a tensor of this name would be taken for the graph; rename it")
            tensors[name] = elements
            for field in (*_FIELDS, "external_data", "data_location"):
                tensor.ClearField(field)
        graph = np.frombuffer(model.SerializeToString(deterministic=True), np.uint8)
        return Checkpoint({GRAPH: Elements(TensorInfo(BY_NAME["U8"], graph.shape), graph), **tensors})

    def write(self, reader: Reader, file: BinaryIO, threads: int) -> None:
        """Raises `InputError` for a file that was not made of an ONNX model, or of another one; `FormatError`."""
        onnx = _package()
        if GRAPH not in reader.keys():  # noqa: SIM118
            raise InputError("it was not made of an ONNX model, it has no graph; decode to a .safetensors file")
        model = _parsed(onnx, reader.read(GRAPH, threads).bits.tobytes())
        rest = dict.fromkeys(reader.keys())
        del rest[GRAPH]
        for name, tensor in _tensors(onnx, model):
            elements = reader.read(name, threads)
            dtype = _DTYPES[onnx.TensorProto.DataType.Name(tensor.data_type)]
            if elements.info != TensorInfo(BY_NAME[dtype], tuple(tensor.dims)):
                raise InputError("it has not the dtype and shape that the graph has", tensor=name)
            tensor.raw_data = elements.bits.tobytes()
            rest.pop(name, None)
        if rest:
            raise InputError("the graph has no such tensor", tensor=next(iter(rest)))
        if model.ByteSize() > _MOST:
            raise InputError(f"the model has more than {_MOST:,} bytes, which an .onnx file cannot have")
        file.write(model.SerializeToString(deterministic=True))


def _package() -> Any:
    try:
        import onnx
    except ImportError as error:
        raise InputError("ONNX models are read by package onnx: pip install 'swsfmt[onnx]'") from error
    return onnx


def _parsed(onnx: Any, data: bytes) -> Any:
    model = onnx.ModelProto()
    try:
        model.ParseFromString(data)
    except Exception as error:  # of protobuf, whose class is another one in each of its implementations
        raise InputError(f"the ONNX model is damaged or incomplete: {error}") from error
    if not model.HasField("graph"):
        raise InputError("the ONNX model is damaged or incomplete: it has no graph")
    return model


def _tensors(onnx: Any, model: Any) -> Iterator[tuple[str, Any]]:
    """The tensors that are taken out, with names that differ, in an order that the graph gives."""
    seen: dict[str, int] = {}
    functions = [node for function in model.functions for node in function.node]
    for name, tensor, is_constant in (*_of_graph(onnx, model.graph), *_of_nodes(onnx, functions)):
        kind = tensor.data_type
        known = kind in onnx.TensorProto.DataType.values() and onnx.TensorProto.DataType.Name(kind) in _DTYPES
        if not known or (is_constant and int(np.prod(tensor.dims)) < _LEAST):
            continue
        name = name or "constant"
        number = seen[name] = seen.get(name, 0) + 1
        yield name if number == 1 else f"{name}#{number}", tensor


def _of_graph(onnx: Any, graph: Any) -> Iterator[tuple[str, Any, bool]]:
    """Names and tensors of a graph and of those in it, and whether they are constants."""
    for tensor in graph.initializer:
        yield tensor.name, tensor, False
    yield from _of_nodes(onnx, graph.node)


def _of_nodes(onnx: Any, nodes: Any) -> Iterator[tuple[str, Any, bool]]:
    for node in nodes:
        for attribute in node.attribute:
            if attribute.type == onnx.AttributeProto.TENSOR:
                yield next(iter(node.output), node.name), attribute.t, True
            for graph in (*([attribute.g] if attribute.HasField("g") else []), *attribute.graphs):
                yield from _of_graph(onnx, graph)


def _elements(onnx: Any, tensor: Any, folder: str | None) -> Elements:
    """The elements of a tensor, those in a file beside the model too.

    folder : of that file; None where there is none
    """
    if onnx.external_data_helper.uses_external_data(tensor):
        if folder is None:
            raise InputError("the tensor is in a file beside the model; give the path of the model")
        try:
            # It looks that the file lies in the folder.
            onnx.external_data_helper.load_external_data_for_tensor(tensor, folder)
        except (ValueError, RuntimeError, onnx.checker.ValidationError) as error:
            raise InputError(f"the file beside the model cannot be read: {error}") from error
    info = TensorInfo(BY_NAME[_DTYPES[onnx.TensorProto.DataType.Name(tensor.data_type)]], tuple(tensor.dims))
    if tensor.HasField("raw_data"):
        if len(tensor.raw_data) != info.nbytes:
            raise InputError(f"{info.nbytes:,} bytes should be there, and {len(tensor.raw_data):,} are")
        return Elements.of(info, np.frombuffer(tensor.raw_data, info.dtype.bits))
    try:
        elements = from_array(np.ascontiguousarray(onnx.numpy_helper.to_array(tensor)))
    except (ValueError, TypeError, OverflowError) as error:
        raise InputError(f"the tensor is damaged: {error}") from error
    return Elements.of(info, elements.bits)
