"""What would be uploaded to the Hub, with stand-ins for the calls that reach it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import huggingface_hub
import pytest
import torch
import transformers
from transformers.utils import hub

import swsfmt
import swsfmt.torch

hf = pytest.importorskip("swsfmt.hf")

Uploads = list[tuple[str, dict[str, bytes]]]


@pytest.fixture
def uploads(monkeypatch: pytest.MonkeyPatch) -> Uploads:
    """Repositories, and contents of the files that were sent there."""
    sent: Uploads = []

    def create_repo(*arguments: Any, **options: Any) -> Any:
        return SimpleNamespace(repo_id=options.get("repo_id", arguments[-1] if arguments else None))

    def upload_folder(*_: Any, repo_id: str, folder_path: Any, **__: Any) -> str:
        sent.append((repo_id, {path.name: path.read_bytes() for path in Path(folder_path).iterdir()}))
        return "https://hub"

    def create_commit(*_: Any, repo_id: str, operations: Any, **__: Any) -> str:
        sent.append((repo_id, {each.path_in_repo: Path(each.path_or_fileobj).read_bytes() for each in operations}))
        return "https://hub"

    for call in (create_repo, upload_folder, create_commit):
        monkeypatch.setattr(huggingface_hub.HfApi, call.__name__, call)
        # Earlier versions of transformers have them from a handle of their own.
        monkeypatch.setattr(hub, call.__name__, call, raising=False)
    card = SimpleNamespace(save=lambda path: Path(path).write_text("a card"))
    monkeypatch.setattr(hub, "create_and_tag_model_card", lambda *_, **__: card)
    return sent


def bert() -> Any:
    torch.manual_seed(0)
    sizes = {"hidden_size": 8, "intermediate_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2}
    return transformers.BertModel(transformers.BertConfig(vocab_size=20, max_position_embeddings=8, **sizes)).eval()


def same(file: bytes, model: torch.nn.Module) -> bool:
    saved, state = swsfmt.torch.load(file), model.state_dict()
    return saved.keys() == state.keys() and all(torch.equal(saved[name], state[name]) for name in state)


def test_a_model_that_is_saved_and_uploaded(uploads: Uploads, tmp_path: Path) -> None:
    model = bert()
    hf.save_pretrained(model, tmp_path / "tiny", push_to_hub=True, repo_id="somebody/tiny", commit_message="First")
    ((repository, files),) = uploads
    assert repository == "somebody/tiny"
    assert files.keys() == {"config.json", "model.sws"}
    assert same(files["model.sws"], model)


def test_a_model_that_was_loaded_uploads_our_files(uploads: Uploads, tmp_path: Path) -> None:
    hf.save_pretrained(bert(), tmp_path)
    loaded = transformers.AutoModel.from_pretrained(tmp_path)
    loaded.push_to_hub("somebody/other")
    ((repository, files),) = uploads
    assert repository == "somebody/other"
    assert files.keys() == {"README.md", "config.json", "model.sws"}
    assert same(files["model.sws"], loaded)


class Net(torch.nn.Module, hf.ModelHubMixin):
    def __init__(self, width: int = 3) -> None:
        super().__init__()
        self.layer = torch.nn.Linear(2, width)


def test_mixin(uploads: Uploads, tmp_path: Path) -> None:
    net = Net(width=5)
    net.save_pretrained(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} >= {"config.json", "model.sws"}
    loaded = Net.from_pretrained(tmp_path)
    assert loaded.layer.out_features == 5
    assert torch.equal(loaded.layer.weight, net.layer.weight)
    assert not loaded.training
    with pytest.raises(swsfmt.StateDictError, match="layer"):
        loaded.__class__.from_pretrained(tmp_path, width=4)
    loaded.push_to_hub("somebody/net")
    ((repository, files),) = uploads
    assert repository == "somebody/net"
    assert files.keys() >= {"config.json", "model.sws"}
    assert same(files["model.sws"], net)


def test_without_transformers() -> None:
    code = "import sys; sys.modules['transformers'] = None; import swsfmt.hf"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "pip install 'swsfmt[hf]'" in done.stderr.splitlines()[-1]
