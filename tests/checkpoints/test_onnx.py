"""ONNX models to .sws files and back: tensors by their bits, outputs by onnxruntime."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import swsfmt
import swsfmt.numpy
from swsfmt import checkpoints

onnx = pytest.importorskip("onnx")
runtime = pytest.importorskip("onnxruntime")

from onnx import helper, numpy_helper  # noqa: E402

GENERATOR = np.random.default_rng(0)
WEIGHT = (GENERATOR.integers(-4, 5, (16, 32)) / 8).astype("f4")


def constant(name: str, array: Any) -> Any:
    return helper.make_node("Constant", [], [name], value=numpy_helper.from_array(array, name))


def branch(name: str, sign: int) -> Any:
    """A graph that has a constant of its own, of the name that the other branch has too."""
    nodes = [
        constant("c", (sign * WEIGHT[:4].reshape(-1)[:64]).reshape(32, 2)),
        helper.make_node("MatMul", ["h", "c"], [name]),
    ]
    return helper.make_graph(nodes, name, [], [helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None)])


def model(raw: bool = True) -> Any:
    """One product, a scale that stays in the graph, and two branches."""
    weight = numpy_helper.from_array(WEIGHT, "weight")
    if not raw:
        weight = helper.make_tensor("weight", onnx.TensorProto.FLOAT, WEIGHT.shape, WEIGHT.reshape(-1).tolist())
    half = numpy_helper.from_array(np.ones(32, "f2"), "half")
    nodes = [
        helper.make_node("MatMul", ["x", "weight"], ["y"]),
        helper.make_node("Cast", ["half"], ["bias"], to=onnx.TensorProto.FLOAT),
        helper.make_node("Add", ["y", "bias"], ["z"]),
        constant("scale", np.array([0.5], "f4")),
        helper.make_node("Mul", ["z", "scale"], ["h"]),
        helper.make_node("ReduceSum", ["h"], ["s"], keepdims=0),
        constant("zero", np.array(0, "f4")),
        helper.make_node("Greater", ["s", "zero"], ["is_positive"]),
        helper.make_node("If", ["is_positive"], ["out"], then_branch=branch("a", 1), else_branch=branch("b", -1)),
    ]
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        nodes,
        "net",
        [value("x", onnx.TensorProto.FLOAT, [None, 16])],
        [value("out", onnx.TensorProto.FLOAT, [None, 2])],
        [weight, half],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], producer_name="tests")
    made.ir_version = 8
    helper.set_model_props(made, {"author": "tests"})
    onnx.checker.check_model(made)
    return made


def outputs(path: Path) -> list[Any]:
    session = runtime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    inputs = [np.random.default_rng(seed).standard_normal((3, 16)).astype("f4") for seed in range(4)]
    return [session.run(None, {"x": x})[0] for x in inputs]


@pytest.mark.parametrize("raw", [True, False])
def test_there_and_back(raw: bool, tmp_path: Path) -> None:
    source, encoded, back = tmp_path / "net.onnx", tmp_path / "net.sws", tmp_path / "back.onnx"
    onnx.save(model(raw), source)
    assert checkpoints.recognise(source) == "an ONNX model"
    checkpoints.convert(source, encoded)
    tensors = swsfmt.load_file(encoded)
    assert list(tensors) == ["onnx.graph", "weight", "half", "c", "c#2"]
    assert np.array_equal(tensors["weight"], WEIGHT)
    assert np.array_equal(tensors["c"], -tensors["c#2"])
    assert tensors["half"].dtype == np.float16
    written = checkpoints.convert(encoded, back)
    assert not written.lost_metadata
    onnx.checker.check_model(onnx.load(back))
    assert all(np.array_equal(one, other) for one, other in zip(outputs(source), outputs(back), strict=True))
    if raw:
        assert back.read_bytes() == source.read_bytes()


def test_tensors_in_a_file_beside_the_model(tmp_path: Path) -> None:
    plain, apart = tmp_path / "plain.onnx", tmp_path / "apart.onnx"
    onnx.save(model(), plain)
    onnx.save(model(), apart, save_as_external_data=True, location="weights.bin", size_threshold=0)
    checkpoints.convert(apart, tmp_path / "net.sws")
    checkpoints.convert(tmp_path / "net.sws", tmp_path / "back.onnx")
    assert all(
        np.array_equal(one, other) for one, other in zip(outputs(plain), outputs(tmp_path / "back.onnx"), strict=True)
    )
    with pytest.raises(swsfmt.InputError, match="file beside the model"):
        checkpoints.open(apart.read_bytes())
    (tmp_path / "weights.bin").unlink()
    with pytest.raises((swsfmt.InputError, OSError)):
        checkpoints.open(apart)


def test_a_file_outside_of_the_folder_is_not_read(tmp_path: Path) -> None:
    made = model()
    tensor = made.graph.initializer[0]
    (tmp_path / "secret").write_bytes(tensor.raw_data)
    tensor.ClearField("raw_data")
    tensor.data_location = onnx.TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="../secret")
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "net.onnx").write_bytes(made.SerializeToString())
    with pytest.raises(swsfmt.InputError, match="file beside the model"):
        checkpoints.open(tmp_path / "model" / "net.onnx")


def test_damage() -> None:
    data = model().SerializeToString()
    for cut in (3, 20, len(data) // 2, len(data) - 1):
        with pytest.raises(swsfmt.InputError):
            checkpoints.open(data[:cut])
    made = model()
    made.graph.initializer[0].raw_data = b"abc"
    with pytest.raises(swsfmt.InputError, match="2,048 bytes should be there, and 3 are"):
        checkpoints.open(made.SerializeToString())
    made = model()
    made.graph.initializer[0].name = "onnx.graph"
    with pytest.raises(swsfmt.InputError, match="taken for the graph"):
        checkpoints.open(made.SerializeToString())


def test_files_that_are_no_models(tmp_path: Path) -> None:
    for name, tensors, message in (
        ("a", {"weight": WEIGHT}, "not made of an ONNX model"),
        ("b", {"onnx.graph": np.frombuffer(b"nothing", "u1")}, "damaged"),
    ):
        swsfmt.save_file(tensors, tmp_path / f"{name}.sws")
        with pytest.raises(swsfmt.InputError, match=message):
            checkpoints.convert(tmp_path / f"{name}.sws", tmp_path / "out.onnx")
    checkpoint = checkpoints.open(model().SerializeToString())
    arrays = {name: swsfmt.numpy.to_array(checkpoint.elements(name)) for name in checkpoint.tensors}
    swsfmt.save_file({**arrays, "weight": WEIGHT[:3]}, tmp_path / "c.sws")
    with pytest.raises(swsfmt.InputError, match="dtype and shape that the graph has"):
        checkpoints.convert(tmp_path / "c.sws", tmp_path / "out.onnx")
    swsfmt.save_file({**arrays, "more": WEIGHT}, tmp_path / "d.sws")
    with pytest.raises(swsfmt.InputError, match="no such tensor"):
        checkpoints.convert(tmp_path / "d.sws", tmp_path / "out.onnx")
    del arrays["half"]
    swsfmt.save_file(arrays, tmp_path / "e.sws")
    with pytest.raises(swsfmt.TensorNotFoundError):
        checkpoints.convert(tmp_path / "e.sws", tmp_path / "out.onnx")
    assert not (tmp_path / "out.onnx").exists()
