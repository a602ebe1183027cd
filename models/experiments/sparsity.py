"""L1 makes weights sparse, L2 makes them small."""
import minigrad
from minigrad import nn
from models.experiments.fitting import Setting, accuracy, fit, open_images
from models.experiments.report import Experiment, Metric

PLAIN = Setting("small_cnn", {"widths": (16, 32), "hidden": 128}, optimizer="adam", lr=2e-3, schedule="linear")
NEGLIGIBLE = 1e-3  # weights below this count as zero
PENALTIES = {"none": (None, 0.0), "L2": (nn.utils.l2_penalty, 2e-4), "L1": (nn.utils.l1_penalty, 2e-4)}


def weights(model):
    return nn.utils.select_parameters(model, weights_only=True)


def penalty_of(arm):
    function, strength = PENALTIES[arm]
    return None if function is None else lambda model: strength * function(weights(model))


@minigrad.no_grad()
def drop_negligible(model):
    """Set the weights below NEGLIGIBLE to zero; returns per cent of all weights."""
    zeros = total = 0
    for weight in weights(model):
        small = weight.abs() < NEGLIGIBLE
        weight.masked_fill_(small, 0.0)
        zeros += small.sum().item()
        total += weight.numel()
    return 100 * zeros / total


def run(settings, root, seed, arms):
    images = open_images(
        "mnist", root, seed=seed, count=settings["train_images"], test_count=settings["test_images"]
    )
    for arm in arms:
        setting = PLAIN.with_(epochs=settings["epochs"], penalty=penalty_of(arm))
        model = fit(setting, images, seed).model
        measured = {"test": accuracy(model, images.test), "zero": drop_negligible(model)}
        measured["pruned"] = accuracy(model, images.test)
        yield arm, measured


EXPERIMENT = Experiment(
    name="sparsity",
    title="L1 against L2: sparse against small weights",
    claim="""
    L2, the sum of W², gives “a dense, distributed representation”; L1, the sum of |W|, “a sparse
    representation, few non-zero weights”.
    """,
    method="""
    A small convolutional network (two convolutions, two linear layers, 206,000 weights) learns from a few
    thousand MNIST digits, drawn anew for every seed, with the penalty added to the cross-entropy. Adam,
    learning rate 2e-3 falling linearly to 0, batches of 64. A weight below 1e-3 counts as zero; the last column
    tests the network after these have really been set to zero.
    """,
    arms={"none": "no penalty", "L2": "2e-4 · Σ W²", "L1": "2e-4 · Σ |W|"},
    metrics={
        "zero": Metric("weights that are zero", better=0),
        "test": Metric("test accuracy"),
        "pruned": Metric("test accuracy without them"),
    },
    run=run,
    settings={"train_images": 2000, "test_images": 10000, "epochs": 20},
    baseline="L2",
    seeds=5,
)
