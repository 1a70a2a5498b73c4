"""The networks of the papers on this subject, and a small wide residual network."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, max_pool2d

from swsfmt import InputError


class TutorialNet(nn.Module):
    """Two strided convolutions, two linear layers, images of shape (1, 28, 28): 642,460 parameters for ten classes."""

    def __init__(self, num_classes: int = 10) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, 25, 5, stride=2)
        self.conv2 = nn.Conv2d(25, 50, 3, stride=2)
        self.fc1 = nn.Linear(1250, 500)
        self.fc2 = nn.Linear(500, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu(self.conv1(x))
        x = torch.relu(self.conv2(x))
        x = torch.relu(self.fc1(x.flatten(1)))
        logits: Tensor = self.fc2(x)
        return logits


class LeNet300100(nn.Module):
    """Two hidden layers (LeCun et al. 1998). inputs : numbers in an image; 266,610 parameters for 784, ten classes."""

    def __init__(self, num_classes: int = 10, inputs: int = 784) -> None:
        super().__init__()
        self.fc1 = nn.Linear(inputs, 300)
        self.fc2 = nn.Linear(300, 100)
        self.fc3 = nn.Linear(100, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu(self.fc1(x.flatten(1)))
        x = torch.relu(self.fc2(x))
        logits: Tensor = self.fc3(x)
        return logits


class LeNet5Caffe(nn.Module):
    """LeNet-5 as Caffe has it, for images of shape (1, 28, 28): 431,080 parameters, ten classes."""

    def __init__(self, num_classes: int = 10) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, 20, 5)
        self.conv2 = nn.Conv2d(20, 50, 5)
        self.fc1 = nn.Linear(800, 500)
        self.fc2 = nn.Linear(500, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        x = max_pool2d(torch.relu(self.conv1(x)), 2)
        x = max_pool2d(torch.relu(self.conv2(x)), 2)
        x = torch.relu(self.fc1(x.flatten(1)))
        logits: Tensor = self.fc2(x)
        return logits


class _Block(nn.Module):
    """Normalise, activate, convolve, twice (He et al. 2016, "Identity Mappings in Deep Residual Networks")."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.bn1 = nn.BatchNorm2d(inputs)
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.shortcut = None if inputs == outputs else nn.Conv2d(inputs, outputs, 1, stride, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        active = torch.relu(self.bn1(x))
        kept = x if self.shortcut is None else self.shortcut(active)
        total: Tensor = kept + self.conv2(torch.relu(self.bn2(self.conv1(active))))
        return total


class WideResNet(nn.Module):
    """WRN-16-4 (Zagoruyko & Komodakis 2016) without dropout, for images of shape (3, 32, 32): 2.7 M parameters."""

    def __init__(self, num_classes: int = 10, depth: int = 16, width: int = 4) -> None:
        super().__init__()
        if (depth - 4) % 6:
            raise InputError(f"a wide residual network of depth {depth} does not exist; depth is 6 n + 4")
        channels = [16, 16 * width, 32 * width, 64 * width]
        self.conv1 = nn.Conv2d(3, channels[0], 3, padding=1, bias=False)
        blocks = []
        for stage, (inputs, outputs) in enumerate(pairwise(channels)):
            for number in range((depth - 4) // 6):
                first = number == 0
                blocks.append(_Block(inputs if first else outputs, outputs, 2 if first and stage else 1))
        self.blocks = nn.Sequential(*blocks)
        self.bn = nn.BatchNorm2d(channels[-1])
        self.fc = nn.Linear(channels[-1], num_classes)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu(self.bn(self.blocks(self.conv1(x))))
        logits: Tensor = self.fc(avg_pool2d(x, x.shape[-1]).flatten(1))
        return logits


def _digits_net(num_classes: int) -> nn.Module:
    return LeNet300100(num_classes, inputs=64)


MODELS: dict[str, Callable[[int], nn.Module]] = {
    "tutorialnet": TutorialNet,
    "lenet_300_100": LeNet300100,
    "lenet5": LeNet5Caffe,
    "wrn_16_4": WideResNet,
    "digits_300_100": _digits_net,
}
"""By the names of the command line; digits_300_100 is LeNet300100 for images of 8 x 8."""


def make_model(name: str, num_classes: int = 10) -> nn.Module:
    """A new network of `MODELS`, with random weights. Raises `InputError` for another name."""
    if name not in MODELS:
        raise InputError(f"there is no model {name!r}; choose one of {', '.join(MODELS)}")
    return MODELS[name](num_classes)
