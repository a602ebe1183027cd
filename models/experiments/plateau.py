"""AlexNet's schedule: the learning rate is divided by ten when the validation accuracy does not improve."""
from models.experiments.fitting import Setting, accuracy, fit, open_images
from models.experiments.report import Experiment, Metric

PLAIN = Setting("small_cnn", {"widths": (16, 32), "dropout": 0.5}, batch_size=128, lr=1e-2, weight_decay=5e-4)
CHANGES = {
    "constant": {"schedule": "constant"},
    "plateau ÷ 10": {"schedule": "plateau", "schedule_options": {"patience": 8}},
    "one cycle": {"schedule": "onecycle", "lr": 3e-2},
}


def run(settings, root, seed, arms):
    images = open_images(
        "mnist", root, seed=seed, count=settings["train_images"], validation=settings["validation_per_cent"] / 100,
        test_count=settings["test_images"],
    )
    for arm in arms:
        fitted = fit(PLAIN.with_(epochs=settings["epochs"], **CHANGES[arm]), images, seed)
        rates = [entry["rate"] for entry in fitted.history]
        cuts = sum(after < 0.5 * before for before, after in zip(rates, rates[1:])) if arm != "one cycle" else 0
        yield arm, {"test": accuracy(fitted.model, images.test), "cuts": cuts}


EXPERIMENT = Experiment(
    name="plateau",
    title="The learning rate of AlexNet: divided by ten at each plateau",
    claim="""
    AlexNet was trained by SGD with momentum 0.9, batches of 128, dropout 0.5, weight decay 5e-4 and a learning
    rate of 1e-2, “divided by 10 when validation accuracy plateaus”.
    """,
    method="""
    That recipe on a small convolutional network and 2,000 MNIST digits, drawn anew for every seed, as are the
    1,200 others that the schedule looks at.
    """,
    arms={
        "constant": "1e-2 all the time",
        "plateau ÷ 10": "1e-2, divided by ten when the validation accuracy has not risen for more than eight epochs",
        "one cycle": "for comparison: up to 3e-2 and down to zero in one cycle",
    },
    metrics={"test": Metric("test accuracy"), "cuts": Metric("times divided", better=0, digits=1)},
    run=run,
    settings={"train_images": 2000, "validation_per_cent": 2, "test_images": 10000, "epochs": 60},
    baseline="constant",
    seeds=5,
)
