"""Dropout, augmentation, weight decay and stochastic depth, each against none."""
from models.experiments.fitting import Setting, accuracy, fit, open_images
from models.experiments.report import Experiment, Metric

PLAIN = Setting("small_resnet", {"widths": (16, 32, 64, 64), "blocks": 2}, batch_size=32, lr=0.05)
CHANGES = {
    "none": {},
    "dropout": {"options": {"dropout": 0.5}},
    "weight decay": {"weight_decay": 2e-3},
    "stochastic depth": {"options": {"stochastic_depth_prob": 0.3}},
    "augmentation": {"augment": "shift+flip"},
    "all four": {
        "options": {"dropout": 0.2, "stochastic_depth_prob": 0.1},
        "weight_decay": 2e-3,
        "augment": "shift+flip",
    },
}


def run(settings, root, seed, arms):
    for arm in arms:
        setting = PLAIN.with_(epochs=settings["epochs"], **CHANGES[arm])
        images = open_images(
            "cifar10", root, seed=seed, count=settings["train_images"], test_count=settings["test_images"],
            augment=setting.augment,
        )
        fitted = fit(setting, images, seed)
        yield arm, {
            "test": accuracy(fitted.model, images.test),
            "training": accuracy(fitted.model, images.train),
            "loss": fitted.history[-1]["train_loss"],
        }


EXPERIMENT = Experiment(
    name="regularizers",
    title="Regularizers: what each one adds alone",
    claim="""
    weight decay, dropout, data augmentation and stochastic depth keep a network from learning its training set
    by heart, so that it does better on images it has not seen.
    """,
    method="""
    A residual network (six blocks, 0.3 M parameters) learns from 2,000 CIFAR-10 images, class-balanced
    and drawn anew for every seed; all arms of a seed have the same images and the same initial weights. SGD
    with momentum 0.9, one-cycle learning rate up to 0.05, batches of 32.
    """,
    arms={
        "none": "no regularizer but batch normalization",
        "dropout": "probability 0.5 before the last layer",
        "weight decay": "2e-3 on all parameters",
        "stochastic depth": "drop probability 0.3 at the last block, linearly growing from the first",
        "augmentation": "random shift by up to 3 pixels and horizontal flip",
        "all four": "the four together, dropout 0.2 and stochastic depth 0.1",
    },
    metrics={
        "test": Metric("test accuracy"),
        "training": Metric("training accuracy", better=0),
        "loss": Metric("last training loss", better=0, digits=3),
    },
    run=run,
    settings={"train_images": 2000, "test_images": 10000, "epochs": 16},
    baseline="none",
    seeds=3,
    remarks="""
    The training accuracy is that of the finished network on training images (augmented where it learned from
    augmented ones).
    """,
)
