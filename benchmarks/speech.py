"""Speech from texts, by Debian's espeak-ng, which is downloaded once and not installed; kept in the user's cache."""

from __future__ import annotations

import hashlib
import io
import os
import subprocess
import wave
from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from debian_packages import unpacked
from scipy.signal import resample_poly

CACHE = Path.home() / ".cache" / "swsfmt" / "speech"
PACKAGES = ("espeak-ng", "libespeak-ng1", "espeak-ng-data", "libpcaudio0", "libsonic0")
RATE = 16_000
VOICES_FOR_MEASURING = ("f2", "f4", "m2", "m4", "m6", "Andy", "linda", "boris")
VOICES_FOR_CALIBRATION = ("f1", "f3", "m1", "m3", "m5", "Annie", "belinda", "david")

Samples = npt.NDArray[np.float32]


def spoken(text: str, voice: str, pitch: int = 50) -> Samples:
    """A text in a voice, samples from -1 to 1 at RATE. pitch : from 0 to 99"""
    CACHE.mkdir(parents=True, exist_ok=True)
    name = hashlib.sha256(f"{voice} {pitch} {text}".encode()).hexdigest()[:20]
    path = CACHE / f"{name}.npy"
    if not path.is_file():
        library = next(_root().glob("usr/lib/*/espeak-ng-data")).parent
        command = [
            _root() / "usr/bin/espeak-ng",
            f"--path={library}",
            "-v",
            f"en+{voice}",
            "-p",
            str(pitch),
            "--stdout",
        ]
        environment = {**os.environ, "LD_LIBRARY_PATH": str(library)}
        done = subprocess.run([*command, text], env=environment, check=True, capture_output=True)
        with wave.open(io.BytesIO(done.stdout)) as file:
            rate = file.getframerate()
            samples = np.frombuffer(done.stdout[44:], "<i2").astype(np.float32) / 32768
        np.save(path, resample_poly(samples, RATE, rate).astype(np.float32))
    out: Samples = np.load(path)
    return out


def _root() -> Path:
    return unpacked(PACKAGES, CACHE, "espeak-ng")


def mel_spectrogram(samples: Samples, bands: int = 40, window: int = 400, hop: int = 160) -> torch.Tensor:
    """Power in bands of Slaney's mel scale, shape (frames, bands): what librosa computes with its defaults."""
    spectrum = torch.stft(
        torch.from_numpy(samples),
        window,
        hop,
        window=torch.hann_window(window),
        pad_mode="constant",
        return_complex=True,
    )
    return (_filters(bands, window) @ spectrum.abs().square()).T


@cache
def _filters(bands: int, window: int) -> torch.Tensor:
    """Triangles of equal area: linear below 1,000 Hz, above it 27 steps for each factor of 6.4."""
    linear, logarithm = 200 / 3, np.log(6.4) / 27

    def to_hertz(mel: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        return np.where(mel < 15, mel * linear, 1000 * np.exp(logarithm * (mel - 15)))

    highest = 15 + np.log(RATE / 2 / 1000) / logarithm
    edges = to_hertz(np.linspace(0, highest, bands + 2))
    frequencies = np.linspace(0, RATE / 2, window // 2 + 1)
    rising = (frequencies - edges[:-2, None]) / (edges[1:-1] - edges[:-2])[:, None]
    falling = (edges[2:, None] - frequencies) / (edges[2:] - edges[1:-1])[:, None]
    weights = np.maximum(0, np.minimum(rising, falling)) * (2 / (edges[2:] - edges[:-2]))[:, None]
    return torch.from_numpy(weights.astype(np.float32))
