"""How processes find each other: from an init_method to a store all of them see, the rank and the number of processes.

Source: https://docs.pytorch.org/docs/stable/distributed.html#initialization
"""

import collections
import os
from datetime import timedelta
from urllib.parse import parse_qs, unquote, urlsplit

from minigrad.distributed.store import FileStore, PrefixStore, TCPStore

default_pg_timeout = timedelta(minutes=30)
_counts = collections.Counter()  # how often this process has met others, per purpose: each time has keys of its own
_masters = {}  # (host, port) -> the store this process keeps there until it ends, as slower processes may still ask


def from_environment(name, url="env://"):
    """Return a variable of the environment; ValueError where it is not set."""
    if name not in os.environ:
        raise ValueError(
            f"Error initializing torch.distributed using {url} rendezvous: "
            f"environment variable {name} expected, but not set"
        )
    return os.environ[name]


def _number(name, text):
    try:
        return int(text)
    except ValueError:
        raise ValueError(f"distributed: {name} must be an integer, but is {text!r}") from None


def _given(name, query):
    """Return a value of a URL's query; ValueError where it is not there."""
    if name not in query:
        raise ValueError(f"Error initializing torch.distributed using tcp:// rendezvous: {name} parameter missing")
    return query[name][0]


def who(init_method, rank=-1, world_size=-1):
    """Return the rank and the number of processes that arguments, the URL's query or the environment say."""
    if init_method in (None, "env://"):
        names, find = ("RANK", "WORLD_SIZE"), from_environment
    else:
        if urlsplit(init_method).scheme not in ("env", "tcp", "file"):
            raise RuntimeError(f"No rendezvous handler for {init_method} (there are env://, tcp:// and file://)")
        query = parse_qs(urlsplit(init_method).query)
        names, find = ("rank", "world_size"), lambda name: _given(name, query)
    rank = _number(names[0], find(names[0])) if rank < 0 else rank
    world_size = _number(names[1], find(names[1])) if world_size < 0 else world_size
    if world_size < 1:
        raise ValueError(f"distributed: world_size must be positive, but got {world_size}")
    if not 0 <= rank < world_size:
        raise ValueError(f"distributed: rank must be in 0 to {world_size - 1}, but got {rank}")
    return rank, world_size


def _address(url):
    """Return the host and port of tcp://host:port; ValueError without them."""
    parts = urlsplit(url)
    if not parts.hostname or not parts.port:
        raise ValueError(f"Error initializing torch.distributed using tcp:// rendezvous: port number missing: {url}")
    return parts.hostname, parts.port


def _tcp_store(host, port, rank, world_size, timeout):
    """Return the store of rank 0, or of the launcher, at an address."""
    launcher = os.environ.get("MASTER_ADDR"), os.environ.get("MASTER_PORT")
    by_launcher = os.environ.get("TORCHELASTIC_USE_AGENT_STORE") == "True" and (host, str(port)) == launcher
    is_master = rank == 0 and not by_launcher
    if not 0 < port < 65536 and (world_size > 1 or port):
        raise ValueError(f"distributed: the port must be in 1 to 65535, but got {port}")
    if is_master and (host, port) not in _masters:
        _masters[host, port] = TCPStore(host, port, None, True, timeout, multi_tenant=True)
    port = port or _masters[host, port].port
    return TCPStore(host, port, world_size, False, timeout, wait_for_workers=False)


def meet(init_method, rank, world_size, timeout, purpose="group"):
    """Return a store of the processes with this purpose, of keys no earlier meeting used.

    ``init_method`` is env:// (MASTER_ADDR and MASTER_PORT; also None), tcp://host:port or file:///path. Raises
    RuntimeError for another one, ValueError for missing variables, DistNetworkError where nobody comes in time.
    """
    url = init_method or "env://"
    scheme = urlsplit(url).scheme
    if scheme == "env":
        address = from_environment("MASTER_ADDR"), _number("MASTER_PORT", from_environment("MASTER_PORT"))
        store = _tcp_store(*address, rank, world_size, timeout)
    elif scheme == "tcp":
        store = _tcp_store(*_address(url), rank, world_size, timeout)
    elif scheme == "file":
        path = unquote(urlsplit(url).netloc + urlsplit(url).path)
        if not path:
            raise ValueError("Error initializing torch.distributed using file:// rendezvous: path missing")
        store = FileStore(path, world_size)
    else:
        raise RuntimeError(f"No rendezvous handler for {scheme}:// (there are env://, tcp:// and file://)")
    store.set_timeout(timeout)
    return PrefixStore(name_of_meeting(purpose), store)


def name_of_meeting(purpose):
    """Return a name for the keys of the next meeting for a purpose, the same in all processes."""
    name = f"{purpose}/{os.environ.get('TORCHELASTIC_RESTART_COUNT', '0')}/{_counts[purpose]}"
    _counts[purpose] += 1
    return name


def rendezvous(url, rank=-1, world_size=-1, timeout=default_pg_timeout, **options):
    """Give once the store, the rank and the number of processes that meet at a URL.

    Source: https://docs.pytorch.org/docs/stable/distributed.html#initialization
    """
    rank, world_size = who(url, rank, world_size)
    yield meet(url, rank, world_size, timeout, "rendezvous"), rank, world_size
