"""minigrad.fx records forward() as a graph, which is changed and run again."""

import pytest

import minigrad as mg
from minigrad import fx, nn
from minigrad.nn import functional as F


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(3, 4), nn.ReLU())
        self.scale = nn.Parameter(mg.full((4,), 2.0))
        self.register_buffer("shift", mg.ones(4))

    def forward(self, x, power=2):
        y = self.body(x) * self.scale + self.shift
        y = mg.cat([F.softmax(y, dim=-1), 2 - y.relu()], 1) ** power
        return {"y": y.view(-1, 2)[:, :1], "rows": y.shape[0], "scaled": self.scale * y[:, :4]}


@pytest.fixture
def traced():
    return fx.symbolic_trace(Net())


def test_nodes_are_pytorchs(traced):
    steps = [(node.op, node.name) for node in traced.graph.nodes]
    assert steps == [
        ("placeholder", "x"), ("placeholder", "power"), ("call_module", "body_0"), ("call_module", "body_1"),
        ("get_attr", "scale"), ("call_function", "mul"), ("get_attr", "shift"), ("call_function", "add"),
        ("call_function", "softmax"), ("call_method", "relu"), ("call_function", "sub"), ("call_function", "cat"),
        ("call_function", "pow_1"), ("call_method", "view"), ("call_function", "getitem"),
        ("call_function", "getattr_1"), ("call_function", "getitem_1"), ("call_function", "getitem_2"),
        ("call_function", "mul_1"), ("output", "output"),
    ]  # fmt: skip
    scale = traced.graph.find_nodes(op="get_attr", target="scale")[0]
    assert [user.name for user in scale.users] == ["mul", "mul_1"]


@pytest.mark.parametrize("arguments", [{}, {"power": 3}])
def test_a_traced_module_computes_the_same(arguments):
    net = Net()
    traced = fx.symbolic_trace(net)
    x = mg.arange(6.0).reshape(2, 3) / 5
    mine, theirs = traced(x, **arguments), net(x, **arguments)
    assert mg.equal(mine["y"], theirs["y"]) and mine["rows"] == 2 and mg.equal(mine["scaled"], theirs["scaled"])
    assert traced.state_dict().keys() == net.state_dict().keys() and traced.scale is net.scale
    mine["y"].sum().backward()
    assert net.body[0].weight.grad is not None


def test_a_graph_is_changed():
    traced = fx.symbolic_trace(lambda x, y: mg.add(x, y) + x)
    for node in traced.graph.nodes:
        if node.target == mg.add:
            with traced.graph.inserting_after(node):
                new = traced.graph.call_function(mg.mul, node.args, node.kwargs)
            node.replace_all_uses_with(new)
            with pytest.raises(RuntimeError, match="still had 1 users"):
                traced.graph.erase_node(new)
            traced.graph.erase_node(node)
    traced.recompile()
    assert traced(mg.tensor(3.0), mg.tensor(4.0)).item() == 15
    unused = traced.graph.nodes[0]
    with traced.graph.inserting_before(traced.graph.nodes[-1]):
        traced.graph.call_method("neg", (unused,))
    assert traced.graph.eliminate_dead_code() and not traced.graph.eliminate_dead_code()


def test_interpreters_see_every_value(traced):
    class Shapes(fx.Interpreter):
        def run_node(self, n):
            value = super().run_node(n)
            n.meta["shape"] = getattr(value, "shape", None)
            return value

    Shapes(traced).run(mg.ones(5, 3))
    assert [node.meta["shape"] for node in traced.graph.find_nodes(op="call_module")] == [(5, 4), (5, 4)]


def test_what_no_graph_can_hold():
    with pytest.raises(fx.TraceError, match="control flow"):
        fx.symbolic_trace(lambda x: x if x.sum() > 0 else -x)
    with pytest.raises(fx.TraceError, match="iterated"):
        fx.symbolic_trace(lambda x: tuple(x))
    assert nn.Linear(2, 2)(mg.ones(1, 2)).shape == (1, 2)  # tracing that failed leaves modules as they were
    with pytest.raises(RuntimeError, match="one was not passed"):
        fx.symbolic_trace(lambda x: x + 1)()
    with pytest.raises(TypeError, match="unexpected"):
        fx.symbolic_trace(lambda x: x + 1)(mg.ones(1), z=2)


def test_graphs_by_hand_and_as_text(capsys):
    graph = fx.Graph()
    x = graph.placeholder("x")
    graph.output(graph.call_function(mg.neg, (x,)))
    graph.lint()
    assert fx.GraphModule(nn.Module(), graph)(mg.ones(2)).tolist() == [-1, -1]
    graph.print_tabular()
    assert "call_function" in capsys.readouterr().out
    assert "%x : [num_users=1] = placeholder[target=x]" in str(graph) and "return neg" in str(graph)
    traced = fx.symbolic_trace(lambda x, flag: x + 1 if flag else x, concrete_args={"flag": True})
    assert [node.name for node in traced.graph.nodes] == ["x", "add", "output"]


def test_too_many_arguments_are_refused():
    traced = mg.fx.symbolic_trace(lambda x: x + 1)
    with pytest.raises(TypeError, match="takes 1 positional arguments but 2 were given"):
        traced(mg.ones(2), mg.ones(2))


@fx.wrap
def _by_values(x):
    return x if x.sum() > 0 else -x


fx.wrap("len")


def test_wrapped_functions_are_nodes_and_stay_as_they_were():
    before = _by_values
    traced = fx.symbolic_trace(lambda x: _by_values(x) * len(x))
    assert [node.name for node in traced.graph.nodes] == ["x", "by_values", "len_1", "mul", "output"]
    assert traced(mg.tensor([1.0, -3.0])).tolist() == [-2.0, 6.0]
    assert _by_values is before and "len" not in globals()
    with pytest.raises(NotImplementedError, match="top level"):
        fx.wrap("abs")
    with pytest.raises(RuntimeError, match="callable or string"):
        fx.wrap(3)


@fx.wrap
def halved(x):
    return x / 2


CODE = '''
{package}.fx._symbolic_trace.wrap("{here}_halved")

def forward(self, x, power = 2):
    conv_0 = getattr(self.conv, "0")(x);  x = None
    getattr_1 = conv_0.shape
    getitem = getattr_1[0];  getattr_1 = None
    view = conv_0.view(getitem, -1);  conv_0 = getitem = None
    softmax = {package}.softmax(view, dim = -1);  view = None
    scale = self.scale
    mul = 2 * scale;  scale = None
    matmul = softmax @ mul;  softmax = mul = None
    halved = {here}_halved(matmul);  matmul = None
    pow_1 = halved ** power;  power = None
    neg = -halved;  halved = neg = None
    return {{'y': pow_1}}
    '''


def test_code_is_python():
    """As PyTorch writes it: names are None after their last use, wrapped functions have names of their own."""

    class Coded(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Sequential(nn.Conv1d(1, 2, 2))
            self.scale = nn.Parameter(mg.ones(6))

        def forward(self, x, power=2):
            y = self.conv(x)
            y = halved(mg.softmax(y.view(y.shape[0], -1), dim=-1) @ (2 * self.scale))
            z = y**power
            _ = -y
            return {"y": z}

    expected = CODE.format(package=mg.dtype.package, here=__name__.replace(".", "_"))
    traced = fx.symbolic_trace(Coded())
    assert traced.code == expected
    y = traced(mg.ones(2, 1, 4))["y"]
    with mg.no_grad():
        traced.scale.mul_(3)  # what is computed of parameters alone is computed anew in every call
    assert y.shape == (2,) and mg.allclose(traced(mg.ones(2, 1, 4))["y"], 9 * y)


def test_every_node_is_made_by_create_node():
    class Marking(fx.Tracer):
        def create_node(self, kind, target, args, kwargs, name=None, type_expr=None):
            node = super().create_node(kind, target, args, kwargs, name, type_expr)
            node.mark = kind
            return node

    net = Net()
    tracer = Marking()
    graph = tracer.trace(net)
    assert all(node.mark == node.op for node in graph.nodes)
    assert tracer.path_of_module(net.body[1]) == "body.1"
    with pytest.raises(NameError, match="not installed as a submodule"):
        tracer.path_of_module(nn.ReLU())


def test_proxies_of_nodes_add_to_their_graph():
    """A function is written out in a graph by calling it with Proxies of the graph's nodes."""

    def scaled(a, b):
        return mg.relu(a) + b.exp()

    traced = fx.symbolic_trace(lambda x: mg.sub(x, 1))
    node = next(node for node in traced.graph.nodes if node.op == "call_function")
    with traced.graph.inserting_before(node):
        new = scaled(*fx.node.map_arg((node.args[0], node.args[0]), fx.Proxy))
    node.replace_all_uses_with(new.node)
    traced.graph.erase_node(node)
    traced.recompile()
    assert [node.name for node in traced.graph.nodes] == ["x", "relu", "exp", "add", "output"]
    x = mg.tensor([-1.0, 2.0])
    assert mg.equal(traced(x), mg.relu(x) + x.exp())
    assert str(traced.graph).endswith("return add")


def test_modules_below_fx():
    assert fx.node.Node is fx.Node and fx.graph_module.GraphModule is fx.GraphModule and fx.node.Target
    assert fx.node.map_aggregate([1, (2, {"a": 3})], lambda leaf: leaf + 1) == [2, (3, {"a": 4})]
    with pytest.raises(AttributeError, match="no attribute 'experimental'"):
        _ = fx.experimental
