"""The experiments: every one runs, what was measured is kept, and the tables say what the values say."""

import json
import math
import sys

import pytest

import minigrad
from models.__main__ import main
from models.experiments import EXPERIMENTS, cifar10, fitting, report, sparsity, transfer
from models.experiments.report import ABOVE, Experiment, Metric, Record

pytest.importorskip("PIL")
np = pytest.importorskip("numpy")

# Numbers so small that an experiment is over in a second or two.
TINY = {
    "train_images": 40, "test_images": 20, "epochs": 1, "source_images": 70, "source_epochs": 1,
    "validation_per_cent": 20, "few_images": 2, "more_images": 4,
}  # fmt: skip
PER_NAME = {"ensembles": {"epochs": 4}}


@pytest.fixture(scope="module")
def image_sets(tmp_path_factory):
    """MNIST and CIFAR-10 as small files: random images whose brightness tells the class."""
    from tests.vision.conftest import idx_bytes

    root = tmp_path_factory.mktemp("images")
    random = np.random.default_rng(0)
    (root / "mnist").mkdir()
    for prefix, count in (("train", 100), ("t10k", 30)):
        labels = np.arange(count, dtype=np.uint8) % 10
        images = (random.integers(0, 25, (count, 28, 28)) + 20 * labels[:, None, None]).astype(np.uint8)
        (root / "mnist" / f"{prefix}-images-idx3-ubyte").write_bytes(idx_bytes(images))
        (root / "mnist" / f"{prefix}-labels-idx1-ubyte").write_bytes(idx_bytes(labels))
    folder = root / "cifar-10-batches-bin"
    folder.mkdir()
    for name in [f"data_batch_{number}" for number in range(1, 6)] + ["test_batch"]:
        labels = np.arange(800 if name == "data_batch_1" else 100, dtype=np.uint8) % 10
        images = (random.integers(0, 25, (len(labels), 3072)) + 20 * labels[:, None]).astype(np.uint8)
        (folder / f"{name}.bin").write_bytes(np.column_stack([labels, images]).tobytes())
    fitting._test_images.cache_clear()
    transfer.taught.cache_clear()
    return root


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_every_experiment_runs_and_writes_its_page(name, image_sets, tmp_path, capsys):
    experiment = EXPERIMENTS[name]
    numbers = {key: PER_NAME.get(name, {}).get(key, TINY[key]) for key in experiment.settings if key in TINY}
    changes = [f"--set={key}={value}" for key, value in numbers.items()]
    out, docs = tmp_path / "out", tmp_path / "docs"
    arguments = ["experiments", name, "--root", str(image_sets), "--seeds", "1", "--out", str(out), "--docs", str(docs)]
    assert main(arguments + changes) == 0
    page = (docs / f"{name}.md").read_text()
    for arm in experiment.arms:
        assert f"\n| {arm} | " in page
        assert f"**{arm}**" in page
    assert "–" not in page.split("Per cent;")[0].split("| --- |")[1], "every arm has every value"
    assert f"python -m models experiments {name} --root PATH --seeds 1 --set" in page
    assert str(tmp_path) not in page
    measured = json.loads((out / f"{name}.json").read_text())["values"]
    assert set(measured) == set(experiment.arms)
    for values in measured.values():
        assert all(math.isfinite(value) for value in values["0"].values())
    capsys.readouterr()

    assert main(arguments + changes) == 0, "nothing is run again"
    assert "seed 0" not in capsys.readouterr().out


def counting_experiment(run, **fields):
    settings = {
        "name": "counting", "title": "Counting", "claim": "more is more.", "method": "Counting.",
        "arms": {"one": "1", "two": "2", "three": "3"}, "metrics": {"value": Metric("value")}, "run": run,
        "settings": {"step": 1}, "baseline": "one", **fields,
    }  # fmt: skip
    return Experiment(**settings)


def test_an_interrupted_experiment_goes_on_where_it_was(tmp_path):
    asked = []

    def run(settings, root, seed, arms):
        asked.append((seed, list(arms)))
        for arm in arms:
            if (seed, arm) == (1, "two") and len(asked) == 2:
                raise KeyboardInterrupt
            yield arm, {"value": float(seed)}

    experiment = counting_experiment(run)
    path = tmp_path / "values.json"
    said = []
    with pytest.raises(KeyboardInterrupt):
        record = Record(experiment, {"step": 1}, path)
        report.run(experiment, record, {"step": 1}, None, 3, lambda *a, **k: said.append(a))
    record = Record(experiment, {"step": 1}, path)
    report.run(experiment, record, {"step": 1}, None, 3, lambda *a, **k: said.append(a))
    assert asked[2:] == [(1, ["two", "three"]), (2, ["one", "two", "three"])]
    assert len(said) == 9
    assert Record(experiment, {"step": 2}, path).values == {}, "other settings are another experiment"


@pytest.mark.parametrize(
    ("values", "better", "said"),
    [
        ([5.0, 5.1, 4.9], 1, "better"),
        ([-5.0, -5.1, -4.9], 1, "worse"),
        ([-5.0, -5.1, -4.9], -1, "better"),
        ([-5.0, -5.1, -4.9], 0, "differs"),
        ([5.0, -5.0, 1.0], 1, "no difference shown"),
        ([0.0, 0.0, 0.0], 1, "no difference shown"),
    ],
)
def test_verdicts(values, better, said):
    assert report.verdict(report.mean_interval(values), Metric("", better)) == said


def test_the_table_compares_seed_by_seed(tmp_path):
    base = {0: 90.0, 1: 50.0, 2: 70.0}

    def run(settings, root, seed, arms):
        for arm in arms:
            yield arm, {"value": base[seed] + {"one": 0, "two": 2, "three": 3}[arm] + 0.01 * seed * (arm != "one")}

    for baseline, last in (("one", "+3.01 ± 0.02"), (ABOVE, "+1.00 ± 0.00")):
        experiment = counting_experiment(run, baseline=baseline)
        record = Record(experiment, {}, tmp_path / "values.json")
        report.run(experiment, record, {}, None, 3, lambda *a, **k: None)
        table = report.rows(experiment, record, 3)
        assert table[0] == ["", "value", f"value: against {baseline}", ""]
        assert table[1] == ["one", "70.00 ± 49.68", "", ""]
        assert table[2][2:] == ["+2.01 ± 0.02", "better"]
        assert table[3][2:] == [last, "better"]
        lines = report.text_table(table).splitlines()
        assert len(lines) == 5
        assert lines[0].index("value") == lines[2].index("70.00")


def test_arms_compared_with_different_ones(tmp_path):
    def run(settings, root, seed, arms):
        for arm in arms:
            yield arm, {"value": {"one": 1.0, "two": 2.0, "three": 4.5}[arm]}

    experiment = counting_experiment(run, baseline={"three": "two"})
    record = Record(experiment, {}, tmp_path / "values.json")
    report.run(experiment, record, {}, None, 2, lambda *a, **k: None)
    table = report.rows(experiment, record, 2)
    assert table[0][2] == "value: against …"
    assert [row[2:] for row in table[1:]] == [["", ""], ["", ""], ["two: +2.50 ± 0.00", "better"]]


def test_images_of_some_classes_are_renumbered_and_balanced(image_sets):
    images = fitting.open_images(
        "cifar10", str(image_sets), seed=3, count=30, test_count=12, classes=(7, 8, 9), augment="flip"
    )
    labels = [label for _, label in images.train]
    assert [labels.count(label) for label in range(3)] == [10, 10, 10]
    assert images.num_classes == 3
    assert images.test.tensors[1].tolist() == [0, 1, 2] * 4
    assert images.validation is None
    with pytest.raises(ValueError, match="only 354 training images, but 361"):
        fitting.open_images("cifar10", str(image_sets), seed=0, count=361, test_count=1, classes=(7, 8, 9))


def test_arms_of_a_seed_have_the_same_images_and_weights(image_sets):
    first, again, other = (
        fitting.open_images("mnist", str(image_sets), seed=seed, count=20, test_count=1) for seed in (1, 1, 2)
    )
    assert minigrad.equal(first.train.tensors[0], again.train.tensors[0])
    assert not minigrad.equal(first.train.tensors[0], other.train.tensors[0])
    setting = sparsity.PLAIN.with_(epochs=1)
    one, two = (fitting.fit(setting, first, 5).model.fc2.weight for _ in range(2))
    assert minigrad.equal(one, two)


def test_negligible_weights_are_dropped_and_counted():
    model = minigrad.nn.Linear(4, 5)
    with minigrad.no_grad():
        model.weight.fill_(0.5)
        model.weight[0, :] = 5e-4
    assert sparsity.drop_negligible(model) == 20.0
    assert model.weight[0].tolist() == [0.0] * 4
    assert model.weight[1:].min().item() == 0.5


def test_each_step_keeps_the_ones_above():
    last = cifar10.setting_of("+ dropout, stochastic depth")
    assert (last.weight_decay, last.augment, last.label_smoothing) == (5e-4, "shift+flip", 0.1)
    assert last.options["dropout"] == 0.1
    assert cifar10.setting_of("weight decay").augment == "none"


def test_the_mirror_image_counts_as_much_as_the_image():
    scores = minigrad.nn.Flatten()
    x = minigrad.tensor([[[[0.0, 4.0]]]])  # class 1, and mirrored class 0
    averaged = cifar10.WithMirrorImage(scores)(x).exp()
    assert averaged.tolist() == [[pytest.approx(0.5), pytest.approx(0.5)]]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nothing"], "no experiment 'nothing'; there are: regularizers"),
        (["dropout", "--set", "weeks=3"], "--set weeks: dropout has no such number, but train_images"),
        (["dropout", "--root", "nowhere"], "dataset not found. python -m models train --download downloads it"),
    ],
)
def test_mistakes_are_one_sentence(arguments, said, tmp_path, capsys):
    assert main(["experiments", *arguments, "--out", str(tmp_path)]) == 2
    message = capsys.readouterr().err
    assert message.startswith("error: ")
    assert message.count("\n") == 1
    assert said in message


@pytest.mark.parametrize("text", ["epochs", "epochs=0", "epochs=x", "=3"])
def test_a_number_that_is_none(text, capsys):
    with pytest.raises(SystemExit) as stopped:
        main(["experiments", "dropout", "--set", text])
    assert stopped.value.code == 2
    assert "--set" in capsys.readouterr().err


def test_too_many_images(image_sets, tmp_path, capsys):
    changes = ["--set", "train_images=2000", "--set", "epochs=1"]
    assert main(["experiments", "dropout", "--root", str(image_sets), "--out", str(tmp_path), *changes]) == 2
    assert "only 100 training images, but 2000 are wanted" in capsys.readouterr().err


def test_without_pillow_the_command_says_how_to_install_it(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "PIL.Image", None)  # which makes its import fail
    assert main(["experiments", "dropout", "--root", str(tmp_path), "--out", str(tmp_path / "out")]) == 2
    assert capsys.readouterr().err.startswith("error: pillow is needed here: pip install -e '.[demo]'")
    assert not (tmp_path / "out").exists()
