"""Datasets as tensors in memory, so that an epoch costs training and not loading.

Files are taken from `$SWS_DATA/<name>` where they are there, else from the network with pooch, checksums verified.
`digits` is part of scikit-learn and needs neither. Nothing is unpickled: CIFAR is read in its binary form.
"""

from __future__ import annotations

import gzip
import math
import os
import tarfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, TensorDataset

from swsfmt import InputError

Loader = DataLoader[Any]
BATCH_SIZE = 128
_EVALUATION_BATCH = 1000


class Split(NamedTuple):
    """images : float32 of shape (count, channels, height, width). labels : int64 of shape (count,)."""

    images: Tensor
    labels: Tensor


class Loaders(NamedTuple):
    """Batches of (images, labels). validation is None unless some of the training set was held out for it.

    divisor : the images are the pixels of the dataset divided by this
    """

    train: Loader
    validation: Loader | None
    test: Loader
    num_classes: int
    divisor: float


@dataclass(frozen=True)
class _Source:
    """url : the folder of the files. files : name -> checksum as pooch takes it. read : paths -> (train, test).

    largest : of the pixels; `read` divides by it
    """

    url: str
    files: dict[str, str]
    read: Callable[[list[Path]], tuple[Split, Split]]
    classes: int = 10
    largest: int = 255


def make_loaders(
    dataset: str = "digits",
    batch_size: int = BATCH_SIZE,
    num_workers: int = 0,
    *,
    seed: int | None = None,
    divisor: float | None = None,
) -> tuple[Loader, Loader, int]:
    """Batches of the training set in random order and of the test set, and the number of classes.

    dataset : digits, mnist, fashion-mnist, cifar10 or cifar100
    num_workers : taken for the sake of scripts that pass it; the images are in memory, nobody has to fetch them
    seed : of the order of the batches; None for the generator of torch
    divisor : of the pixels, e.g. 255; None for that of `load`
    Raises `InputError` for a name that is not known, and where a dataset is neither at hand nor to be had.
    """
    loaders = split_loaders(dataset, batch_size, validation=0, seed=seed, divisor=divisor)
    return loaders.train, loaders.test, loaders.num_classes


def split_loaders(
    dataset: str,
    batch_size: int = BATCH_SIZE,
    *,
    validation: int,
    seed: int | None = None,
    divisor: float | None = None,
) -> Loaders:
    """The same with the last `validation` images of the training set held out, to choose hyper-parameters on."""
    if batch_size < 1:
        raise InputError(f"a batch of {batch_size} images")
    train, test, divisor = _divided(dataset, divisor)
    if not 0 <= validation < len(train.labels):
        raise InputError(f"{validation} of {len(train.labels)} training images cannot be held out")
    kept = len(train.labels) - validation
    held_out = Split(train.images[kept:], train.labels[kept:])
    generator = None if seed is None else torch.Generator().manual_seed(seed)
    return Loaders(
        _batches(Split(train.images[:kept], train.labels[:kept]), batch_size, True, generator),
        _batches(held_out, _EVALUATION_BATCH, False) if validation else None,
        _batches(test, _EVALUATION_BATCH, False),
        DATASETS[dataset].classes,
        divisor,
    )


def load(dataset: str, divisor: float | None = None) -> tuple[Split, Split]:
    """Training set and test set, divided by the standard deviation of the training set, or the pixels by `divisor`.

    Nothing is subtracted: a pixel that is always black stays zero, and its weights can go. Raises as `make_loaders`.
    """
    train, test, _ = _divided(dataset, divisor)
    return train, test


def _divided(dataset: str, divisor: float | None) -> tuple[Split, Split, float]:
    """The same, and what the pixels are divided by."""
    if dataset not in DATASETS:
        raise InputError(f"there is no dataset {dataset!r}; choose one of {', '.join(DATASETS)}")
    source = DATASETS[dataset]
    train, test = source.read([_find(dataset, source, name) for name in source.files])
    scale = float(train.images.std()) if divisor is None else divisor / source.largest
    divided = [Split(split.images / scale, split.labels) for split in (train, test)]
    return divided[0], divided[1], scale * source.largest


class InMemory(TensorDataset):
    """Tensors of which a DataLoader takes a whole batch with one indexing."""

    def __getitems__(self, indices: list[int]) -> tuple[Tensor, ...]:
        batch: tuple[Tensor, ...] = self[indices]
        return batch


def number_of_examples(loader: Loader) -> int:
    """In the whole dataset of the loader."""
    dataset: Any = loader.dataset
    return len(dataset)


def _as_it_is(batch: Any) -> Any:
    return batch


def _batches(split: Split, batch_size: int, shuffle: bool, generator: torch.Generator | None = None) -> Loader:
    data = InMemory(split.images, split.labels)
    if not shuffle:
        # Or each pass would take a number from the generator of torch, and evaluation change what comes after it.
        generator = torch.Generator()
    return DataLoader(data, batch_size, shuffle, collate_fn=_as_it_is, generator=generator)


def _find(dataset: str, source: _Source, name: str) -> Path:
    folder = os.environ.get("SWS_DATA")
    local = Path(folder or Path(__file__).resolve().parents[2] / "shared" / "data") / dataset / name
    if local.is_file():
        return local
    import pooch

    try:
        return Path(
            pooch.retrieve(
                source.url + name, source.files[name], name, pooch.os_cache("swsfmt") / dataset, progressbar=False
            )
        )
    except (OSError, ValueError) as error:
        reason = str(error).splitlines()[0][:200]
        text = f"{name} is not in $SWS_DATA/{dataset} and cannot be fetched from {source.url} ({reason})"
        advice = f"; get it some other way, and set SWS_DATA to a folder that has {dataset}/{name}"
        raise InputError(text + advice, file=str(local) if folder else None) from error


# ---- the files -------------------------------------------------------------------------------------------------------


def _digits(_paths: list[Path]) -> tuple[Split, Split]:
    """1,797 images of 8 x 8; the last 360 are the test set."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    images = torch.from_numpy(digits.images / 16).float().unsqueeze(1)
    labels = torch.from_numpy(digits.target).long()
    return Split(images[:-360], labels[:-360]), Split(images[-360:], labels[-360:])


def _idx_split(paths: list[Path]) -> tuple[Split, Split]:
    images, labels, test_images, test_labels = [read_idx(path) for path in paths]
    return _split(images[:, None], labels), _split(test_images[:, None], test_labels)


def read_idx(path: Path) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """An array of bytes in the IDX format of MNIST, gzipped. Raises `InputError` for anything else."""
    try:
        data = gzip.decompress(path.read_bytes())
        if data[:3] != b"\0\0\x08":
            raise InputError("this is not an IDX file of bytes", file=str(path))
        rank = data[3]
        shape = np.frombuffer(data, ">u4", rank, 4).tolist()
        if len(data) != 4 + 4 * rank + math.prod(shape):
            raise InputError(f"the file does not hold {shape} bytes", file=str(path))
    except (OSError, EOFError, ValueError, IndexError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"the file is damaged: {error}", file=str(path)) from error
    return np.frombuffer(data, np.uint8, offset=4 + 4 * rank).reshape(shape)


def _cifar(train: list[str], test: str, label_bytes: int) -> Callable[[list[Path]], tuple[Split, Split]]:
    """Records of label bytes, of which the last is the class, and 3 x 32 x 32 bytes."""

    def read(paths: list[Path]) -> tuple[Split, Split]:
        try:
            with tarfile.open(paths[0]) as archive:
                parts = {Path(m.name).name: m for m in archive.getmembers()}
                splits = [
                    np.concatenate([_records(archive, parts[name], label_bytes) for name in names])
                    for names in (train, [test])
                ]
        except (OSError, EOFError, KeyError, ValueError, tarfile.TarError) as error:
            raise InputError(f"the archive is damaged: {error}", file=str(paths[0])) from error
        first, second = [_split(s[:, label_bytes:].reshape(-1, 3, 32, 32), s[:, label_bytes - 1]) for s in splits]
        return first, second

    return read


def _records(archive: tarfile.TarFile, member: tarfile.TarInfo, label_bytes: int) -> np.ndarray[Any, Any]:
    file = archive.extractfile(member)
    if file is None:
        raise ValueError(f"{member.name} is not a file")
    return np.frombuffer(file.read(), np.uint8).reshape(-1, label_bytes + 3072)


def _split(images: np.ndarray[Any, Any], labels: np.ndarray[Any, Any]) -> Split:
    return Split(torch.from_numpy(images.astype(np.float32) / 255), torch.from_numpy(labels.astype(np.int64)))


_IDX = [f"{part}-{kind}-ubyte.gz" for part in ("train", "t10k") for kind in ("images-idx3", "labels-idx1")]


def _idx_source(url: str, hashes: list[str]) -> _Source:
    return _Source(url, dict(zip(_IDX, (f"md5:{h}" for h in hashes), strict=True)), _idx_split)


# The checksums are those that the publishers give.
DATASETS = {
    "digits": _Source("", {}, _digits, largest=16),
    "mnist": _idx_source(
        "https://ossci-datasets.s3.amazonaws.com/mnist/",
        [
            "f68b3c2dcbeaaa9fbdd348bbdeb94873",
            "d53e105ee54ea40749a09fcbcd1e9432",
            "9fb629c4189551a2d022fa330f9573f3",
            "ec29112dd5afa0611ce80d1b7f02629c",
        ],
    ),
    "fashion-mnist": _idx_source(
        "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
        [
            "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
            "25c81989df183df01b3e8a0aad5dffbe",
            "bef4ecab320f06d8554ea6380940ec79",
            "bb300cfdad3c16e7a12a480ee83cd310",
        ],
    ),
    "cifar10": _Source(
        "https://www.cs.toronto.edu/~kriz/",
        {"cifar-10-binary.tar.gz": "md5:c32a1d4ab5d03f1284b67883e8d87530"},
        _cifar([f"data_batch_{i}.bin" for i in range(1, 6)], "test_batch.bin", 1),
    ),
    "cifar100": _Source(
        "https://www.cs.toronto.edu/~kriz/",
        {"cifar-100-binary.tar.gz": "md5:03b5dce01913d631647c71ecec9e9cb8"},
        _cifar(["train.bin"], "test.bin", 2),
        classes=100,
    ),
}
"""By the names of the command line."""
