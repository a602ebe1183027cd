"""Whole modules in files: what weights_only=False reads, and that nothing else a file names is made or called."""

import argparse
import functools
import io
import os
import pickle
import struct
import types
import weakref

import pytest

import minigrad as mg
from tests.serialization.zipped import zipped

nn = mg.nn
CALLED = []


class Block(nn.Module):
    def __init__(self, act=nn.functional.relu, norm=nn.BatchNorm2d):
        super().__init__()
        CALLED.append("init")
        self.conv = nn.Conv2d(1, 2, 3)
        self.norm_layer, self.act = norm, act
        self.norm = norm(2)
        self.sizes = frozenset([1, 2])
        self.register_buffer("steps", mg.zeros(1))

    def forward(self, x):
        return self.act(self.norm(self.conv(x)))

    class Inner(nn.Module):
        pass


class WithSetState(nn.Module):
    def __setstate__(self, state):
        CALLED.append("setstate")
        super().__setstate__(state)


class WithNew(nn.Module):
    def __new__(cls, *args):
        CALLED.append("new")
        return super().__new__(cls)


class WithDel(nn.Module):
    def __del__(self):
        CALLED.append("del")


class WithHash(nn.Module):
    def __hash__(self):
        CALLED.append("hash")
        return 1

    def __eq__(self, other):
        CALLED.append("eq")
        return True


class WithReduce(nn.Module):
    def __reduce__(self):
        return os.system, ("touch minigrad_was_here",)


class Config:
    def __init__(self):
        self.width = 3


def saved(value, **options):
    file = io.BytesIO()
    mg.save(value, file, **options)
    return io.BytesIO(file.getvalue())


def load(file, weights_only=False):
    return mg.load(file, weights_only=weights_only)


@pytest.fixture(autouse=True)
def nothing_called():
    CALLED.clear()


@pytest.mark.parametrize("zipped", [True, False])
def test_a_module_comes_back_without_its_init(zipped):
    model = nn.Sequential(Block(mg.relu), Block.Inner(), nn.GRU(2, 3), nn.TransformerEncoderLayer(4, 2)).eval()
    file = saved({"model": model, "args": argparse.Namespace(lr=1)}, _use_new_zipfile_serialization=zipped)
    CALLED.clear()
    found = load(file)
    assert CALLED == [] and found["args"].lr == 1
    model2 = found["model"]
    assert [type(m) for m in model2.modules()] == [type(m) for m in model.modules()] and not model2.training
    assert model2.state_dict().keys() == model.state_dict().keys()
    assert model2[0].norm_layer is nn.BatchNorm2d and model2[0].act == nn.functional.relu
    x = mg.randn(1, 1, 5, 5)
    assert mg.equal(model[0](x), model2[0](x))
    x = mg.randn(4, 2, 2)
    assert mg.equal(model[2](x)[0], model2[2](x)[0]) and "_flat_weights" not in vars(model2[2])
    model2.train().double().requires_grad_(False)


def test_optimizers_and_schedules_go_on_with_the_parameters_of_the_file():
    model = nn.Linear(2, 2)
    optimizer = mg.optim.Adam(model.parameters())
    schedule = mg.optim.lr_scheduler.StepLR(optimizer, 1)
    for _ in range(2):
        if _:
            model, optimizer, schedule = load(saved((model, optimizer, schedule)))
        optimizer.zero_grad()
        model(mg.ones(1, 2)).sum().backward()
        optimizer.step()
    assert optimizer.param_groups[0]["params"][0] is model.weight and schedule.optimizer is optimizer
    assert float(optimizer.state[model.weight]["step"]) == 2


def test_the_default_refuses_by_name_and_safe_globals_allows():
    file = saved(Block())
    with pytest.raises(pickle.UnpicklingError, match=r"Weights only load failed.*\.Block.*safe_globals\(\[Bl"):
        mg.load(file)
    file.seek(0)
    names = [Block, nn.Conv2d, nn.BatchNorm2d, nn.functional.relu, frozenset]
    with mg.serialization.safe_globals(names):
        assert type(mg.load(file)) is Block
    assert mg.serialization.get_unsafe_globals_in_checkpoint(saved(nn.ReLU())) == [
        "torch.nn.modules.activation.ReLU"
    ]


@pytest.mark.parametrize(
    "value, name",
    [(Config(), "test_whole.Config"), (WithReduce(), "posix.system|nt.system"), ({"f": print}, "builtins.print"),
     (functools.partial(int, base=2), "functools.partial"), ({"m": Block().forward}, "builtins.getattr"),
     ([Config], "test_whole.Config"), (mg.save, "minigrad.serialization")],
)  # fmt: skip
def test_what_is_written_but_not_read(value, name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for weights_only in (True, False):
        with pytest.raises(pickle.UnpicklingError, match=f"Unsupported global.*({name})|getattr"):
            load(saved(value), weights_only)
    assert os.listdir(tmp_path) == []


def test_allowed_classes_are_read_with_modules():
    model = Block()
    model.config = Config()
    with mg.serialization.safe_globals([Config]):
        assert load(saved(model)).config.width == 3


@pytest.mark.parametrize("cls, word", [(WithSetState, "__setstate__"), (WithDel, "__del__")])
def test_methods_that_a_file_could_call_are_refused(cls, word):
    model = cls()
    file = saved(model)
    with pytest.raises(pickle.UnpicklingError, match=f"{cls.__name__} has .*{word}"):
        load(file)
    assert CALLED == []
    file.seek(0)
    with mg.serialization.safe_globals([cls]):
        assert type(mg.load(file)) is cls


def test_new_is_not_called():
    file = saved(WithNew())
    CALLED.clear()
    assert type(load(file)) is WithNew and CALLED == []


def test_a_module_with_a_hash_of_its_own_is_no_key():
    for value in ({WithHash(): 1}, {WithHash()}, {(WithHash(), 1): 1}):
        file = saved(value)
        CALLED.clear()
        with pytest.raises(pickle.UnpicklingError, match="WithHash as a key|module in a key"):
            load(file)
        assert CALLED == []


# ---------------------------------------------------------------------- files that nobody saved
def text(value):
    return b"X" + struct.pack("<I", len(value)) + value.encode()


def named(cls):
    return f"c{cls.__module__}\n{cls.__qualname__}\n".encode()


COMMAND = text("touch minigrad_was_here")
LINEAR = b"ctorch.nn.modules.linear\nLinear\n"
RELU = b"ctorch.nn.functional\nrelu\n"
GETATTR = b"c__builtin__\ngetattr\nctorch._C\n_VariableFunctionsClass\n"
ATTACKS = {
    "a call of a class": LINEAR + b"K\x01K\x01\x86R",
    "a call of a user's class": named(Block) + b")R",
    "new with arguments": named(WithNew) + b"K\x01\x85\x81",
    "a call of a function": RELU + b"N\x85R",
    "new of a function": RELU + b")\x81",
    "getattr of a module": b"c__builtin__\ngetattr\n" + LINEAR + text("__init__") + b"\x86R",
    "getattr of a private name": GETATTR + text("_sys") + b"\x86R",
    "getattr of functional's imports": GETATTR + text("importlib") + b"\x86R",
    "a function that is no mathematics": b"ctorch\nload\n",
    "hub": b"ctorch.hub\nload\n",
    "a module": b"ctorch\nnn\n",
    "through a class to its module": named(Block)[:-1] + b".__module__\n",
    "through a class to a method": named(Block)[:-1] + b".forward\n",
    "through a module to another": b"cminigrad.serialization.files\nos.system\n",
    "a class that is imported but no module": b"csubprocess\nPopen\n",
    "a private class of minigrad": b"ctorch.nn.modules.conv\n_ConvNd\n",
    "a class by another path": b"ctorch.nn.modules.loss\nLinear\n",
    "partial": b"cfunctools\npartial\ncposix\nsystem\n" + COMMAND + b"\x86R",
    "eval": b"cbuiltins\neval\n" + text("1") + b"\x85R",
    "a state that is no dict": LINEAR + b")\x81]b",
    "slots": LINEAR + b")\x81}}" + text("training") + b"Ns\x86b",
    "attributes that are no names": LINEAR + b")\x81}K\x01Nsb",
    "parameters that are none": LINEAR + b")\x81}" + text("_parameters") + b"}" + text("weight") + b"K\x01ssb",
    "modules that are none": LINEAR + b")\x81}" + text("_modules") + b"}" + text("0") + RELU + b"ssb",
    "the state of a class": LINEAR + b"}" + text("forward") + RELU + b"sb",
    "the state of a function": RELU + b"}" + text("__wrapped__") + b"Nsb",
    "a group of modules in an optimizer": b"ctorch.optim.sgd\nSGD\n)\x81}" + text("state") + b"K\x01sb",
    "a program's class in the old way": b"(" + text("module") + b"cos\nsystem\n" + text("f") + text("src") + b"tQ",
}  # fmt: skip


@pytest.mark.parametrize("name", ATTACKS)
def test_attacks(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    file = io.BytesIO(zipped({"archive/data.pkl": b"\x80\x02" + ATTACKS[name] + b".", "archive/version": b"3\n"}))
    with pytest.raises(pickle.UnpicklingError, match="Unsupported global|not allowed|damaged"):
        load(file)
    assert os.listdir(tmp_path) == [] and CALLED == [] and nn.Linear.forward is not nn.functional.relu
    assert getattr(nn.functional.relu, "__wrapped__", 0) is not None


def test_names_that_are_looked_up_run_nothing(monkeypatch):
    class Lazy(types.ModuleType):
        def __getattr__(self, name):
            CALLED.append(name)
            return Block

    monkeypatch.setitem(__import__("sys").modules, "lazy_module_of_a_test", Lazy("lazy_module_of_a_test"))
    data = b"\x80\x02clazy_module_of_a_test\nBlock\n)\x81."
    with pytest.raises(pickle.UnpicklingError, match="Unsupported global"):
        load(io.BytesIO(zipped({"archive/data.pkl": data, "archive/version": b"3\n"})))
    assert CALLED == []


def test_many_modules_are_counted():
    data = b"\x80\x02](" + LINEAR + b"q\x000" + b"h\x00)\x81" * 5000 + b"e."
    with pytest.raises(pickle.UnpicklingError, match="far more"):
        load(io.BytesIO(zipped({"archive/data.pkl": data, "archive/version": b"3\n"})))


# ---------------------------------------------------------------------- jit
def test_scripted_modules_save_themselves(tmp_path):
    model = nn.Sequential(nn.Linear(2, 2), nn.ReLU())
    assert not hasattr(model, "save")
    script = mg.jit.script(model)
    script.save(tmp_path / "m.pt")
    found = mg.jit.load(tmp_path / "m.pt", map_location="cpu")
    assert mg.equal(found(mg.ones(1, 2)), model(mg.ones(1, 2)))
    found.save(str(tmp_path / "n.pt"))
    mg.jit.save(mg.jit.trace(nn.ReLU(), mg.ones(1)), tmp_path / "o.pt")
    assert isinstance(mg.jit.load(tmp_path / "o.pt"), nn.ReLU)
    with pytest.raises(RuntimeError, match="_extra_files are not"):
        mg.jit.save(found, io.BytesIO(), {"a": ""})
    with pytest.raises(RuntimeError, match="_extra_files are not"):
        mg.jit.load(io.BytesIO(), None, {"a": ""})
    gone = weakref.ref(script)
    del model, script
    import gc

    gc.collect()
    assert gone() is None
