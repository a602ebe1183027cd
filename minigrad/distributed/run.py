"""Start a program in several processes: python -m minigrad.distributed.run --nproc_per_node=2 program.py arguments…

It takes torchrun's arguments and gives each process RANK, LOCAL_RANK, WORLD_SIZE, MASTER_ADDR, MASTER_PORT and a key,
by which init_process_group() finds and knows the others. When one process fails, or on Ctrl-C, all are ended, with the
processes they started.
Source: https://docs.pytorch.org/docs/stable/elastic/run.html
"""

import argparse
import contextlib
import os
import secrets
import signal
import subprocess
import sys
import time

from minigrad.backend import cuda_device_count
from minigrad.distributed.store import TCPStore
from minigrad.distributed.transport import KEY_VARIABLE, known_keys

_GRACE = 10.0  # seconds between asking processes to end and killing them


def _parser(name):
    parser = argparse.ArgumentParser(
        prog=f"python -m minigrad.distributed.{name}", description="Start a program in several processes.",
        allow_abbrev=False,
    )  # fmt: skip
    add = parser.add_argument

    def option(name, **settings):
        add(*dict.fromkeys((f"--{name}", f"--{name.replace('-', '_')}")), **settings)

    option("nproc-per-node", default="1", help="processes on this machine: a number, or cpu, gpu, auto")
    option("nnodes", default="1", help="number of machines")
    option("node-rank", type=int, default=None, help="this machine's number, from 0")
    option("master-addr", default=None, help="address of machine 0")
    option("master-port", type=int, default=None, help="port of machine 0")
    add("--standalone", action="store_true", help="one machine, with any free port")
    option("rdzv-backend", default="static", choices=["static", "c10d"], help="where to meet; both mean by TCP")
    option("rdzv-endpoint", default="", help="address:port of machine 0")
    option("rdzv-id", default=None, help="name of the run")
    option("max-restarts", type=int, default=0, help="how often all processes are started again after a failure")
    option("monitor-interval", type=float, default=0.1, help="seconds between looks at the processes")
    option("role", default="default", help="name given to the processes as ROLE_NAME")
    add("-m", "--module", action="store_true", help="the program is a module's name")
    option("no-python", action="store_true", help="the program is no Python program")
    if name == "launch":
        option("use-env", action="store_true", help="do not give the program --local-rank=N: it reads LOCAL_RANK")
    add("program")
    add("arguments", nargs=argparse.REMAINDER)
    return parser


def _processes(text):
    """Return the number of processes that --nproc_per_node asks for."""
    if text.isdigit() and int(text) > 0:
        return int(text)
    if text in ("gpu", "auto"):
        count = cuda_device_count()
        if count:
            return count
        if text == "gpu":
            raise ValueError("--nproc_per_node=gpu: there is no GPU")
    if text in ("cpu", "auto"):
        return os.cpu_count() or 1
    raise ValueError(f"--nproc_per_node must be a positive number, cpu, gpu or auto, but got {text!r}")


def _address(given, nodes):
    """Return the host and port of machine 0."""
    host, port = given.master_addr, given.master_port
    if given.standalone:
        return "localhost", 0
    if given.rdzv_endpoint:
        name, _, number = given.rdzv_endpoint.rpartition(":")
        host, port = (name or number), (int(number) if name else port)
    if nodes > 1 and host is None:
        raise ValueError("several machines need --master_addr (or --rdzv_endpoint), the address of machine 0")
    return host or "127.0.0.1", 29500 if port is None else port


def _key(nodes):
    """Return the secret of the processes; of several machines, all must be given the same."""
    if KEY_VARIABLE in os.environ:
        return os.environ[KEY_VARIABLE]
    if nodes > 1:
        raise ValueError(
            f"several machines need a common secret: set {KEY_VARIABLE} on all of them to the same 16 or more random "
            "characters, for example those printed by: python -c 'import secrets; print(secrets.token_hex(32))'"
        )
    return secrets.token_hex(32)


def _command(given, local):
    arguments = given.arguments if vars(given).get("use_env", True) else [f"--local-rank={local}", *given.arguments]
    if given.no_python:
        return [given.program, *arguments]
    python = [sys.executable, "-u"]
    if "minigrad.compat.torch" in sys.modules:  # run under PyTorch's names, the program is to have them as well
        python += ["-m", "minigrad.compat"]
    return [*python, *(["-m"] if given.module else []), given.program, *arguments]


def _environment(given, local, count, nodes, node, address, attempt):
    world, rank = count * nodes, node * count + local
    values = {
        "RANK": rank, "LOCAL_RANK": local, "WORLD_SIZE": world, "LOCAL_WORLD_SIZE": count, "GROUP_RANK": node,
        "GROUP_WORLD_SIZE": nodes, "ROLE_RANK": rank, "ROLE_WORLD_SIZE": world, "ROLE_NAME": given.role,
        "MASTER_ADDR": address[0], "MASTER_PORT": address[1], "TORCHELASTIC_RESTART_COUNT": attempt,
        "TORCHELASTIC_MAX_RESTARTS": given.max_restarts, "TORCHELASTIC_RUN_ID": given.rdzv_id or "none",
        "TORCHELASTIC_USE_AGENT_STORE": "True",
    }  # fmt: skip
    environment = {**os.environ, **{name: str(value) for name, value in values.items()}}
    if count > 1:
        environment.setdefault("OMP_NUM_THREADS", "1")
    return environment


def _signal(process, number):
    """Send a signal to a process and those it started; they are a session of their own where there are sessions."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        if os.name == "posix":
            os.killpg(process.pid, number)
        else:
            process.terminate()


def _end(processes, number):
    """End processes, first by asking, with a signal."""
    running = [process for process in processes if process.poll() != 0]
    for process in running:
        _signal(process, number)
    deadline = time.monotonic() + _GRACE
    for process in running:
        try:
            process.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            process.kill()
        if os.name == "posix":
            _signal(process, signal.SIGKILL)  # what it started may still be there
        process.wait()


def _watch(processes, interval, stopped):
    """Wait until all processes have ended well, or a signal is to stop them; return the first that failed, or None.

    Of that, its number and exit status.
    """
    while not stopped:
        states = [process.poll() for process in processes]
        for local, state in enumerate(states):
            if state not in (None, 0):
                return local, state
        if None not in states:
            return None
        until = time.monotonic() + interval
        while not stopped and time.monotonic() < until:
            time.sleep(min(interval, 0.1))
    return None


def _how(state):
    return f"by signal {signal.Signals(-state).name}" if state < 0 else f"with exit code {state}"


@contextlib.contextmanager
def _noting_signals():
    """Give a list to which SIGINT, SIGTERM and SIGHUP, where they are not ignored, are added and nothing else done."""
    stopped = []
    known = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]
    before = {number: signal.getsignal(number) for number in known if signal.getsignal(number) != signal.SIG_IGN}
    for number in before:
        signal.signal(number, lambda number, frame: stopped.append(number))
    try:
        yield stopped
    finally:
        for number, handler in before.items():
            signal.signal(number, handler or signal.SIG_DFL)


def _checked(given):
    """Return the number of processes here, of machines, this machine's number, machine 0's address, and the secret."""
    if not given.nnodes.isdigit() or int(given.nnodes) < 1:
        raise ValueError(f"--nnodes must be a positive number (ranges are not supported), but got {given.nnodes!r}")
    nodes = 1 if given.standalone else int(given.nnodes)
    count = _processes(given.nproc_per_node)
    if nodes > 1 and given.node_rank is None:
        raise ValueError("several machines need --node_rank, this machine's number")
    node = given.node_rank or 0
    if not 0 <= node < nodes:
        raise ValueError(f"--node_rank must be in 0 to {nodes - 1}, but got {node}")
    return count, nodes, node, _address(given, nodes), _key(nodes)


def main(arguments=None, name="run"):
    """Run the launcher, or the older one by the name "launch", and return its exit status."""
    parser = _parser(name)
    given = parser.parse_args(arguments)
    before = os.environ.get(KEY_VARIABLE)
    try:
        count, nodes, node, address, os.environ[KEY_VARIABLE] = _checked(given)
        known_keys()
        store = TCPStore(*address, is_master=True) if node == 0 else None
    except (ValueError, RuntimeError) as error:
        _restore(before)
        parser.error(str(error))
    try:
        with _noting_signals() as stopped:
            address = address[0], store.port if store else address[1]
            return _run(given, parser.prog, count, nodes, node, address, stopped)
    finally:
        _restore(before)
        if store is not None:
            store.close()


def _restore(key):
    """Put the environment of a program that calls main() back as it was."""
    os.environ.pop(KEY_VARIABLE, None)
    if key is not None:
        os.environ[KEY_VARIABLE] = key


def _run(given, name, count, nodes, node, address, stopped):
    """Run the processes, again after a failure where that is asked for, and return the exit status."""
    for attempt in range(given.max_restarts + 1):
        processes = []
        try:
            for local in range(count):
                environment = _environment(given, local, count, nodes, node, address, attempt)
                processes.append(subprocess.Popen(_command(given, local), env=environment, start_new_session=True))
            failed = _watch(processes, given.monitor_interval, stopped)
        except OSError as error:
            print(f"{name}: {given.program} can't be started: {error}", file=sys.stderr)
            return 127
        finally:
            _end(processes, stopped[0] if stopped else signal.SIGTERM)
        if stopped:
            return 128 + stopped[0]
        if failed is None:
            return 0
        local, state = failed
        again = f", and are started again ({attempt + 1} of {given.max_restarts})"
        print(
            f"{name}: {given.program}: local rank {local} (rank {node * count + local}, process "
            f"{processes[local].pid}) ended {_how(state)}; all processes were ended"
            + (again if attempt < given.max_restarts else ""),
            file=sys.stderr,
        )
    return 1


if __name__ == "__main__":
    sys.exit(main())
