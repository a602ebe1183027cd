"""A program for PyTorch's RPC, three workers: a model over two of them, and a server that averages gradients."""

import json
import os
import sys
import threading

import numpy as np
import torch
import torch.distributed.autograd as dist_autograd
import torch.distributed.rpc as rpc
import torch.multiprocessing as mp
from torch import nn
from torch.distributed.nn import RemoteModule
from torch.distributed.rpc import RRef

TOKENS, WIDTH, STEPS = 7, 4, 4


def filled(module, seed):
    generator = np.random.RandomState(seed)
    with torch.no_grad():
        for parameter in module.parameters():
            values = generator.uniform(-0.5, 0.5, tuple(parameter.shape))
            parameter.copy_(torch.from_numpy(values.astype("float32")))
    return module


def parameter_references(rref):
    return [RRef(parameter) for parameter in rref.local_value().parameters()]


def forward(rref, x):
    return rref.local_value()(x)


class Table(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(TOKENS, WIDTH)
        filled(self, 1)

    def forward(self, tokens):
        return self.embedding(tokens)


class Decoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(WIDTH, TOKENS)
        filled(self, 2)

    def forward(self, hidden):
        return self.linear(hidden)


class Model(nn.Module):
    """Its table is at worker 1, its decoder at worker 2, its LSTM here."""

    def __init__(self):
        super().__init__()
        self.table = rpc.remote("worker1", Table)
        self.lstm = filled(nn.LSTM(WIDTH, WIDTH), 3)
        self.decoder = rpc.remote("worker2", Decoder)

    def forward(self, tokens):
        hidden = self.lstm(rpc.rpc_sync("worker1", forward, args=(self.table, tokens)))[0]
        return rpc.rpc_async("worker2", forward, args=(self.decoder, hidden)).wait()

    def references(self):
        references = [RRef(parameter) for parameter in self.lstm.parameters()]
        for part in (self.table, self.decoder):
            references += rpc.rpc_sync(part.owner(), parameter_references, args=(part,))
        return references


class Server:
    """Steps once both trainers have sent their gradients, and gives them the weights."""

    def __init__(self):
        self.model = filled(nn.Sequential(nn.Linear(3, 5), nn.ReLU(), nn.Linear(5, 1)), 4)
        self.optimizer = torch.optim.SGD(self.model.parameters(), lr=0.1, momentum=0.9)
        self.lock, self.next_weights, self.received = threading.Lock(), torch.futures.Future(), []

    def weights(self):
        return [parameter.detach().clone() for parameter in self.model.parameters()]

    @staticmethod
    @rpc.functions.async_execution
    def update(server_reference, gradients):
        server = server_reference.local_value()
        with server.lock:
            server.received.append(gradients)
            future = server.next_weights
            if len(server.received) == 2:
                for parameter, *parts in zip(server.model.parameters(), *server.received):
                    parameter.grad = sum(parts) / 2
                server.optimizer.step()
                server.next_weights, server.received = torch.futures.Future(), []
                future.set_result(server.weights())
        return future


def train(server_reference):
    rank = rpc.get_worker_info().id
    generator = np.random.RandomState(rank)
    model = nn.Sequential(nn.Linear(3, 5), nn.ReLU(), nn.Linear(5, 1))
    weights = server_reference.rpc_sync().weights()
    losses = []
    for _ in range(STEPS):
        with torch.no_grad():
            for parameter, value in zip(model.parameters(), weights):
                parameter.copy_(value)
        x = torch.from_numpy(generator.randn(8, 3).astype("float32"))
        model.zero_grad()
        loss = (model(x) - x.sum(1, keepdim=True)).pow(2).mean()
        loss.backward()
        losses.append(loss.item())
        gradients = [parameter.grad for parameter in model.parameters()]
        weights = rpc.rpc_sync(server_reference.owner(), Server.update, args=(server_reference, gradients))
    return losses


def model_over_workers():
    model, generator = Model(), np.random.RandomState(0)
    from torch.distributed.optim import DistributedOptimizer  # warns, in PyTorch

    optimizer = DistributedOptimizer(torch.optim.SGD, model.references(), lr=0.5, momentum=0.9)
    losses = []
    for _ in range(STEPS):
        tokens = torch.from_numpy(generator.randint(0, TOKENS, (5, 6)))
        with dist_autograd.context() as context:
            loss = nn.functional.cross_entropy(model(tokens[:-1]).flatten(0, 1), tokens[1:].flatten())
            dist_autograd.backward(context, [loss])
            optimizer.step(context)
        losses.append(loss.item())
    return losses + [reference.to_here().abs().sum().item() for reference in model.references()]


def remote_module():
    module = RemoteModule("worker1/cpu", nn.Linear, args=(2, 2))
    x = torch.ones(3, 2, requires_grad=True)
    with dist_autograd.context() as context:
        dist_autograd.backward(context, [module(x).sum() + module.forward_async(x).wait().sum()])
        gradient = dist_autograd.get_gradients(context)[x]
    return (gradient - 2 * module.remote_parameters()[0].to_here().detach().sum(0)).abs().max().item()


def errors():
    told = []
    for function, args in ((int, ("no number",)), (torch.ones(2).view, (3,)), (len, (3,))):
        try:
            rpc.rpc_sync("worker1", function, args=args)
        except Exception as error:
            told.append(type(error).__name__)
    return told


def work(rank, port):
    options = rpc.TensorPipeRpcBackendOptions(init_method=f"tcp://127.0.0.1:{port}", rpc_timeout=60)
    rpc.init_rpc(f"worker{rank}", rank=rank, world_size=3, rpc_backend_options=options)
    if rank == 0:
        server = RRef(Server())
        futures = [rpc.rpc_async(f"worker{trainer}", train, args=(server,)) for trainer in (1, 2)]
        result = {"server": sum(torch.futures.wait_all(futures), []), "model": model_over_workers()}
        result |= {"module": [remote_module()], "errors": errors()}
        print(json.dumps(result), flush=True)
    rpc.shutdown()


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    mp.spawn(work, args=(int(sys.argv[1]),), nprocs=3)
