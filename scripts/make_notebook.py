"""Write examples/tutorial.ipynb and run it, so that its outputs are real: `python scripts/make_notebook.py`."""

from __future__ import annotations

from pathlib import Path

import nbformat
from nbclient import NotebookClient

OUTPUT = Path(__file__).resolve().parents[1] / "examples" / "tutorial.ipynb"

# Text cells begin with #, the others are code.
CELLS = [
    """# From a trained network to a file of a few kilobytes

This notebook takes a small network through soft weight-sharing (Ullrich, Meeds & Welling, ICLR 2017): its weights are
trained under a prior, a mixture of Gaussians, which is learned at the same time. One component sits at zero and
collects most weights; the others collect the rest around a few values. Then every weight takes the mean of its
component, and the network is written to a `.sws` file. What the file has in bytes is the result, nothing else.

The images are scikit-learn's handwritten digits, 8 x 8 pixels, which need no download. With `dataset="mnist"` and the
model `tutorialnet` the same cells work on MNIST; only the numbers of epochs would be larger.""",
    """import copy

import swsfmt
import swsfmt.torch
from sws.compress import compression_report
from sws.data import make_loaders
from sws.models import make_model
from sws.prior import init_mixture
from sws.train import evaluate, retrain_soft_weight_sharing, train_standard
from sws.utils import collect_weight_params, get_device, set_seed
from sws.viz import (
    TrainingGifVisualizer,
    plot_comparison_histograms,
    plot_layer_bytes,
    plot_mixture_components,
    plot_weight_scatter,
)

set_seed(0)
device = get_device()
train_loader, test_loader, num_classes = make_loaders("digits", batch_size=64)
model = make_model("digits_300_100", num_classes).to(device)
print(f"{len(train_loader.dataset)} training images, {sum(p.numel() for p in model.parameters()):,} parameters")""",
    """## 1. Train as usual

Nothing special: cross-entropy, Adam, a little weight decay.""",
    """accuracy = train_standard(
    model, train_loader, test_loader, device, epochs=20, lr=1e-3, wd=1e-4, schedule="cosine", eval_every=0
)
pretrained = [w.cpu().clone() for w in collect_weight_params(model)]
print(f"test accuracy {accuracy:.2%}")
print(f"as a .sws file: {len(swsfmt.torch.save(model.state_dict())):,} bytes; nothing in it is shared yet")""",
    """## 2. Retrain under a mixture prior

`J` Gaussians, the first with mean zero and nearly all of the mass. The loss is the cross-entropy plus `tau / N` times
minus the log-density of all weights. Two things are added to the paper's recipe here: the zero component is narrowed
step by step, and from a third of the epochs on the network is trained with the weights that quantisation would give it,
so that quantising at the end costs it nothing.""",
    """prior = init_mixture(model, J=9, pi0=0.99, init_sigma=0.05, device=device)
watch = TrainingGifVisualizer(out_dir="tutorial_files", tag="retraining", framerate=4, cleanup_frames=True)
accuracy = retrain_soft_weight_sharing(
    model,
    prior,
    train_loader,
    test_loader,
    device,
    epochs=30,
    lr_w=2e-3,
    tau=0.01,
    tau_warmup_epochs=9,
    schedule="cosine",
    sigma_zero_end=0.015,
    quantize_from=0.3,
    eval_every=5,
    run_dir="tutorial_files",
    viz=watch,
)
print(f"animation: {watch.path}")""",
    """# The mixture that was learned, on a log scale, and where the weights went: from the diagonal, where they would
be had they not moved, into bands around the means.""",
    """plot_mixture_components(prior)""",
    """retrained = [w.cpu().clone() for w in collect_weight_params(model)]
plot_weight_scatter(pretrained, retrained)""",
    """## 3. Quantise

Every weight takes the mean of the component that most probably made it. Biases stay as they are.""",
    """assignment = prior.quantize_model(model, assign="map")
quantised = [w.cpu().clone() for w in collect_weight_params(model)]
print(f"test accuracy {evaluate(model, test_loader, device):.2%}")
for name, ids in assignment.ids.items():
    print(f"{name}: {ids.ne(0).float().mean():.1%} of {ids.numel():,} weights are not zero")""",
    """plot_comparison_histograms(pretrained, retrained, quantised)""",
    """## 4. The file

`compression_report` writes the file and counts its bits, layer by layer; beside it stands the estimate that papers
usually report, which is of the weights alone and of entropies in place of codes.""",
    """report = compression_report(model, prior, "digits")
print(f"{report['orig_bits'] // 8:,} dense bytes / {report['compressed_bits'] // 8:,} bytes = {report['CR']:.1f}x")
print(f"the customary estimate would say {report['estimate_CR']:.1f}x")
for layer in report["layers"]:
    bits = sum(layer[part] for part in ("bits_IR", "bits_IC", "bits_A", "bits_codebook", "bits_record"))
    print(f"{layer['layer']:4} {layer['shape']!s:12} {layer['orig_bits'] // 8:>8,} -> {bits / 8:8,.0f} bytes")""",
    """swsfmt.torch.save_model(model, "tutorial_files/model.sws")
plot_layer_bytes(swsfmt.inspect("tutorial_files/model.sws"))""",
    """# The biases are a large part of such a small file: they are float32. `sws.shrink` lets them share the codebook,
removes neurons that nobody reads, and sorts the others so that their connections take fewer bits. Here without
pruning:""",
    """from sws.shrink import Pruning, Quantization, Settings, compress_network

settings = Settings(Pruning(sparsity=0.0, epochs=0), Quantization(values=8, epochs=5, learning_rate=3e-5))
small = compress_network(copy.deepcopy(model), train_loader, settings, device=device)
swsfmt.torch.save_model(small, "tutorial_files/small.sws")
found = swsfmt.inspect("tutorial_files/small.sws")
print(f"{found.file_bytes:,} bytes, {found.ratio:.1f}x, test accuracy {evaluate(small, test_loader, device):.2%}")""",
    """## 5. Verify, and use it

`verify` checks every checksum and decodes everything. Loading gives back the very same weights, bit for bit.""",
    """print(f"{swsfmt.verify('tutorial_files/small.sws').ratio:.2f}x, whole")

network = make_model("digits_300_100", num_classes)
swsfmt.torch.load_model(network, "tutorial_files/small.sws")
assert all(a.equal(b.cpu()) for a, b in zip(network.state_dict().values(), small.state_dict().values(), strict=True))

images, labels = test_loader.dataset[:10]
print("seen:", network.eval()(images).argmax(1).tolist())
print("true:", labels.tolist())""",
]


def notebook() -> nbformat.NotebookNode:
    """The notebook without outputs."""
    made = nbformat.v4.new_notebook()
    for number, text in enumerate(CELLS):
        text_cell = text.startswith("#")
        cell = nbformat.v4.new_markdown_cell if text_cell else nbformat.v4.new_code_cell
        # A paragraph in the middle is not a heading.
        source = text.removeprefix("# ") if text_cell and number else text
        made.cells.append(cell(source, id=f"cell-{number:02}"))
    made.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    return made


def main() -> None:
    made = notebook()
    folder = OUTPUT.parent
    NotebookClient(made, timeout=600, resources={"metadata": {"path": str(folder)}}).execute()
    for cell in made.cells:
        cell.metadata.pop("execution", None)
    nbformat.write(made, OUTPUT)


if __name__ == "__main__":
    main()
