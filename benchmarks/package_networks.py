"""Trained networks of packages, with inputs for measuring and others for calibration.

Each function gives a `Trained`, or None, with a line, where its package cannot be had. Networks are those of the
packages, written down here so that only the weights need be downloaded.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import speech
import texts
import torch
from package_models import CREPE_TINY, FACE_RNET, MINILM, MINILM_TOKENIZER, RESEMBLYZER, package_file
from torch import Tensor, nn
from torch.nn import functional

Batches = list[Any]


@dataclass(frozen=True)
class Trained:
    """original_bytes : of its weights, as float32. forward : (model, batch) -> outputs, one row an example

    measuring, calibration, choosing : give batches, and nothing is in two of them. Settings are chosen on the last,
        which are drawn from where calibration is
    """

    name: str
    model: nn.Module
    original_bytes: int
    forward: Callable[[nn.Module, Any], Tensor]
    measuring: Callable[[], Batches]
    calibration: Callable[[], Batches]
    choosing: Callable[[], Batches] = list


def _bytes(model: nn.Module) -> int:
    return sum(tensor.numel() * tensor.element_size() for tensor in model.state_dict().values())


# ---- a text encoder --------------------------------------------------------------------------------------------------


def minilm(sentences: int = 140, calibration: int = 340) -> Trained | None:
    """all-MiniLM-L6-v2: sentences to unit vectors of 384. So many sentences of each of three kinds."""
    weights, vocabulary = package_file(*MINILM), package_file(*MINILM_TOKENIZER)
    if weights is None or vocabulary is None:
        return None
    from safetensors.torch import load_file
    from tokenizers import Tokenizer
    from transformers import BertConfig, BertModel

    sizes = {"hidden_size": 384, "num_hidden_layers": 6, "num_attention_heads": 12, "intermediate_size": 1536}
    model = BertModel(BertConfig(**sizes)).eval()
    model.load_state_dict({name: t for name, t in load_file(weights).items() if "position_ids" not in name})
    tokenizer = Tokenizer.from_file(str(vocabulary))
    tokenizer.enable_truncation(128)
    tokenizer.enable_padding()
    encoded = partial(_encoded, tokenizer)
    return Trained(
        "all-MiniLM-L6-v2",
        model,
        _bytes(model),
        sentence_embeddings,
        lambda: encoded(texts.evaluation(sentences)),
        lambda: encoded(texts.calibration(calibration)),
        lambda: encoded(texts.others(calibration)),
    )


def _encoded(tokenizer: Any, sentences: list[str], size: int = 16) -> Batches:
    batches = []
    # Short ones together: less padding.
    ordered = sorted(sentences, key=len)
    for start in range(0, len(ordered), size):
        lines = tokenizer.encode_batch(ordered[start : start + size])
        ids, mask = (torch.tensor([getattr(line, part) for line in lines]) for part in ("ids", "attention_mask"))
        batches.append({"input_ids": ids, "attention_mask": mask})
    return batches


def sentence_embeddings(model: nn.Module, batch: dict[str, Tensor]) -> Tensor:
    """The mean over the tokens, as a unit vector."""
    states = model(**batch).last_hidden_state
    mask = batch["attention_mask"][..., None].to(states.dtype)
    return functional.normalize((states * mask).sum(1) / mask.sum(1))


# ---- pitch of audio --------------------------------------------------------------------------------------------------


class CrepeTiny(nn.Module):
    """Frames of 1,024 samples at 16 kHz to 360 bins of pitch, 20 cents each (torchcrepe, capacity "tiny")."""

    def __init__(self) -> None:
        super().__init__()
        widths = [1, 128, 16, 16, 16, 32, 64]
        for number in range(1, 7):
            kernel, stride = ((512, 1), (4, 1)) if number == 1 else ((64, 1), (1, 1))
            setattr(self, f"conv{number}", nn.Conv2d(widths[number - 1], widths[number], kernel, stride))
            setattr(self, f"conv{number}_BN", nn.BatchNorm2d(widths[number], eps=0.0010000000474974513, momentum=0.0))
        self.classifier = nn.Linear(256, 360)

    def forward(self, frames: Tensor) -> Tensor:
        x = frames[:, None, :, None]
        for number in range(1, 7):
            x = functional.pad(x, (0, 0, 254, 254) if number == 1 else (0, 0, 31, 32))
            x = functional.relu(getattr(self, f"conv{number}")(x))
            x = functional.max_pool2d(getattr(self, f"conv{number}_BN")(x), (2, 1), (2, 1))
        return torch.sigmoid(self.classifier(x.permute(0, 2, 1, 3).reshape(-1, 256)))


def crepe_tiny() -> Trained | None:
    weights = package_file(*CREPE_TINY)
    if weights is None:
        return None
    model = CrepeTiny().eval()
    model.load_state_dict(torch.load(weights, weights_only=True))
    return Trained(
        "CREPE tiny",
        model,
        _bytes(model),
        lambda network, batch: network(batch),
        lambda: _frames(texts.evaluation(8), speech.VOICES_FOR_MEASURING, 0),
        lambda: _frames(texts.calibration(8), speech.VOICES_FOR_CALIBRATION, 1),
        lambda: _frames(texts.others(8)[:24], speech.VOICES_FOR_CALIBRATION, 2),
    )


def _frames(sentences: list[str], voices: tuple[str, ...], seed: int, size: int = 64) -> Batches:
    """Frames of speech, and of tones with harmonics over six octaves, each with mean 0 and deviation 1."""
    rng = np.random.default_rng(seed)
    frames = []
    for number, sentence in enumerate(sentences):
        samples = speech.spoken(sentence, voices[number % len(voices)], int(rng.integers(20, 80)))
        starts = np.arange(2000, len(samples) - 1024, 1600)
        frames += [samples[start : start + 1024] for start in starts if samples[start : start + 1024].std() > 0.02]
    time = np.arange(1024) / speech.RATE
    for _ in range(len(frames) // 2):
        pitch = 32.7 * 2 ** rng.uniform(0.5, 5.8)
        harmonics = np.arange(1, 1 + min(12, int(7000 / pitch)))
        strengths = rng.uniform(0.2, 1, len(harmonics)) / harmonics ** rng.uniform(0.5, 1.5)
        phases = rng.uniform(0, 2 * np.pi, len(harmonics))
        tone = (strengths[:, None] * np.sin(2 * np.pi * pitch * harmonics[:, None] * time + phases[:, None])).sum(0)
        frames.append((tone + rng.normal(0, 0.02, 1024) * np.abs(tone).max()).astype(np.float32))
    whole = torch.from_numpy(np.stack(frames)).float()
    whole = (whole - whole.mean(1, keepdim=True)) / whole.std(1, keepdim=True)
    return list(whole[torch.from_numpy(rng.permutation(len(whole)))].split(size))


def cents(bins: Tensor) -> Tensor:
    """The pitch of each row of 360 bins: their weighted mean around the greatest one, as torchcrepe decodes."""
    places = bins.argmax(1, keepdim=True) + torch.arange(-4, 5)
    inside = (places >= 0) & (places < bins.shape[1])
    weights = bins.gather(1, places.clamp(0, bins.shape[1] - 1)) * inside
    return (weights * (20 * places + 1997.3794084376191)).sum(1) / weights.sum(1)


# ---- faces -----------------------------------------------------------------------------------------------------------


class FaceRNet(nn.Module):
    """Pictures of 24 x 24 to whether it is a face and where its box is (facenet-pytorch, MTCNN's second network)."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.prelu1 = nn.Conv2d(3, 28, 3), nn.PReLU(28)
        self.conv2, self.prelu2 = nn.Conv2d(28, 48, 3), nn.PReLU(48)
        self.conv3, self.prelu3 = nn.Conv2d(48, 64, 2), nn.PReLU(64)
        self.dense4, self.prelu4 = nn.Linear(576, 128), nn.PReLU(128)
        self.dense5_1, self.dense5_2 = nn.Linear(128, 2), nn.Linear(128, 4)

    def forward(self, x: Tensor) -> Tensor:
        """The logits of the two classes and the four numbers of the box, side by side."""
        x = functional.max_pool2d(self.prelu1(self.conv1(x)), 3, 2, ceil_mode=True)
        x = functional.max_pool2d(self.prelu2(self.conv2(x)), 3, 2, ceil_mode=True)
        x = self.prelu3(self.conv3(x)).permute(0, 3, 2, 1).flatten(1)
        x = self.prelu4(self.dense4(x))
        return torch.cat([self.dense5_1(x), self.dense5_2(x)], 1)


def face_rnet() -> Trained | None:
    weights = package_file(*FACE_RNET)
    if weights is None:
        return None
    model = FaceRNet().eval()
    model.load_state_dict(torch.load(weights, weights_only=True))
    return Trained(
        "facenet R-Net",
        model,
        _bytes(model),
        lambda network, batch: network(batch),
        lambda: _crops(slice(320, 640), 0),
        lambda: _crops(slice(0, 320), 1),
        lambda: _crops(slice(0, 320), 2),
    )


def _crops(columns: slice, seed: int, count: int = 1024, size: int = 64) -> Batches:
    """Pieces of scikit-learn's two photographs, from these columns of them, of all sizes, scaled to 24 x 24."""
    from sklearn.datasets import load_sample_images

    rng = np.random.default_rng(seed)
    pictures = [
        torch.from_numpy(image[:, columns].copy()).permute(2, 0, 1).float() for image in load_sample_images().images
    ]
    crops = []
    for number in range(count):
        picture = pictures[number % len(pictures)]
        side = int(24 * 2 ** rng.uniform(0, 3.5))
        top, left = (int(rng.integers(0, length - side + 1)) for length in picture.shape[1:])
        piece = picture[:, top : top + side, left : left + side]
        crops.append((functional.interpolate(piece[None], (24, 24), mode="area")[0] - 127.5) / 128)
    return list(torch.stack(crops).split(size))


# ---- voices ----------------------------------------------------------------------------------------------------------


class VoiceEncoder(nn.Module):
    """Mel spectrograms of 1.6 s to unit vectors of 256 that tell the speaker (resemblyzer)."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(40, 256, 3, batch_first=True)
        self.linear = nn.Linear(256, 256)

    def forward(self, mels: Tensor) -> Tensor:
        _, (hidden, _) = self.lstm(mels)
        return functional.normalize(functional.relu(self.linear(hidden[-1])))


def voice_encoder() -> Trained | None:
    weights = package_file(*RESEMBLYZER)
    if weights is None:
        return None
    model = VoiceEncoder().eval()
    state = torch.load(weights, map_location="cpu", weights_only=True)["model_state"]
    model.load_state_dict({name: tensor for name, tensor in state.items() if not name.startswith("similarity")})
    return Trained(
        "resemblyzer",
        model,
        _bytes(model),
        lambda network, batch: network(batch),
        lambda: _spectrograms(texts.evaluation(24, seed=1), speech.VOICES_FOR_MEASURING, 0),
        lambda: _spectrograms(texts.calibration(24, seed=1), speech.VOICES_FOR_CALIBRATION, 1),
        lambda: _spectrograms(texts.others(24, seed=1)[:72], speech.VOICES_FOR_CALIBRATION, 2),
    )


def _spectrograms(sentences: list[str], voices: tuple[str, ...], seed: int, size: int = 16) -> Batches:
    """160 frames each, of speech at -30 dB as the package has it."""
    rng = np.random.default_rng(seed)
    out = []
    for number, sentence in enumerate(sentences):
        samples = speech.spoken(sentence, voices[number % len(voices)], int(rng.integers(20, 80)))
        samples = samples * np.float32(10 ** (-30 / 20) / max(1e-4, float(np.sqrt(np.mean(samples**2)))))
        mels = speech.mel_spectrogram(samples)
        out += [mels[start : start + 160] for start in range(0, len(mels) - 160, 160)]
    return list(torch.stack(out).split(size))
