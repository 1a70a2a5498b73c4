"""Small networks for the quantiser, made in the test: a program that makes one, folders as transformers writes them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import nn

PROGRAM = """
import torch

def make_model():
    torch.manual_seed(0)
    return torch.nn.Sequential(
        torch.nn.Linear(32, 64), torch.nn.ReLU(), torch.nn.Linear(64, 48), torch.nn.ReLU(), torch.nn.Linear(48, 10)
    )

def batches():
    random = torch.Generator().manual_seed(1)
    for _ in range(6):
        yield torch.randn(16, 32, generator=random)

def doubled(model, batch):
    return model(2 * batch)

def broken():
    raise KeyError("no weights here")

def no_model():
    return 3

def keywords(model, batch):
    return model(batch["x"])
"""

WORDS = "the a cat dog house river stone light green blue runs sees knows takes old new small great one two".split(" ")  # noqa: SIM905


def program(folder: Path) -> Path:
    """``net.py``, which makes a network of 32 inputs and 10 outputs."""
    path = folder / "net.py"
    path.write_text(PROGRAM)
    return path


def network() -> nn.Module:
    """That of `program`."""
    names: dict[str, Any] = {}
    exec(PROGRAM, names)
    made: nn.Module = names["make_model"]()
    return made


def text(words: int = 3000) -> str:
    """Lines of words."""
    chosen = torch.randint(len(WORDS), (words,), generator=torch.Generator().manual_seed(0)).tolist()
    return "\n".join(" ".join(WORDS[i] for i in chosen[start : start + 12]) for start in range(0, words, 12))


def folder_of_transformers(folder: Path, kind: str) -> Path:
    """A model with random weights and a tokenizer of words. kind : "llama", tied, or "bert" """
    import transformers
    from tokenizers import Tokenizer, models, pre_tokenizers, processors

    vocabulary = {word: i for i, word in enumerate(["[PAD]", "[UNK]", "[CLS]", "[SEP]", *WORDS])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    special: dict[str, str] = {"pad_token": "[PAD]", "unk_token": "[UNK]"}
    if kind == "bert":
        ends = [("[CLS]", 2), ("[SEP]", 3)]
        tokenizer.post_processor = processors.TemplateProcessing("[CLS] $A [SEP]", special_tokens=ends)
        special |= {"cls_token": "[CLS]", "sep_token": "[SEP]"}
    else:
        special |= {"bos_token": "[CLS]"}
    torch.manual_seed(0)
    sizes = {
        "vocab_size": len(vocabulary),
        "hidden_size": 32,
        "intermediate_size": 48,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "max_position_embeddings": 300,
    }
    model: Any
    if kind == "bert":
        model = transformers.BertModel(transformers.BertConfig(**sizes))
    else:
        model = transformers.LlamaForCausalLM(transformers.LlamaConfig(**sizes, tie_word_embeddings=True))
    path = folder / kind
    model.save_pretrained(path)
    transformers.PreTrainedTokenizerFast(tokenizer_object=tokenizer, **special).save_pretrained(path)
    return path
