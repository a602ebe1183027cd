"""Transfer: what was learned on some classes helps with few images of others."""
import copy
import functools

from minigrad.recipes import freeze, replace_head
from models.experiments.fitting import Setting, accuracy, fit, open_images
from models.experiments.report import Experiment, Metric

SOURCE, TARGET = (0, 1, 2, 3, 4, 5, 6), (7, 8, 9)  # airplane … frog; horse, ship, truck
NETWORK = {"widths": (16, 32, 64, 128)}
TEACHER = Setting("small_resnet", NETWORK, lr=0.1, weight_decay=5e-4, augment="shift+flip")
LEARNER = Setting("small_resnet", NETWORK, batch_size=16, lr=0.02, weight_decay=5e-4, augment="shift+flip")
# Arm: (starts from the source's weights, names of what is frozen)
ARMS = {
    "scratch": (False, ()),
    "last layer only": (True, ("conv1", "bn1", "blocks")),
    "upper layers": (True, ("conv1", "bn1", "blocks.0")),
    "all layers": (True, ()),
}


@functools.lru_cache(maxsize=1)
def taught(root, epochs, count):
    """The network that has learned the source classes."""
    images = open_images(
        "cifar10", root, seed=0, count=count, test_count=1, classes=SOURCE, augment=TEACHER.augment
    )
    return fit(TEACHER.with_(epochs=epochs), images, 0).model


def run(settings, root, seed, arms):
    for arm in arms:
        measured = {}
        for name in ("few", "more"):
            each = settings[f"{name}_images"]
            images = open_images(
                "cifar10", root, seed=seed, count=each * len(TARGET), classes=TARGET, augment=LEARNER.augment,
                test_count=settings["test_images"],
            )
            epochs = settings["epochs"] if name == "few" else max(1, settings["epochs"] // 2)
            measured[name] = learned(arm, images, settings, epochs, root, seed)
        yield arm, measured


def learned(arm, images, settings, epochs, root, seed):
    transferred, frozen = ARMS[arm]
    setting = LEARNER.with_(epochs=epochs)
    if not transferred:
        return accuracy(fit(setting, images, seed).model, images.test)
    model = copy.deepcopy(taught(root, settings["source_epochs"], settings["source_images"]))
    replace_head(model, images.num_classes)
    if frozen:
        freeze(model, frozen)
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    return accuracy(fit(setting, images, seed, model=model, parameters=parameters).model, images.test)


EXPERIMENT = Experiment(
    name="transfer",
    title="Transfer against training from scratch",
    claim="""
    with a small data set, take a network trained on a large one, freeze everything and train a new last layer;
    with a larger one, freeze the lower layers and train the upper ones.
    """,
    method="""
    A residual network learns seven classes of CIFAR-10 (airplane to frog) once; then the other three (horse,
    ship, truck) are learned from 20 or 200 images of each, drawn anew for every seed, and tested on their 3,000
    test images. Shifts and flips in all arms, SGD with momentum 0.9, one-cycle learning rate up to 0.02,
    batches of 16.
    """,
    arms={
        "scratch": "random initial weights, everything is trained",
        "last layer only": "everything but a new last layer is frozen",
        "upper layers": "the first convolution and the first block are frozen, the rest is trained",
        "all layers": "everything is trained from the transferred weights",
    },
    metrics={"few": Metric("few images"), "more": Metric("more images")},
    run=run,
    settings={
        "source_images": 13930,
        "source_epochs": 8,
        "few_images": 20,
        "more_images": 200,
        "epochs": 30,
        "test_images": 3000,
    },
    baseline="scratch",
    seeds=5,
    remarks="""
    The network that is transferred is the same in all seeds; the intervals are those of drawing other images
    and initial weights. few_images and more_images
    are per class; the latter are trained on for half as many epochs.
    """,
)
