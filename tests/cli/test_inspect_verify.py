"""`sws inspect` and `sws verify`: what they tell of a file."""

from __future__ import annotations

import json
import os
import threading
from pathlib import Path
from typing import Any

import craft
import numpy as np
import pytest
import safetensors.numpy
import torch
from click.testing import CliRunner
from command import fails, run
from sws.cli import main
from sws.cli.console import escape

import swsfmt
import swsfmt.torch
from swsfmt.format.sections import Section

HOSTILE = "evil\x1b[2J\r\n[red]x[/red]\x9b\u202e\u200b"
ESCAPED = "evil\\x1b[2J\\r\\n[red]x[/red]\\x9b\\u202e\\u200b"


@pytest.fixture
def tensors() -> dict[str, torch.Tensor]:
    rng = np.random.default_rng(3)
    weight = rng.choice(np.array([0, 1, -1], np.float32), p=[0.75, 0.125, 0.125], size=(100, 80))
    return {
        "fc.weight": torch.from_numpy(weight),
        "fc.bias": torch.from_numpy(rng.standard_normal(100).astype(np.float32)),
        "half": torch.from_numpy(rng.standard_normal(5)).bfloat16(),
        "complex": torch.from_numpy(rng.standard_normal(3) + 1j),
        "steps": torch.tensor(12),
        "none": torch.zeros(0, 4),
    }


@pytest.fixture
def sws(tensors: dict[str, torch.Tensor], tmp_path: Path) -> Path:
    tensors = {**tensors, "head.weight": tensors["fc.weight"]}
    swsfmt.torch.save_file(tensors, tmp_path / "model.sws", {"author": "me"})
    torch.save(tensors, tmp_path / "model.pt")
    return tmp_path / "model.sws"


# ---- inspect ---------------------------------------------------------------------------------------------------------


def row(output: str, start: str) -> list[str]:
    found = [line for line in output.splitlines() if line.startswith(start)]
    assert len(found) == 1, output
    return found[0].removeprefix(start).split()


def test_tensor_table(sws: Path, tensors: dict[str, torch.Tensor]) -> None:
    result = run("inspect", sws)
    assert result.exit_code == 0
    assert result.stderr == ""
    report = {t.name: t for t in swsfmt.inspect(sws).tensors}
    weight = report["fc.weight"]
    assert row(result.stdout, "fc.weight") == [
        *("100x80", "F32", weight.coding, "32,000", f"{weight.file_bytes:,}", f"{32000 / weight.file_bytes:.2f}x"),
        f"{1 - int((tensors['fc.weight'] != 0).sum()) / 8000:.1%}",
    ]
    assert row(result.stdout, "steps")[0] == "scalar"
    assert row(result.stdout, "none")[0] == "0x4"
    for title in ("layer", "shape", "dtype", "coding", "original", "compressed", "ratio", "sparsity"):
        assert title in result.stdout


def test_alias_is_shown_as_tied(sws: Path) -> None:
    cells = row(run("inspect", sws).stdout, "head.weight")
    assert " ".join(cells[:3]) == "(tied to fc.weight)"
    assert cells[5:7] == ["alias", "-"]


def test_section_table(sws: Path) -> None:
    output = run("inspect", sws).stdout.split("where the bytes went")[1]
    size = os.stat(sws).st_size
    rows = [line.split() for line in output.splitlines() if line.rstrip().endswith("%")]
    assert len(rows) == len(list(Section.all())) + 1
    counts = [int(cells[-2].replace(",", "")) for cells in rows]
    assert counts[-1] == sum(counts[:-1]) == size
    assert abs(sum(float(cells[-1].rstrip("%")) for cells in rows[:-1]) - 100) < 0.05 * len(list(Section.all()))


def test_last_line_is_the_ratio(sws: Path) -> None:
    size, report = os.stat(sws).st_size, swsfmt.inspect(sws)
    last = run("inspect", sws).stdout.splitlines()[-1]
    assert f"{report.dense_bytes / size:.2f}x = {report.dense_bytes:,} dense bytes / {size:,} bytes on disk" in last


def test_metadata_is_shown(sws: Path) -> None:
    assert "  author: me\n" in run("inspect", sws).stdout


def test_long_metadata_is_cut(tmp_path: Path) -> None:
    swsfmt.save_file({"a": np.ones(2)}, tmp_path / "a.sws", {"k": "v" * 5000})
    output = run("inspect", tmp_path / "a.sws").stdout
    assert "5,000 characters" in output
    assert "v" * 300 not in output


def test_no_metadata_no_heading(tmp_path: Path) -> None:
    swsfmt.save_file({"a": np.ones(2)}, tmp_path / "a.sws")
    assert "metadata:" not in run("inspect", tmp_path / "a.sws").stdout


@pytest.mark.parametrize("where", ["name", "metadata key", "metadata value"])
def test_hostile_text_is_escaped(where: str, tmp_path: Path) -> None:
    name, key, value = (HOSTILE if where == w else "plain" for w in ("name", "metadata key", "metadata value"))
    swsfmt.save_file({name: np.ones(9)}, tmp_path / "a.sws", {key: value})
    output = run("inspect", tmp_path / "a.sws").stdout
    assert ESCAPED in output
    assert all(c.isprintable() for c in output.replace("\n", ""))


def test_hostile_name_in_an_error_is_escaped(tmp_path: Path) -> None:
    swsfmt.save_file({HOSTILE: np.random.default_rng(0).standard_normal(999)}, tmp_path / "a.sws")
    data = bytearray((tmp_path / "a.sws").read_bytes())
    data[-1] ^= 1
    (tmp_path / "a.sws").write_bytes(data)
    message = fails("verify", tmp_path / "a.sws", code=3)
    assert all(c.isprintable() for c in message.rstrip("\n"))
    assert "evil" in message


@pytest.mark.parametrize("text", ["plain", "with space", "層é", "[b]", "\\n", "😀"])
def test_escape_leaves_text_alone(text: str) -> None:
    assert escape(text) == text


@pytest.mark.parametrize("text", ["\0", "\x7f", "\x85", "\u2028", "\ud800", "\u2066", "\U000e0001"])
def test_escape_takes_the_rest(text: str) -> None:
    assert escape(text).isascii()
    assert escape(text).startswith("\\")


def test_long_names_are_whole_in_a_pipe(tmp_path: Path) -> None:
    name = "model.layers.0.self_attn.q_proj.weight" * 4
    swsfmt.save_file({name: np.ones((4096, 3), np.float32)}, tmp_path / "a.sws")
    assert row(run("inspect", tmp_path / "a.sws").stdout, name)[0] == "4096x3"


def test_eighty_columns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a terminal no line is longer, and long names get a line of their own."""
    from rich.console import Console

    name = "model.layers.0.self_attn.q_proj.weight"
    weight = np.random.default_rng(0).integers(0, 9, (2000, 1100)).astype(np.float32)
    swsfmt.save_file({name: weight}, tmp_path / "a.sws", profile="fast")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(Console, "is_terminal", property(lambda _: True))
    output = run("inspect", "a.sws", env={"COLUMNS": "80", "TERM": "dumb"}).stdout
    assert max(map(len, output.splitlines())) <= 80
    assert "8,800,000" in output
    assert "  2000x1100, F32, dense" in output


def test_terminal_without_unicode(tmp_path: Path) -> None:
    swsfmt.save_file({"層": np.ones(9)}, tmp_path / "a.sws")
    result = CliRunner(charset="ascii").invoke(main, ["inspect", str(tmp_path / "a.sws")])
    assert result.exit_code == 0
    assert result.stdout_bytes.isascii()
    assert "\\u5c64" in result.stdout


def test_inspect_json(sws: Path) -> None:
    result = run("inspect", sws, "--json")
    told = json.loads(result.stdout)
    assert result.exit_code == 0
    assert result.stderr == ""
    assert told == {**swsfmt.inspect(sws).to_json(), "file": str(sws)}
    assert sum(told["sections"].values()) == told["file_bytes"] == os.stat(sws).st_size
    assert set(told["sections"]) == set(Section.all())
    assert told["ratio"] == told["dense_bytes"] / told["file_bytes"]


def test_inspect_stdin(sws: Path) -> None:
    result = run("inspect", "-", input=sws.read_bytes())
    assert result.exit_code == 0
    assert result.stdout == run("inspect", sws).stdout.replace(str(sws), "stdin", 1)
    assert json.loads(run("inspect", "-", "--json", input=sws.read_bytes()).stdout)["file"] == "-"


# ---- verify ----------------------------------------------------------------------------------------------------------


def test_verify(sws: Path) -> None:
    size, dense = os.stat(sws).st_size, swsfmt.inspect(sws).dense_bytes
    facts = f"{dense / size:.2f}x ({dense:,} dense bytes / {size:,} bytes on disk)"
    assert run("verify", sws).stdout == f"ok: 7 tensors, all checksums match, {facts}\n"
    original = sws.with_suffix(".pt")
    expected = f"ok: 7 tensors, all checksums match, {facts}, bit-identical to {original}\n"
    assert run("verify", sws, "--against", original).stdout == expected


def test_verify_json(sws: Path) -> None:
    for args, against in (((), None), (("--against", sws.with_suffix(".pt")), str(sws.with_suffix(".pt")))):
        result = run("verify", sws, "--json", *args)
        assert result.exit_code == 0
        told = json.loads(result.stdout)
        assert told["ok"] is True
        assert told["against"] == against
        assert told["file"] == str(sws)
        assert sum(told["sections"].values()) == told["file_bytes"] == os.stat(sws).st_size
        assert told["ratio"] == told["dense_bytes"] / told["file_bytes"]
        assert len(told["tensors"]) == 7


def test_order_and_ties_do_not_matter(sws: Path, tensors: dict[str, torch.Tensor], tmp_path: Path) -> None:
    turned = dict(reversed({**tensors, "head.weight": tensors["fc.weight"].clone()}.items()))
    torch.save(turned, tmp_path / "turned.pt")
    assert run("verify", sws, "--against", tmp_path / "turned.pt").exit_code == 0


def changed(tensors: dict[str, torch.Tensor], **change: torch.Tensor | None) -> dict[str, torch.Tensor]:
    both: dict[str, torch.Tensor | None] = {**tensors, "head.weight": tensors["fc.weight"], **change}
    return {name: tensor for name, tensor in both.items() if tensor is not None}


@pytest.mark.parametrize(
    ("name", "change", "complaint"),
    [
        ("steps", lambda t: t + 1, "1 of 1 elements differ"),
        ("complex", lambda t: torch.cat([t[:1], -t[1:]]), "2 of 3 elements differ, the first at flat index 1"),
        ("half", lambda t: t.float(), "dtype BF16 in the file, F32 in the original"),
        ("none", lambda t: t.reshape(4, 0), "shape [0, 4] in the file, [4, 0] in the original"),
        ("half", lambda t: None, "not in "),
        ("new", lambda t: torch.ones(2), "missing in the file"),
        ("fc.bias", lambda t: t.where(t != t[7], t[7] + 1), "the first at flat index 7"),
    ],
)
def test_a_difference_is_3(
    name: str, change: Any, complaint: str, sws: Path, tensors: dict[str, torch.Tensor], tmp_path: Path
) -> None:
    torch.save(changed(tensors, **{name: change(tensors.get(name))}), tmp_path / "other.pt")
    message = fails("verify", sws, "--against", tmp_path / "other.pt", code=3)
    assert f"tensor {name!r}" in message
    assert complaint in message
    assert "1 tensor differs" in message


def test_negative_zero_differs(tmp_path: Path) -> None:
    swsfmt.torch.save_file({"a": torch.zeros(3)}, tmp_path / "a.sws")
    torch.save({"a": -torch.zeros(3)}, tmp_path / "a.pt")
    assert "3 of 3 elements" in fails("verify", tmp_path / "a.sws", "--against", tmp_path / "a.pt", code=3)


def test_equal_nans_do_not_differ(tmp_path: Path) -> None:
    swsfmt.torch.save_file({"a": torch.full((3,), float("nan"))}, tmp_path / "a.sws")
    torch.save({"a": torch.full((3,), float("nan"))}, tmp_path / "a.pt")
    assert run("verify", tmp_path / "a.sws", "--against", tmp_path / "a.pt").exit_code == 0


def test_first_difference_and_count(sws: Path, tensors: dict[str, torch.Tensor], tmp_path: Path) -> None:
    other = changed(tensors, **{"fc.bias": tensors["fc.bias"] + 1, "steps": torch.tensor(0), "new": torch.ones(1)})
    torch.save(other, tmp_path / "other.pt")
    result = run("verify", sws, "--against", tmp_path / "other.pt", "--json")
    assert result.exit_code == 3
    error = json.loads(result.stdout)["error"]
    assert error["type"] == "MismatchError"
    assert error["tensor"] == "fc.bias"
    assert error["file"] == str(sws)
    assert "3 tensors differ" in error["message"]


def test_against_key(sws: Path, tensors: dict[str, torch.Tensor], tmp_path: Path) -> None:
    torch.save({"epoch": 1, "state_dict": changed(tensors)}, tmp_path / "nested.pt")
    assert "--key state_dict" in fails("verify", sws, "--against", tmp_path / "nested.pt")
    assert run("verify", sws, "--against", tmp_path / "nested.pt", "--key", "state_dict").exit_code == 0
    assert run("verify", sws, "--key", "state_dict").exit_code == 2


def test_against_safetensors(tmp_path: Path) -> None:
    arrays = {"a": np.arange(5), "b": np.ones((2, 2), np.float16)}
    safetensors.numpy.save_file(arrays, tmp_path / "a.safetensors")
    run("encode", tmp_path / "a.safetensors")
    assert run("verify", tmp_path / "a.sws", "--against", tmp_path / "a.safetensors").exit_code == 0


def test_stdin_on_either_side(sws: Path) -> None:
    original = sws.with_suffix(".pt")
    assert run("verify", "-", "--against", original, input=sws.read_bytes()).exit_code == 0
    assert run("verify", sws, "--against", "-", input=original.read_bytes()).exit_code == 0
    assert run("verify", "-", "--against", "-", input=b"").exit_code == 2


def test_damaged_original_is_1(sws: Path) -> None:
    original = sws.with_suffix(".pt")
    original.write_bytes(original.read_bytes()[:500])
    assert str(original) in fails("verify", sws, "--against", original)


def test_every_flipped_byte_is_found(tmp_path: Path) -> None:
    path = tmp_path / "a.sws"
    swsfmt.save_file({"a": np.arange(9.0), "b": np.arange(300) % 7}, path, {"k": "v"})
    data = path.read_bytes()
    for i in range(0, len(data), 5):
        path.write_bytes(data[:i] + bytes([data[i] ^ 0x10]) + data[i + 1 :])
        fails("verify", path, code=3)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_named_pipe(sws: Path, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    writer = threading.Thread(target=lambda: (tmp_path / "pipe").write_bytes(sws.read_bytes()))
    writer.start()
    result = run("verify", tmp_path / "pipe", "--against", sws.with_suffix(".pt"))
    writer.join()
    assert result.exit_code == 0, result.output


@pytest.mark.parametrize("dtype", [craft.F32, 99])
def test_unknown_coding_is_listed_but_not_verified(dtype: int, tmp_path: Path) -> None:
    """A file of a newer minor version: `inspect` shows the rest, `verify` and `decode` are honest about it."""
    path = tmp_path / "a.sws"
    known = craft.record("known", shape=(3,), payload=craft.floats(1, 2, 3))
    path.write_bytes(craft.file_(known, craft.record("new", 13, (7,), dtype=dtype, payload=b"?" * 5)))
    result = run("inspect", path)
    assert result.exit_code == 0
    assert row(result.stdout, "new")[-1] == "-"
    assert row(result.stdout, "known")[:3] == ["3", "F32", "raw"]
    for command in ("verify", "decode"):
        message = fails(command, path)
        assert "coding 13" in message
        assert "'new'" in message


def test_many_tensors_are_plain_lines(tmp_path: Path) -> None:
    """Each is one, whatever the width of the terminal; JSON has no blanks for people then."""
    path = tmp_path / "many.sws"
    swsfmt.save_file({f"layer.{i}\n": np.full(3, i % 7, np.float32) for i in range(1200)}, path)
    lines = run("inspect", path).stdout.splitlines()
    rows = [line.split() for line in lines if line.startswith("layer.")]
    assert [row[0] for row in rows] == [f"layer.{i}\\n" for i in range(1200)]
    assert rows[8][1:5] == ["3", "F32", "dense", "12"]
    assert lines[2].split()[:4] == ["layer", "shape", "dtype", "coding"]
    assert "where the bytes went" in "\n".join(lines[-20:])
    report = json.loads(run("inspect", path, "--json").stdout)
    assert len(report["tensors"]) == 1200
    assert report == {**swsfmt.inspect(path).to_json(), "file": str(path)}
