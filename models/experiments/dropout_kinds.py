"""Inverted, plain and channel dropout."""
from models.experiments.fitting import Setting, accuracy, fit, open_images
from models.experiments.report import Experiment, Metric

PLAIN = Setting("small_cnn", {"widths": (16, 32), "hidden": 256}, lr=0.02)
OPTIONS = {
    "none": {},
    "inverted dropout": {"dropout": 0.5},
    "plain dropout": {"dropout": 0.5, "dropout_kind": "plain"},
    "channel dropout": {"channel_dropout": 0.1},
}


def run(settings, root, seed, arms):
    images = open_images(
        "mnist", root, seed=seed, count=settings["train_images"], test_count=settings["test_images"]
    )
    for arm in arms:
        setting = PLAIN.with_(epochs=settings["epochs"], options=OPTIONS[arm])
        fitted = fit(setting, images, seed)
        yield arm, {"test": accuracy(fitted.model, images.test), "training": accuracy(fitted.model, images.train)}


EXPERIMENT = Experiment(
    name="dropout",
    title="Dropout: inverted, plain, and of whole channels",
    claim="""
    dropout trains an ensemble of sub-networks at once; inverted dropout scales at training time, so that
    nothing has to be done at test time, and is otherwise the same.
    """,
    method="""
    A small convolutional network (two convolutions, two linear layers) learns from 1,000 MNIST digits, drawn
    anew for every seed. SGD with momentum 0.9, one-cycle learning rate up to 0.02, batches of 64.
    """,
    arms={
        "none": "no dropout",
        "inverted dropout": "nn.Dropout(0.5) between the linear layers",
        "plain dropout": "nn.PlainDropout(0.5) there: values are dropped at training and halved at test",
        "channel dropout": "nn.Dropout2d(0.1) after each pooling",
    },
    metrics={"test": Metric("test accuracy"), "training": Metric("training accuracy", better=0)},
    run=run,
    settings={"train_images": 1000, "test_images": 10000, "epochs": 30},
    baseline="none",
    seeds=5,
)
