"""An ensemble of seven networks, seven snapshots of one run, and a moving average of the weights."""
import minigrad
from minigrad.recipes import Ensemble, Snapshots
from models.experiments.fitting import Setting, accuracy, fit, open_images
from models.experiments.report import Experiment, Metric

MEMBERS = 7
PLAIN = Setting("small_cnn", {"dropout": 0.3}, lr=0.03, weight_decay=5e-4, augment="flip", ema=0.99)


def run(settings, root, seed, arms):
    images = open_images(
        "cifar10", root, seed=seed, count=settings["train_images"], test_count=settings["test_images"],
        augment=PLAIN.augment,
    )
    if {"single", "ensemble", "constant rate", "Polyak"} & set(arms):
        yield from members(settings, images, seed, arms)
    if "snapshots" in arms or "one of the snapshots" in arms:
        yield from snapshots(settings, images, seed, arms)


def members(settings, images, seed, arms):
    setting = PLAIN.with_(epochs=settings["epochs"])
    models = [fit(setting.with_(ema=0.0), images, MEMBERS * seed + member).model for member in range(MEMBERS)]
    singles = [accuracy(model, images.test) for model in models]
    if "single" in arms:
        yield "single", {"test": sum(singles) / MEMBERS}
    if "ensemble" in arms:
        yield "ensemble", {"test": accuracy(Ensemble(models), images.test)}
    constant = setting.with_(schedule="constant", lr=settings["constant_lr_thousandths"] / 1000)
    fitted = fit(constant, images, MEMBERS * seed)
    if "constant rate" in arms:
        yield "constant rate", {"test": accuracy(fitted.model, images.test)}
    if "Polyak" in arms:
        yield "Polyak", {"test": accuracy(fitted.averaged, images.test)}


def snapshots(settings, images, seed, arms):
    """One run as long as two of the members', whose learning rate falls to zero seven times."""
    epochs = 2 * settings["epochs"]
    cycle = epochs / MEMBERS
    setting = PLAIN.with_(epochs=epochs, schedule="restarts", schedule_options={"cycle": cycle}, ema=0.0)
    taken = None

    def keep(epoch, model):
        nonlocal taken
        taken = Snapshots(model) if taken is None else taken
        if int(epoch / cycle + 1e-9) > int((epoch - 1) / cycle + 1e-9):
            taken.take()

    fit(setting, images, MEMBERS * seed, after_epoch=keep)
    minigrad.manual_seed(seed)
    if "one of the snapshots" in arms:
        yield "one of the snapshots", {"test": accuracy(taken.ensemble(last=1), images.test)}
    if "snapshots" in arms:
        yield "snapshots", {"test": accuracy(taken.ensemble(), images.test)}


EXPERIMENT = Experiment(
    name="ensembles",
    title="Ensembles, snapshots and Polyak averaging",
    claim="""
    several models averaged are “about 2 %” better than one; several snapshots of one run do it for the price of
    one; a moving average of the weights, used at test time, is an improvement too.
    """,
    method="""
    A small convolutional network learns from a few thousand CIFAR-10 images (flipped at random), drawn anew for
    every seed. SGD with momentum 0.9, weight decay 5e-4, dropout 0.3, one-cycle learning rate up to 0.03,
    batches of 64.
    """,
    arms={
        "single": f"one network: the mean accuracy of the {MEMBERS} that make the ensemble",
        "ensemble": f"the averaged probabilities of {MEMBERS} networks that differ in their seeds",
        "one of the snapshots": "the last snapshot of one run whose learning rate falls to zero seven times",
        "snapshots": f"the averaged probabilities of that run's {MEMBERS} snapshots; it is as long as two single ones",
        "constant rate": "one network at a constant learning rate, as Polyak averaging is meant for",
        "Polyak": "the same run's moving average of the weights (decay 0.99 per step)",
    },
    metrics={"test": Metric("test accuracy")},
    run=run,
    settings={"train_images": 3000, "test_images": 10000, "epochs": 14, "constant_lr_thousandths": 10},
    baseline={"ensemble": "single", "snapshots": "one of the snapshots", "Polyak": "constant rate"},
    seeds=3,
)
