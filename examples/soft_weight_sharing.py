"""Soft weight-sharing from a trained network to a file: `python examples/soft_weight_sharing.py [DATASET [MODEL]]`.

By default on scikit-learn's digits, which need no download, in some seconds; `mnist lenet_300_100` takes some minutes.
"""

from __future__ import annotations

import sys

import swsfmt
import swsfmt.torch
from sws.data import make_loaders
from sws.models import make_model
from sws.prior import init_mixture
from sws.train import evaluate, retrain_soft_weight_sharing, train_standard
from sws.utils import get_device, set_seed


def main(dataset: str = "digits", model_name: str = "digits_300_100", file: str = "model.sws") -> tuple[float, float]:
    """Train, retrain, quantise, write; the accuracy of the trained network, and of the one in the file."""
    set_seed(0)
    device = get_device()
    train_loader, test_loader, classes = make_loaders(dataset, batch_size=64)
    model = make_model(model_name, classes).to(device)
    dense = train_standard(model, train_loader, test_loader, device, epochs=10, eval_every=0)

    prior = init_mixture(model, J=16)  # 15 Gaussians and one at zero, as wide as the weights of this network
    retrain_soft_weight_sharing(model, prior, train_loader, test_loader, device, epochs=10)
    prior.quantize_model(model)  # every weight takes the mean of its component; warns where that costs accuracy
    swsfmt.torch.save_model(model, file, {"data": dataset, "model": model_name})

    swsfmt.torch.load_model(model, file)
    quantised = evaluate(model, test_loader, device)
    report = swsfmt.inspect(file)
    print(f"accuracy {dense:.1%} before, {quantised:.1%} in the file: {report.file_bytes:,} bytes, {report.ratio:.1f}x")
    return dense, quantised


if __name__ == "__main__":
    main(*sys.argv[1:])
