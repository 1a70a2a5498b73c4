"""Train the demo checkpoint: `python scripts/make_demo_checkpoint.py [--out FOLDER]`.

A small convolutional net for scikit-learn's `load_digits` (1797 8x8 images of handwritten digits, the test
part of the UCI set "Optical Recognition of Handwritten Digits"; it ships inside the package, nothing is
downloaded) is

1. trained dense, with weight decay, on images moved by up to one pixel;
2. pruned by global magnitude, gradually (the cubic schedule of Zhu and Gupta, 2017);
3. quantised: 1-D k-means puts the non-zero weights of all layers on one codebook of 16 values, which is then
   fine-tuned with mask and assignments fixed, and rounded to float16-exact values.

The biases stay float32 and unquantised. The sparsity is chosen on the validation split: of `SPARSITIES`, the
highest whose quantised model is at most `TOLERANCE` below the dense one. The other settings come from ten
trials by hand, also on the validation split. The test set is measured after all choices.

Written are `digits_cnn.pt`, a plain `state_dict` of float32 tensors, and `digits_cnn.json`, the measurements.
On one machine two runs give the same tensors; another processor or PyTorch version may round otherwise and so
give others. Needs torch and scikit-learn.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import sklearn
import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.functional import cross_entropy, max_pool2d, pad, relu

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"
SEED = 0
SPARSITIES = (0.90, 0.925, 0.95)
TOLERANCE = 0.01
CODEBOOK_SIZE = 16
BATCH = 32
WEIGHT_DECAY = 0.2
DENSE_EPOCHS, PRUNE_EPOCHS, CODEBOOK_EPOCHS = 60, 100, 15
DENSE_RATE, PRUNE_RATE, CODEBOOK_RATE = 2e-3, 2e-3, 2e-4
PRUNE_RAMP = 0.6  # the part of the pruning epochs in which the sparsity still rises

Tensors = dict[str, Tensor]


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, 16, 3, padding=1)
        self.conv2 = nn.Conv2d(16, 32, 3, padding=1)
        self.fc1 = nn.Linear(512, 48)
        self.fc2 = nn.Linear(48, 10)

    def forward(self, images: Tensor) -> Tensor:
        features = max_pool2d(relu(self.conv2(relu(self.conv1(images)))), 2)
        logits: Tensor = self.fc2(relu(self.fc1(features.flatten(1))))
        return logits


@dataclass(frozen=True)
class Split:
    images: Tensor  # scaled to 0 … 1
    digits: Tensor

    def accuracy(self, state: Tensors) -> float:
        """The share of the images that the net with these tensors gets right."""
        with torch.no_grad():
            right = functional_call(Net(), state, self.images).argmax(1) == self.digits
        return round(int(right.sum()) / len(right), 4)


def load_splits() -> dict[str, Split]:
    """60, 20 and 20 % of the images, each with the same share of every digit."""
    images, digits = load_digits(return_X_y=True)
    images = (images / 16).astype(np.float32).reshape(-1, 1, 8, 8)
    rest, test = train_test_split(np.arange(len(digits)), test_size=0.2, stratify=digits, random_state=SEED)
    train, validation = train_test_split(rest, test_size=0.25, stratify=digits[rest], random_state=SEED)
    parts = {"train": train, "validation": validation, "test": test}
    x, y = torch.from_numpy(images), torch.from_numpy(digits)
    return {name: Split(x[indices], y[indices]) for name, indices in parts.items()}


def only(kind: str, state: Tensors) -> Tensors:
    """The tensors whose name ends in `kind`: "weight" or "bias"."""
    return {name: tensor for name, tensor in state.items() if name.endswith(kind)}


def copy(state: Tensors, trained: bool = False) -> Tensors:
    return {name: tensor.detach().clone().requires_grad_(trained) for name, tensor in state.items()}


def fit(
    state: Callable[[], Tensors],
    groups: list[dict[str, object]],
    train: Split,
    epochs: int,
    rate: float,
    after_step: Callable[[int, int], None] = lambda epoch, step: None,
) -> None:
    """Train the parameters in `groups`, of which `state` makes the tensors of the net."""
    net = Net()
    optimizer = torch.optim.AdamW(groups, lr=rate, weight_decay=0.0)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs)
    random = torch.Generator().manual_seed(SEED)
    for epoch in range(epochs):
        order = torch.randperm(len(train.digits), generator=random)
        for step, batch in enumerate(torch.split(order, BATCH)):
            y, x = torch.randint(0, 3, (2,), generator=random).tolist()  # this batch is moved so
            images = pad(train.images[batch], (1, 1, 1, 1))[:, :, y : y + 8, x : x + 8]
            loss = cross_entropy(functional_call(net, state(), images), train.digits[batch])
            optimizer.zero_grad()
            torch.autograd.backward(loss)
            optimizer.step()
            after_step(epoch, step)
        schedule.step()


def train_weights(start: Tensors, sparsity: float, train: Split, epochs: int, rate: float) -> Tensors:
    """Train the net from `start` on and zero, epoch by epoch, the share `sparsity` of the weights."""
    state = copy(start, trained=True)
    weights = only("weight", state)
    masks = {name: torch.ones_like(weight, dtype=torch.bool) for name, weight in weights.items()}

    @torch.no_grad()
    def after_step(epoch: int, step: int) -> None:
        share = sparsity * (1 - (1 - min(1.0, (epoch + 1) / (PRUNE_RAMP * epochs))) ** 3)
        if step == 0 and share > 0:  # a new threshold; what was masked counts as zero, so it stays masked
            sizes = {name: torch.where(masks[name], weight.abs(), 0.0) for name, weight in weights.items()}
            everything = torch.cat([size.flatten() for size in sizes.values()])
            threshold = everything.kthvalue(round(share * len(everything))).values
            masks.update({name: size > threshold for name, size in sizes.items()})
        for name, weight in weights.items():
            weight.copy_(torch.where(masks[name], weight, 0.0))

    decayed: dict[str, object] = {"params": list(weights.values()), "weight_decay": WEIGHT_DECAY}
    others: dict[str, object] = {"params": list(only("bias", state).values())}
    fit(lambda: state, [decayed, others], train, epochs, rate, after_step)
    return copy(state)


def k_means(values: np.ndarray, count: int) -> np.ndarray:
    """The centres, ascending, of Lloyd's algorithm in one dimension, started from quantiles."""
    centres: np.ndarray = np.quantile(values, (np.arange(count) + 0.5) / count)
    while True:
        nearest = np.searchsorted((centres[1:] + centres[:-1]) / 2, values)
        moved = np.array([values[nearest == k].mean() if k in nearest else centres[k] for k in range(count)])
        if (moved == centres).all():
            return centres
        centres = moved


def quantise(pruned: Tensors, train: Split) -> Tensors:
    """The net with its non-zero weights on one codebook."""
    flat = torch.cat([tensor.flatten() for tensor in only("weight", pruned).values()])
    centres = torch.from_numpy(k_means(flat[flat != 0].double().numpy(), CODEBOOK_SIZE)).float()
    edges = (centres[1:] + centres[:-1]) / 2
    symbols = {  # 0 for a zero, k + 1 for value k
        name: torch.where(tensor == 0, 0, torch.bucketize(tensor, edges) + 1)
        for name, tensor in only("weight", pruned).items()
    }
    codebook = centres.clone().requires_grad_()
    biases = copy(only("bias", pruned), trained=True)

    def state() -> Tensors:
        table = torch.cat([torch.zeros(1), codebook])
        return {name: table[symbols[name]] if name in symbols else biases[name] for name in pruned}

    fit(state, [{"params": [codebook, *biases.values()]}], train, CODEBOOK_EPOCHS, CODEBOOK_RATE)
    codebook.data = codebook.data.half().float()
    assert len({0.0, *codebook.tolist()}) == CODEBOOK_SIZE + 1, "two values of the codebook fell together"
    return copy(state())


def main() -> None:
    parser = argparse.ArgumentParser(description="Train the demo checkpoint.")
    parser.add_argument("--out", type=Path, default=EXAMPLES, help="folder to write to (default: examples/)")
    out: Path = parser.parse_args().out
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    splits = load_splits()
    train, validation = splits["train"], splits["validation"]

    torch.manual_seed(SEED)
    dense = train_weights(Net().state_dict(), 0.0, train, DENSE_EPOCHS, DENSE_RATE)
    pruned = {share: train_weights(dense, share, train, PRUNE_EPOCHS, PRUNE_RATE) for share in SPARSITIES}
    quantised = {share: quantise(state, train) for share, state in pruned.items()}
    tried = {share: validation.accuracy(state) for share, state in quantised.items()}
    enough = validation.accuracy(dense) - TOLERANCE
    chosen = max(share for share, accuracy in tried.items() if accuracy >= enough)

    out.mkdir(parents=True, exist_ok=True)
    torch.save(quantised[chosen], out / "digits_cnn.pt")
    saved: Tensors = torch.load(out / "digits_cnn.pt", weights_only=True)  # measure what is shipped
    stages = {"dense": dense, "pruned": pruned[chosen], "quantised": saved}
    weights = only("weight", saved)
    values = torch.cat([weight.flatten() for weight in weights.values()])
    measured = {
        "data": "sklearn.datasets.load_digits",
        "seed": SEED,
        "torch": str(torch.__version__),
        "scikit_learn": sklearn.__version__,
        "images": {name: len(split.digits) for name, split in splits.items()},
        "dense_parameters": sum(tensor.numel() for tensor in saved.values()),
        "weights": len(values),
        "nonzero_weights": int(values.count_nonzero()),
        "nonzero_by_tensor": {name: int(tensor.count_nonzero()) for name, tensor in saved.items()},
        "codebook": np.unique(values[values != 0].numpy()).tolist(),
        "sparsity": chosen,
        "sparsities_tried": [{"sparsity": key, "validation_accuracy": value} for key, value in tried.items()],
        "accuracy": {
            name: {stage: splits[name].accuracy(state) for stage, state in stages.items()}
            for name in ("validation", "test")
        },
    }
    text = json.dumps(measured, indent=2) + "\n"
    (out / "digits_cnn.json").write_text(text, encoding="utf-8", newline="\n")
    print(text, end="")


if __name__ == "__main__":
    main()
