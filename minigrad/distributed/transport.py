"""Channels between processes: messages of bytes over TCP, between processes that know the same secret.

Before anything else both sides prove by HMAC-SHA256 over fresh random numbers that they know the secret; from then on
every message's head and body bear HMACs with a key made for this connection and direction, and its number, so that none
can be changed, repeated or put in, and no false length is believed. What travels is not encrypted. Nothing here is ever
unpickled.

The secret is, in this order: MINIGRAD_DISTRIBUTED_KEY of the environment (the launcher makes one); the authkey that
processes started by multiprocessing inherit; a key file only the user may read, in the user's cache folder.
"""

import contextlib
import errno
import hmac
import multiprocessing
import os
import secrets
import selectors
import socket
import struct
import threading
import time
import weakref

from minigrad.distributed.errors import DistNetworkError, DistTimeoutError

KEY_VARIABLE = "MINIGRAD_DISTRIBUTED_KEY"
SMALLEST_KEY = 16  # characters
LARGEST_MESSAGE = 1 << 35  # bytes
_GREETING = b"minigrad channel 2"
_NONCE = 32
_TAG = 32
_FINGERPRINT = 16
_MOST_KEYS = 4
_HANDSHAKE = 20.0  # seconds that a handshake may take
_UNPROVEN = 64  # connections of a listener that may be in their handshake at once
_HEAD = struct.Struct(">Q32s32s")  # length of the body, codes of head and body
_NUMBERS = struct.Struct(">QQ")


# ---------------------------------------------------------------- secrets
def key_file():
    """Return the path of the key file: minigrad/distributed.key in $XDG_CACHE_HOME, by default ~/.cache."""
    cache = os.environ.get("XDG_CACHE_HOME") or os.path.join("~", ".cache")
    return os.path.join(os.path.expanduser(cache), "minigrad", "distributed.key")


def _make_key_file(path):
    """Write a new key, whole or not at all; another process may have been quicker."""
    os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
    draft = f"{path}.{os.getpid()}.{secrets.token_hex(4)}"
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(secrets.token_hex(32))
    try:
        with contextlib.suppress(FileExistsError):
            os.link(draft, path)
    finally:
        os.unlink(draft)


def _read_key_file(make):
    """Return the key in the key file, None without one; RuntimeError where others than the user may read it."""
    path = key_file()
    if not os.path.isabs(path):
        return None  # the user has no home
    if make and not os.path.exists(path):
        with contextlib.suppress(OSError):  # the folder can't be written to: who needs a key is told so
            _make_key_file(path)
    try:
        with open(path, "rb") as file:
            status = os.fstat(file.fileno())
            key = file.read(1024).strip()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise RuntimeError(f"distributed: the key file {path} can't be read: {error}") from None
    if hasattr(os, "getuid") and (status.st_uid != os.getuid() or status.st_mode & 0o077):
        raise RuntimeError(f"distributed: the key file {path} may be read by others; run chmod 600 on it or delete it")
    if len(key) < SMALLEST_KEY:
        raise RuntimeError(f"distributed: the key file {path} is damaged; delete it")
    return key


def known_keys():
    """Return the secrets of this process, the one to prefer first."""
    given = os.environ.get(KEY_VARIABLE)
    if given is not None:
        if len(given) < SMALLEST_KEY:
            raise RuntimeError(f"distributed: {KEY_VARIABLE} must have at least {SMALLEST_KEY} characters")
        return [given.encode()]
    started_by_python = multiprocessing.parent_process() is not None
    keys = [bytes(multiprocessing.current_process().authkey), _read_key_file(make=not started_by_python)]
    return [key for key in keys if key is not None]


def _fingerprint(key):
    return hmac.digest(key, b"fingerprint", "sha256")[:_FINGERPRINT]


# ---------------------------------------------------------------- waiting
def deadline_of(timeout):
    """Return when a timeout in seconds (None: never) is over, in the time of time.monotonic()."""
    return None if timeout is None else time.monotonic() + timeout


def remaining(deadline):
    """Return the seconds left until a deadline, at least 0; None without one."""
    return None if deadline is None else max(0.0, deadline - time.monotonic())


def _wait(sock, event, deadline):
    """Wait until a socket can be read or written; DistTimeoutError when the deadline is over before."""
    with getattr(selectors, "PollSelector", selectors.SelectSelector)() as selector:
        try:
            selector.register(sock, event)
        except (ValueError, KeyError):
            raise DistNetworkError("the channel is closed") from None
        if not selector.select(remaining(deadline)):
            raise DistTimeoutError("the other process said nothing in time")


def _read(sock, view, deadline):
    """Fill a memoryview; return whether the connection was closed before the first byte."""
    done = 0
    while done < len(view):
        try:
            count = sock.recv_into(view[done:])
        except (BlockingIOError, InterruptedError):
            _wait(sock, selectors.EVENT_READ, deadline)
            continue
        except OSError as error:
            raise DistNetworkError(f"the connection is lost: {error}") from None
        if not count:
            if done == 0:
                return True
            raise DistNetworkError("the connection was closed within a message")
        done += count
    return False


def _write(sock, data, deadline):
    view = memoryview(data).cast("B")
    while len(view):
        try:
            view = view[sock.send(view) :]
        except (BlockingIOError, InterruptedError):
            _wait(sock, selectors.EVENT_WRITE, deadline)
        except OSError as error:
            raise DistNetworkError(f"the connection is lost: {error}") from None


def _read_exactly(sock, count, deadline):
    data = bytearray(count)
    if _read(sock, memoryview(data), deadline):
        raise DistNetworkError("the other process closed the connection while it was being made")
    return bytes(data)


# ---------------------------------------------------------------- channels
class Channel:
    """One connection to another process that has proven to know the secret; send() and receive() are thread-safe.

    ``address`` and ``peer`` are the (host, port) of both ends. A timeout or error within a message closes it.
    """

    def __init__(self, sock, sending, receiving):
        self._socket = sock
        self._keys = sending, receiving
        self._sent = self._received = 0
        self._send_lock, self._receive_lock = threading.Lock(), threading.Lock()
        self.address, self.peer = sock.getsockname()[:2], sock.getpeername()[:2]
        self.closed = False
        _OPEN.add(self)

    @staticmethod
    def _head(key, number, parts):
        """Return the head of the message of some number, whose body the parts are."""
        length = sum(len(part) for part in parts)
        place = _NUMBERS.pack(number, length)
        code = hmac.new(key, b"body" + place, "sha256")
        for part in parts:
            code.update(part)
        return _HEAD.pack(length, hmac.digest(key, b"head" + place, "sha256"), code.digest())

    def send(self, *parts, timeout=None):
        """Send one message, the parts (bytes or contiguous buffers) one after another.

        Raises DistNetworkError where the connection is lost, DistTimeoutError when it takes longer than timeout
        seconds; then the channel is closed.
        """
        views = [memoryview(part).cast("B") for part in parts if memoryview(part).nbytes]
        length = sum(len(view) for view in views)
        if length > LARGEST_MESSAGE:
            raise ValueError(f"distributed: a message has at most {LARGEST_MESSAGE} bytes, but got {length}")
        deadline = deadline_of(timeout)
        small = length < 1 << 16
        if small:
            views = [b"".join(views)]
        with self._send_lock:
            self._check_open()
            head = self._head(self._keys[0], self._sent, views)
            self._sent += 1
            try:
                for data in [head + views[0]] if small else [head, *views]:
                    _write(self._socket, data, deadline)
            except BaseException:
                self.close()
                raise

    def receive(self, timeout=None, limit=LARGEST_MESSAGE):
        """Return the next message as a bytearray.

        Raises EOFError where the other process closed the channel in order, DistNetworkError where the connection is
        lost, a message is forged or longer than limit bytes (the channel is closed then), DistTimeoutError when
        nothing comes in timeout seconds (a message that had begun closes the channel).
        """
        deadline = deadline_of(timeout)
        with self._receive_lock, self._closing():
            self._check_open()
            head = bytearray(_HEAD.size)
            view = memoryview(head)
            begun = False
            try:
                if _read(self._socket, view[:1], deadline):
                    raise EOFError("the other process closed the channel")
                begun = True
                if _read(self._socket, view[1:], deadline):
                    raise DistNetworkError("the connection was closed within a message")
                length, *_ = _HEAD.unpack(head)
                place = _NUMBERS.pack(self._received, length)
                if not hmac.compare_digest(hmac.digest(self._keys[1], b"head" + place, "sha256"), head[8:40]):
                    raise DistNetworkError("a message is not authentic")
                if length > limit:
                    raise DistNetworkError(f"a message of {length} bytes is announced, more than the limit {limit}")
                body = bytearray(length)
                if length and _read(self._socket, memoryview(body), deadline):
                    raise DistNetworkError("the connection was closed within a message")
                if not hmac.compare_digest(self._head(self._keys[1], self._received, [body]), head):
                    raise DistNetworkError("a message is not authentic, or its tensor was written while it was sent")
            except BaseException as error:
                if begun or isinstance(error, (EOFError, DistNetworkError)) and not isinstance(error, DistTimeoutError):
                    self.close()
                raise
            self._received += 1
            return body

    @contextlib.contextmanager
    def _closing(self):
        try:
            yield
        finally:
            if self.closed:
                self._socket.close()

    def _check_open(self):
        if self.closed:
            raise DistNetworkError("the channel is closed")

    def fileno(self):
        """Return the socket's file number, to wait for messages of several channels."""
        return self._socket.fileno()

    def close(self):
        """Close the channel; whoever waits in it is woken with an error."""
        if not self.closed:
            self.closed = True
            _shut(self._socket)
            # not closed while another thread may wait in it, so that its number is not given to another socket
            if self._receive_lock.acquire(blocking=False):
                self._receive_lock.release()
                self._socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.close()


def _proof(key, role, nonces):
    return hmac.digest(key, role + nonces, "sha256")


def _session_keys(key, nonces):
    return [_proof(key, label, nonces) for label in (b"key of the dialer", b"key of the listener")]


def _as_dialer(sock, keys, deadline):
    """Make the dialer's side of the handshake; return the keys to send and to receive with."""
    own = secrets.token_bytes(_NONCE)
    offered = [_fingerprint(key) for key in keys][:_MOST_KEYS]
    greeting = _GREETING + own + b"".join(offered).ljust(_MOST_KEYS * _FINGERPRINT, b"\0")
    _write(sock, greeting, deadline)
    answer = _read_exactly(sock, len(_GREETING) + _NONCE + _FINGERPRINT, deadline)
    chosen = answer[-_FINGERPRINT:]
    if not answer.startswith(_GREETING):
        raise DistNetworkError("what listens there is no process of minigrad")
    if chosen not in offered:
        raise _Refused(
            f"the processes know no common secret: on several machines, or with several users, set {KEY_VARIABLE} to "
            f"the same {SMALLEST_KEY} or more random characters for all"
        )
    key = keys[offered.index(chosen)]
    nonces = own + answer[len(_GREETING) : -_FINGERPRINT]
    _write(sock, _proof(key, b"dialer", nonces), deadline)
    if not hmac.compare_digest(_read_exactly(sock, _TAG, deadline), _proof(key, b"listener", nonces)):
        raise _Refused("the other process could not prove that it knows the secret")
    return _session_keys(key, nonces)


def _as_listener(sock, keys, deadline):
    """Make the listener's side of the handshake; return the keys to send and to receive with."""
    greeting = _read_exactly(sock, len(_GREETING) + _NONCE + _MOST_KEYS * _FINGERPRINT, deadline)
    if not greeting.startswith(_GREETING):
        raise _Refused("what connected is no process of minigrad")
    theirs, offered = greeting[len(_GREETING) :][:_NONCE], greeting[len(_GREETING) + _NONCE :]
    offered = {offered[at : at + _FINGERPRINT] for at in range(0, len(offered), _FINGERPRINT)}
    key = next((key for key in keys if _fingerprint(key) in offered), None)
    own = secrets.token_bytes(_NONCE)
    _write(sock, _GREETING + own + (_fingerprint(key) if key else bytes(_FINGERPRINT)), deadline)
    if key is None:
        raise _Refused("the processes know no common secret")
    nonces = theirs + own
    if not hmac.compare_digest(_read_exactly(sock, _TAG, deadline), _proof(key, b"dialer", nonces)):
        raise _Refused("the other process could not prove that it knows the secret")
    _write(sock, _proof(key, b"listener", nonces), deadline)
    return _session_keys(key, nonces)[::-1]


class _Refused(DistNetworkError):
    """The handshake failed for a reason that trying again does not mend."""


def _shut(sock):
    """End a connection and wake whoever waits for it, without giving its number to another one."""
    with contextlib.suppress(OSError):
        sock.shutdown(socket.SHUT_RDWR)


def _prepare(sock):
    sock.setblocking(False)
    with contextlib.suppress(OSError):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)


def dial(address, timeout=300.0, give_up=None):
    """Return a Channel to a listener's (host, port), trying again until it is there or timeout seconds are over.

    ``give_up()``, asked before each new try, may raise an error of its own. Raises DistNetworkError, at once where the
    secrets differ.
    """
    host, port = address
    keys = known_keys()
    deadline = deadline_of(timeout)
    pause = 0.01
    while True:
        sock = None
        try:
            left = remaining(deadline)
            sock = socket.create_connection((host, port), timeout=left if left is None else max(left, 0.05))
            _prepare(sock)
            if sock.getsockname() == sock.getpeername():  # TCP's self-connection, where nobody listens yet
                raise ConnectionRefusedError("nobody listens there")
            limit = deadline_of(_HANDSHAKE) if deadline is None else min(deadline, deadline_of(_HANDSHAKE))
            return Channel(sock, *_as_dialer(sock, keys, limit))
        except _Refused as error:
            sock.close()
            raise DistNetworkError(f"distributed: {host}:{port}: {error}") from None
        except (OSError, DistNetworkError) as error:
            if sock is not None:
                sock.close()
            if deadline is not None and time.monotonic() + pause > deadline:
                raise DistTimeoutError(
                    "The client socket has timed out after "
                    f"{round(timeout * 1000)}ms while trying to connect to ({host}, {port}): {error}"
                ) from None
        if give_up is not None:
            give_up()
        time.sleep(pause)
        pause = min(2 * pause, 0.5)


class Listener:
    """Accepts channels at ``address``, from those who know a secret that this process knew at its making: see listen().

    Handshakes run in threads of their own, and when too many connections prove nothing, the oldest of them are dropped:
    so strangers who connect and say nothing don't keep others out.
    """

    def __init__(self, sock, keys):
        self._socket, self._keys = sock, keys
        self.address = sock.getsockname()[:2]
        self.closed = False
        self._unproven, self._lock = [], threading.Lock()
        _OPEN.add(self)

    def serve(self, handler, name="distributed"):
        """Call handler(channel) in a daemon thread of its own for each channel, until the listener is closed."""
        threading.Thread(target=self._serve, args=(handler, name), name=name, daemon=True).start()

    def _serve(self, handler, name):
        while not self.closed:
            try:
                sock = self._socket.accept()[0]
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                with contextlib.suppress(DistTimeoutError, DistNetworkError):  # a closed listener is noticed
                    _wait(self._socket, selectors.EVENT_READ, deadline_of(0.5))
                continue
            except OSError as error:
                if error.errno not in _PASSING:
                    return
                time.sleep(0.05)
                continue
            with self._lock:
                self._unproven.append(sock)
                abandoned = self._unproven.pop(0) if len(self._unproven) > _UNPROVEN else None
            if abandoned is not None:
                _shut(abandoned)  # its own thread closes it
            threading.Thread(target=self._greet, args=(sock, handler), name=f"{name}-channel", daemon=True).start()

    def _greet(self, sock, handler):
        try:
            _prepare(sock)
            channel = Channel(sock, *_as_listener(sock, self._keys, deadline_of(_HANDSHAKE)))
        except (OSError, DistNetworkError):
            channel = None
        with self._lock:
            if sock in self._unproven:
                self._unproven.remove(sock)
        if channel is None:
            sock.close()
        else:
            handler(channel)

    def close(self):
        """Accept no more channels; those made stay."""
        self.closed = True
        _shut(self._socket)  # wakes the thread that accepts
        self._socket.close()


_PASSING = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM, errno.EPROTO)  # trouble of accept() that may end


def listen(host="127.0.0.1", port=0):
    """Return a Listener at a host's port (0: a free one); DistNetworkError where that can't be had."""
    keys = known_keys()
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except OSError as error:
        raise DistNetworkError(f"distributed: can't listen at {host}: {error}") from None
    problems = []
    for family, *_, where in found:  # a name may have addresses that this machine has switched off, as ::1
        sock = None
        try:
            sock = socket.socket(family, socket.SOCK_STREAM)
            if os.name == "posix":
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            sock.bind(where)
            sock.listen(256)
            sock.setblocking(False)
            return Listener(sock, keys)
        except OSError as error:
            problems.append(error)
            if sock is not None:
                sock.close()
    raise DistNetworkError(
        "The server socket has failed to listen on any local network address. "
        f"port: {port}, host: {host}, error: {problems[0]}"
    )


def _close_copies():
    """Close, in a process that fork made, what belongs to its parent: the parent's end is to be noticed by others."""
    for copied in [*_OPEN]:
        copied.closed = True
        copied._socket.close()


_OPEN = weakref.WeakSet()  # channels and listeners of this process
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_close_copies)
