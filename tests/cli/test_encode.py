"""`sws encode`: what it reads, what it refuses, what it writes."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch
from command import fails, run
from tensors import same, saved

import swsfmt
import swsfmt.checkpoints
import swsfmt.torch
import swsfmt.write.file

Tensors = dict[str, torch.Tensor]


@pytest.fixture
def tensors() -> Tensors:
    """What state_dicts hold, odd things included."""
    generator = torch.Generator().manual_seed(0)
    weight = torch.randint(-3, 4, (32, 48), generator=generator) * 0.125
    weight[torch.rand(32, 48, generator=generator) < 0.8] = 0
    conv = torch.randint(0, 5, (8, 4, 3, 3), generator=generator).float()
    return {
        "fc.weight": weight,
        "conv.weight": conv,
        "fc.bias": torch.randn(32, generator=generator),
        "half": torch.randn(5, 3, generator=generator).bfloat16(),
        "scalar": torch.tensor(7),
        "empty": torch.zeros(0, 5),
        "head.weight": weight,
        "odd": torch.tensor([float("nan"), -0.0, float("inf")]),
    }


@pytest.fixture
def pt(tensors: Tensors, tmp_path: Path) -> Path:
    return saved(tensors, tmp_path / "model.pt")


@pytest.fixture
def st(tensors: Tensors, tmp_path: Path) -> Path:
    path = tmp_path / "model.safetensors"
    safetensors.torch.save_file({n: t.clone() for n, t in tensors.items()}, path, {"format": "pt", "note": "é"})
    return path


def test_line_tells_size_and_ratio(pt: Path, tensors: Tensors) -> None:
    result = run("encode", pt)
    out = pt.with_suffix(".sws")
    dense = sum(t.nbytes for name, t in tensors.items() if name != "head.weight")
    size = os.stat(out).st_size
    assert result.exit_code == 0
    assert result.stderr == ""
    assert result.stdout == f"{out}: {size:,} bytes, {dense / size:.2f}x smaller than its {dense:,} dense bytes\n"


def test_growth_is_not_called_smaller(tmp_path: Path) -> None:
    result = run("encode", saved({"a": torch.tensor(1.5)}, tmp_path / "a.pt"))
    assert "larger than its 4 dense bytes" in result.stdout
    assert "smaller" not in result.stdout


def test_no_tensors(tmp_path: Path) -> None:
    out = tmp_path / "a.sws"
    result = run("encode", saved({}, tmp_path / "a.pt"))
    assert result.exit_code == 0
    assert result.stdout == f"{out}: {os.stat(out).st_size} bytes, no tensors\n"


def test_tensors_without_elements(tmp_path: Path) -> None:
    result = run("encode", saved({"a": torch.zeros(0), "b": torch.zeros(3, 0)}, tmp_path / "a.pt"))
    assert result.stdout.endswith(" bytes, 2 tensors without elements\n")


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])
def test_torch(zipped: bool, tensors: Tensors, tmp_path: Path) -> None:
    path = saved(tensors, tmp_path / "model.pth", _use_new_zipfile_serialization=zipped)
    assert run("encode", path, "-o", tmp_path / "out.sws").exit_code == 0
    back = swsfmt.torch.load_file(tmp_path / "out.sws")
    assert list(back) == list(tensors)
    assert all(same(back[name], tensors[name]) for name in tensors)
    assert back["head.weight"] is back["fc.weight"]


def test_safetensors_with_metadata(st: Path, tensors: Tensors) -> None:
    assert run("encode", st).exit_code == 0
    back = swsfmt.torch.load_file(st.with_suffix(".sws"))
    assert set(back) == set(tensors)
    assert all(same(back[name], tensors[name]) for name in tensors)
    with swsfmt.safe_open(st.with_suffix(".sws")) as file:
        assert file.metadata() == {"format": "pt", "note": "é"}


def test_safetensors_order_is_that_of_the_header(st: Path) -> None:
    run("encode", st)
    data = st.read_bytes()
    header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
    with swsfmt.safe_open(st.with_suffix(".sws")) as file:
        assert file.keys() == [name for name in header if name != "__metadata__"]


def test_content_counts_not_the_name(pt: Path, st: Path, tmp_path: Path) -> None:
    for source, name in ((pt, "a.safetensors"), (st, "b.pt"), (pt, "c")):
        shutil.copy(source, tmp_path / name)
        assert run("encode", tmp_path / name).exit_code == 0
    names = [set(swsfmt.torch.load_file(tmp_path / f"{n}.sws")) for n in "abc"]
    assert names[0] == names[1] == names[2]


@pytest.mark.parametrize("kind", ["pt", "st"])
def test_stdin_and_stdout(kind: str, request: pytest.FixtureRequest) -> None:
    path: Path = request.getfixturevalue(kind)
    run("encode", path)
    result = run("encode", "-", "-o", "-", input=path.read_bytes())
    assert result.exit_code == 0
    assert result.stdout_bytes == path.with_suffix(".sws").read_bytes()
    assert result.stderr.startswith("stdout: ")


def test_stdin_to_file(pt: Path, tmp_path: Path) -> None:
    assert run("encode", "-", "-o", tmp_path / "x.sws", input=pt.read_bytes()).exit_code == 0
    assert run("verify", tmp_path / "x.sws", "--against", pt).exit_code == 0


def test_stdin_needs_an_output(pt: Path) -> None:
    result = run("encode", "-", input=pt.read_bytes())
    assert result.exit_code == 2
    assert "-o" in result.stderr


def test_stdin_that_is_nothing(tmp_path: Path) -> None:
    assert "stdin: the file is empty" in fails("encode", "-", "-o", tmp_path / "x.sws", input=b"")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_named_pipe(st: Path, tmp_path: Path) -> None:
    import threading

    os.mkfifo(tmp_path / "pipe")
    writer = threading.Thread(target=lambda: (tmp_path / "pipe").write_bytes(st.read_bytes()))
    writer.start()
    result = run("encode", tmp_path / "pipe", "-o", tmp_path / "x.sws")
    writer.join()
    assert result.exit_code == 0, result.output
    run("encode", st)
    assert (tmp_path / "x.sws").read_bytes() == st.with_suffix(".sws").read_bytes()


def test_equal_input_gives_equal_bytes(st: Path, tmp_path: Path) -> None:
    for name in "ab":
        assert run("encode", st, "-o", tmp_path / name).exit_code == 0
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_packed_four_bit_floats(tmp_path: Path) -> None:
    header = b'{"a":{"dtype":"F4","shape":[3,4],"data_offsets":[0,6]}}'
    path = tmp_path / "a.safetensors"
    path.write_bytes(len(header).to_bytes(8, "little") + header + b"\1\2\3\4\5\6")
    assert run("encode", path).exit_code == 0
    tensor = swsfmt.inspect(tmp_path / "a.sws").tensors[0]
    assert (tensor.dtype, tensor.shape) == ("F4_X2", [3, 2])
    assert run("decode", tmp_path / "a.sws", "-o", tmp_path / "b.safetensors").exit_code == 0
    assert run("verify", tmp_path / "a.sws", "--against", tmp_path / "b.safetensors").exit_code == 0


def test_dtype_that_cannot_be_stored(tmp_path: Path) -> None:
    header = b'{"a":{"dtype":"F6_E2M3","shape":[4],"data_offsets":[0,3]}}'
    (tmp_path / "a").write_bytes(len(header).to_bytes(8, "little") + header + b"123")
    message = fails("encode", tmp_path / "a")
    assert "F6_E2M3" in message
    assert "'a'" in message


def test_booleans_and_ranks_are_those_of_the_format(tmp_path: Path) -> None:
    header = b'{"a":{"dtype":"BOOL","shape":[3],"data_offsets":[0,3]}}'
    (tmp_path / "a").write_bytes(len(header).to_bytes(8, "little") + header + bytes([0, 1, 2]))
    assert run("encode", tmp_path / "a").exit_code == 0
    assert swsfmt.load_file(tmp_path / "a.sws")["a"].view("u1").tolist() == [0, 1, 1]
    header = b'{"deep":{"dtype":"U8","shape":[%s],"data_offsets":[0,1]}}' % b",".join([b"1"] * 65)
    (tmp_path / "b").write_bytes(len(header).to_bytes(8, "little") + header + b"x")
    result = run("encode", tmp_path / "b")
    assert result.exit_code == 1
    assert f"{tmp_path / 'b'}, tensor 'deep': rank 65" in result.stderr


# ---- options ---------------------------------------------------------------------------------------------------------


def pbits_by_rank(path: Path) -> dict[int, set[int]]:
    out: dict[int, set[int]] = {}
    for tensor in swsfmt.inspect(path).tensors:
        if tensor.pbits is not None:
            out.setdefault(len(tensor.shape), set()).add(tensor.pbits)
    return out


@pytest.fixture
def sparse(tmp_path: Path) -> Path:
    rng = np.random.default_rng(5)
    draw = {"p": [0.9, 0.05, 0.05]}
    values = np.array([0, 1, 2], np.float32)
    fc, conv = rng.choice(values, (60, 50), **draw), rng.choice(values, (20, 10, 3, 3), **draw)
    fc[::2], conv[::2] = 0, 0
    return saved({"fc": torch.from_numpy(fc), "conv": torch.from_numpy(conv)}, tmp_path / "sparse.pt")


def test_pbits(sparse: Path, tmp_path: Path) -> None:
    for args, expected in (
        (("--pbits", 7), {2: {7}, 4: {7}}),
        (("--pbits-fc", 4, "--pbits-conv", 6), {2: {4}, 4: {6}}),
        (("--pbits", 7, "--pbits-fc", 4), {2: {4}, 4: {7}}),
    ):
        assert run("encode", sparse, "--force", *args).exit_code == 0
        assert pbits_by_rank(sparse.with_suffix(".sws")) == expected


@pytest.mark.parametrize("option", ["--pbits", "--pbits-fc", "--pbits-conv"])
@pytest.mark.parametrize("value", ["0", "13", "x"])
def test_pbits_out_of_range_is_2(option: str, value: str, sparse: Path) -> None:
    assert run("encode", sparse, option, value).exit_code == 2
    assert not sparse.with_suffix(".sws").exists()


def test_no_huffman(sparse: Path) -> None:
    out = sparse.with_suffix(".sws")
    run("encode", sparse)
    tables = swsfmt.inspect(out).sections["code_tables"]
    assert run("encode", sparse, "--no-huffman", "--force").exit_code == 0
    assert tables > 0
    assert swsfmt.inspect(out).sections["code_tables"] == 0


@pytest.mark.parametrize("scan", ["rows", "columns"])
def test_scan(scan: str, sparse: Path) -> None:
    assert run("encode", sparse, "--scan", scan).exit_code == 0
    assert {t.scan for t in swsfmt.inspect(sparse.with_suffix(".sws")).tensors} == {scan}


def test_compact(sparse: Path) -> None:
    out = sparse.with_suffix(".sws")
    run("encode", sparse)
    assert swsfmt.inspect(out).sections["row_bitmaps"] > 0
    assert run("encode", sparse, "--compact", "off", "--force").exit_code == 0
    assert swsfmt.inspect(out).sections["row_bitmaps"] == 0


@pytest.mark.parametrize("args", [("--scan", "x"), ("--compact", "x")])
def test_unknown_choice_is_2(args: tuple[str, str], sparse: Path) -> None:
    assert run("encode", sparse, *args).exit_code == 2


def test_json(pt: Path) -> None:
    result = run("encode", pt, "--json")
    out = pt.with_suffix(".sws")
    told = json.loads(result.stdout)
    assert result.exit_code == 0
    assert result.stderr == ""
    assert told["input"] == str(pt)
    assert told["file"] == told["output"] == str(out)
    assert told["output_bytes"] == os.stat(out).st_size
    assert told["file_bytes"] == os.stat(out).st_size == sum(told["sections"].values())
    assert told["ratio"] == told["dense_bytes"] / told["file_bytes"]
    assert [t["name"] for t in told["tensors"]][:2] == ["fc.weight", "conv.weight"]


def test_limits_do_not_apply_to_a_file_just_made(pt: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(swsfmt.Limits, "check", _strict_check)
    assert run("encode", pt, "--json").exit_code == 0
    assert run("inspect", pt.with_suffix(".sws")).exit_code == 1


@pytest.mark.parametrize("output", ["x.sws", "-"])
def test_warning_above_the_default_limits(
    output: str, pt: Path, tensors: Tensors, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = swsfmt.Limits(max_decoded_bytes=100, max_tensors=7)
    monkeypatch.setattr(swsfmt.write.file, "DEFAULT_LIMITS", small)
    target = output if output == "-" else str(tmp_path / output)
    result = run("encode", pt, "-o", target)
    assert result.exit_code == 0
    warnings = [line for line in result.stderr.splitlines() if "warning" in line]
    assert len(warnings) == 1
    dense = sum(t.nbytes for name, t in tensors.items() if name != "head.weight")
    # In the words of the library.
    with pytest.warns(swsfmt.SwsWarning, match="larger than readers accept") as warned:
        swsfmt.checkpoints.convert(pt, tmp_path / "z.sws")
    assert warnings[0] == f"sws: warning: {warned[0].message}"
    assert f"(sws: --limit max_tensors=8 --limit max_decoded_bytes={dense})" in warnings[0]
    (tmp_path / "y.sws").write_bytes(result.stdout_bytes if output == "-" else Path(target).read_bytes())
    # What the warning says is enough, and no less is.
    assert swsfmt.verify(tmp_path / "y.sws", limits=swsfmt.Limits(max_decoded_bytes=dense, max_tensors=8))
    for limits in (swsfmt.Limits(max_decoded_bytes=dense - 1), swsfmt.Limits(max_tensors=7)):
        with pytest.raises(swsfmt.LimitError):
            swsfmt.verify(tmp_path / "y.sws", limits=limits)


def _strict_check(limits: swsfmt.Limits, name: str, value: int, what: str) -> None:
    """As if every file were above the default limits."""
    if getattr(limits, name) <= getattr(swsfmt.Limits(), name):
        raise swsfmt.LimitError(what)


def test_json_and_stdout_exclude_each_other(pt: Path) -> None:
    result = run("encode", pt, "-o", "-", "--json")
    assert result.exit_code == 2
    assert json.loads(result.stdout)["error"]["type"] == "UsageError"


# ---- the output ------------------------------------------------------------------------------------------------------


def test_existing_output_is_kept(pt: Path) -> None:
    out = pt.with_suffix(".sws")
    out.write_text("old")
    assert "--force" in fails("encode", pt)
    assert out.read_text() == "old"
    assert run("encode", pt, "--force").exit_code == 0
    assert swsfmt.verify(out)


def test_dangling_link_is_kept(pt: Path) -> None:
    pt.with_suffix(".sws").symlink_to(pt.parent / "nowhere")
    assert "--force" in fails("encode", pt)
    assert pt.with_suffix(".sws").is_symlink()


def test_input_is_not_written_over(pt: Path, tmp_path: Path) -> None:
    before = pt.read_bytes()
    assert "input" in fails("encode", pt, "-o", pt, "--force")
    (tmp_path / "link").symlink_to(pt)
    assert "input" in fails("encode", pt, "-o", tmp_path / "link", "--force")
    assert pt.read_bytes() == before


@pytest.mark.parametrize("output", ["folder", os.devnull])
def test_odd_output_is_not_replaced(output: str, pt: Path, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    assert "not a regular file" in fails("encode", pt, "-o", tmp_path / output, "--force")


def test_output_folder_must_exist(pt: Path, tmp_path: Path) -> None:
    assert "does not exist" in fails("encode", pt, "-o", tmp_path / "absent" / "x.sws")


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_killed_encoder_leaves_the_old_file(
    error: BaseException, pt: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = pt.with_suffix(".sws")
    out.write_text("old")
    before = sorted(os.listdir(tmp_path))

    def stop(*_args: Any) -> None:
        raise error

    monkeypatch.setattr(os, "replace", stop)
    result = run("encode", pt, "--force")
    assert result.exit_code == (1 if isinstance(error, OSError) else 130)
    assert out.read_text() == "old"
    assert sorted(os.listdir(tmp_path)) == before
    if isinstance(error, OSError):
        assert result.stderr == f"sws: error: {out}: No space left on device\n"


def test_profile_small(tmp_path: Path) -> None:
    row, column = np.mgrid[:60, :50]
    band = torch.from_numpy(np.where(abs(row - column) % 17 < 3, 0.5, 0).astype(np.float32))
    source, fast, small = saved({"fc": band}, tmp_path / "band.pt"), tmp_path / "fast.sws", tmp_path / "small.sws"
    assert run("encode", source, "-o", fast).exit_code == 0
    assert run("encode", source, "-o", small, "--profile", "small", "--contexts", "full").exit_code == 0
    assert small.stat().st_size < fast.stat().st_size
    assert run("verify", small, "--against", source).exit_code == 0
    shown = run("inspect", small).stdout
    assert "adaptive" in shown
    saved_bytes = swsfmt.inspect(small).tensors[0].saved_bytes
    assert f"\nprofile small: about {saved_bytes:,} bytes less than the profile default would take\n" in shown
    assert "would take" not in run("inspect", fast).stdout
