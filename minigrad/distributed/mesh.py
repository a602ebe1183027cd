"""The connections between all ranks, and the messages waiting on them.

Each message is a header, which says for whom and what it is (group, kind, tag, operation, dtype, shape), and a body of
raw bytes. A thread per connection reads them, so that sending never waits for the other side to ask. What is received
is compared with what is expected, byte counts too, before it becomes an array; nothing is unpickled here.
"""

import contextlib
import queue
import struct
import threading
from collections import defaultdict, deque

from minigrad.backend import np
from minigrad.distributed import transport
from minigrad.distributed.errors import DistBackendError, DistNetworkError, DistTimeoutError
from minigrad.distributed.store import PrefixStore, TCPStore

COLLECTIVE, POINT, FAILURE = range(3)  # kinds of messages
_HEADER = struct.Struct(">QqBBBx12s")  # group, tag, kind, operation, dimensions, dtype
_ALIGNMENT = 16
_MOST_DIMENSIONS = 64
_KEPT = 1 << 28  # bytes that may wait for a receiver before a connection is read no further
_NOTICE = 4000  # characters of a failure that are told to others


class Message:
    """A message received: the operation's number, dtype name and shape it says it has, and the body."""

    def __init__(self, source, data):
        if len(data) < _HEADER.size:
            raise DistNetworkError("a message is too short")
        self.source = source
        self.group, self.tag, self.kind, self.operation, dimensions, dtype = _HEADER.unpack_from(data)
        start = _body_start(dimensions)
        if dimensions > _MOST_DIMENSIONS or len(data) < start:
            raise DistNetworkError("a message is malformed")
        self.dtype = dtype.rstrip(b"\0").decode("ascii", "replace")
        self.shape = struct.unpack_from(f">{dimensions}Q", data, _HEADER.size)
        self.body = memoryview(data)[start:]

    def array(self, dtype, shape=None, size=None):
        """Return the body as an array of the dtype and shape, or number of elements, that is expected.

        DistBackendError where the message is of another.
        """
        count = int(np.prod(shape)) if size is None else size
        sent = 1
        for length in self.shape:
            sent *= length
        if self.dtype != dtype.name or sent != count or len(self.body) != count * dtype.itemsize:
            wanted = f"{list(shape)}" if shape is not None else f"{size} elements"
            raise DistBackendError(
                f"rank {self.source} sent a tensor of shape {list(self.shape)} and dtype {self.dtype}, but {wanted} "
                f"and {dtype.name} are expected; the tensors of all ranks must agree"
            )
        array = np.frombuffer(self.body, np.uint8).view(dtype)
        return array if shape is None else array.reshape(shape)


def _body_start(dimensions):
    return -(-(_HEADER.size + 8 * dimensions) // _ALIGNMENT) * _ALIGNMENT


def encode(group, kind, tag, operation, payload):
    """Return a message's parts, of an array or of bytes."""
    is_array = isinstance(payload, np.ndarray)
    shape = payload.shape if is_array else (len(payload),)
    name = payload.dtype.name.encode() if is_array else b""
    header = _HEADER.pack(group, tag, kind, operation, len(shape), name) + struct.pack(f">{len(shape)}Q", *shape)
    header = header.ljust(_body_start(len(shape)), b"\0")
    if is_array:
        payload = np.ascontiguousarray(payload).reshape(-1).view(np.uint8)
    return header, payload


class Post:
    """A message that is waited for; ``then(post)`` is called once it is there, or can't come any more."""

    def __init__(self, sources, then=None):
        self.sources, self.then = sources, then
        self.message = self.error = None
        self.ready = threading.Event()

    def finish(self, message=None, error=None):
        self.message, self.error = message, error
        try:
            if self.then is not None:
                self.then(self)
        finally:
            self.ready.set()


class Mesh:
    """A connection from this rank to each other one, found by a store."""

    def __init__(self, store, rank, size, timeout):
        self.rank, self.size = rank, size
        self.channels = {}  # rank -> Channel
        self._outgoing = {}  # rank -> queue of (parts, timeout, done(error)), for what is sent in the background
        self._lost = {}  # rank -> why its connection ended
        self._failed = {}  # group -> what its failure is
        self._arrived = defaultdict(deque)  # (group, kind, tag) -> messages nobody waits for yet
        self._posts = defaultdict(list)  # (group, kind, tag) -> Posts
        self._kept = defaultdict(int)  # rank -> bytes in _arrived
        self._lock = threading.Condition()
        self._closed = False
        self._connect(store, transport.deadline_of(timeout.total_seconds()), timeout.total_seconds())
        for peer in self.channels:
            threading.Thread(target=self._read, args=(peer,), name=f"from rank {peer}", daemon=True).start()

    # ------------------------------------------------------------ connecting
    def _connect(self, store, deadline, seconds):
        """Dial the ranks before this one, accept those after it.

        Rank 0, which may keep the store, is dialed last: when all are connected to it, nobody needs the store any more.
        """
        listener = transport.listen(own_host(store))
        arrived = queue.SimpleQueue()
        listener.serve(arrived.put, f"rank {self.rank}")
        try:
            store.set(f"address/{self.rank}", "{} {}".format(*listener.address))
            store.set(f"rank/{self.rank}/{listener.address[1]}", "")
            if store.add("ranks", 1) > self.size:
                raise ValueError(
                    f"distributed: more than world_size {self.size} processes came, or two of one rank, or the store's "
                    "file is that of an earlier run"
                )
            for peer in reversed(range(self.rank)):
                host, port = store.get(f"address/{peer}").decode().rsplit(" ", 1)
                channel = transport.dial((host, int(port)), transport.remaining(deadline))
                channel.send(struct.pack(">II", self.rank, self.size), timeout=seconds)
                self.channels[peer] = channel
            while len(self.channels) < self.size - 1:
                self._accept(arrived, deadline)
        except DistTimeoutError:
            missing = sorted({*range(self.size)} - {*self.channels, self.rank})
            self.close()
            raise DistBackendError(
                f"[rank {self.rank}] not all processes came within {round(seconds * 1000)} ms; missing: {missing}"
            ) from None
        except BaseException:
            self.close()
            raise
        finally:
            listener.close()

    def _accept(self, arrived, deadline):
        try:
            channel = arrived.get(timeout=transport.remaining(deadline))
        except queue.Empty:
            raise DistTimeoutError("nobody connected in time") from None
        try:
            hello = channel.receive(transport.remaining(deadline), limit=8)
            peer, size = struct.unpack(">II", hello)
        except (EOFError, DistNetworkError, struct.error):
            channel.close()
            return
        if size != self.size or not self.rank < peer < self.size or peer in self.channels:
            channel.close()
            raise ValueError(
                f"distributed: a process came as rank {peer} of {size}, which rank {self.rank} of {self.size} doesn't "
                "expect: all processes need the same world_size and ranks of their own"
            )
        self.channels[peer] = channel

    # ------------------------------------------------------------ receiving
    def _read(self, peer):
        """Read the messages of a rank until it ends."""
        channel = self.channels[peer]
        reason = "it ended"
        try:
            while True:
                self._deliver(Message(peer, channel.receive()))
        except EOFError:
            pass
        except Exception as error:
            reason = str(error)
        self._lose(peer, reason)

    def _deliver(self, message):
        if message.kind == FAILURE:
            self.fail(message.group, bytes(message.body[:_NOTICE]).decode("utf-8", "replace"))
            return
        key = message.group, message.kind, message.tag
        with self._lock:
            if message.group in self._failed:
                return  # nobody will ask for it
            posts = self._posts.get(key, ())
            post = next((post for post in posts if message.source in post.sources), None)
            if post is None:
                self._arrived[key].append(message)
                self._kept[message.source] += len(message.body)
                self._lock.wait_for(lambda: self._kept[message.source] <= _KEPT or self._posts or self._closed)
                return
            self._forget(key, post)
        post.finish(message)

    def _forget(self, key, post):
        self._posts[key].remove(post)
        if not self._posts[key]:
            del self._posts[key]

    def post(self, group, kind, tag, sources, then=None):
        """Return a Post for the next message of this key from one of the ranks ``sources``."""
        post, key = Post(sources, then), (group, kind, tag)
        with self._lock:
            message = next((message for message in self._arrived.get(key, ()) if message.source in sources), None)
            error = self._failed.get(group)
            if message is not None:
                self._arrived[key].remove(message)
                if not self._arrived[key]:
                    del self._arrived[key]
                self._kept[message.source] -= len(message.body)
            elif error is None:
                error = self._unreachable(sources)
            if message is None and error is None:
                self._posts[key].append(post)
            self._lock.notify_all()
        if message is not None:
            post.finish(message)
        elif error is not None:
            post.finish(error=error)
        return post

    def _unreachable(self, sources):
        """Return what is wrong when none of some ranks can send any more, else None."""
        if self._closed:
            return "the process group was destroyed"
        if all(source in self._lost for source in sources):
            return "; ".join(f"the connection to rank {source} is lost: {self._lost[source]}" for source in sources)
        return None

    def wait(self, post, key, timeout):
        """Return a post's message; DistBackendError when it can't come, DistTimeoutError after timeout seconds."""
        if not post.ready.wait(timeout):
            with self._lock:
                waiting = post in self._posts.get(key, ())
                if waiting:
                    self._forget(key, post)
            if waiting:
                names = ", ".join(map(str, post.sources))
                late = f"timed out after {round(timeout * 1000)} ms waiting for rank {names}"
                post.finish(error=late)
                raise DistTimeoutError(late)
            post.ready.wait()
        if post.error is not None:
            raise DistBackendError(post.error)
        return post.message

    # ------------------------------------------------------------ sending
    def send(self, peer, parts, timeout):
        """Send a message now; DistBackendError where the rank is gone."""
        try:
            self.channels[peer].send(*parts, timeout=timeout)
        except DistTimeoutError:
            raise DistTimeoutError(f"timed out after {round(timeout * 1000)} ms sending to rank {peer}") from None
        except DistNetworkError as error:
            reason = self._lost.get(peer, str(error))
            raise DistBackendError(f"the connection to rank {peer} is lost: {reason}") from None

    def send_later(self, peer, parts, timeout, done):
        """Send a message in the background, after those before it, and call done(error or None) then."""
        with self._lock:
            if peer not in self._outgoing:
                self._outgoing[peer] = queue.SimpleQueue()
                threading.Thread(target=self._send_all, args=(peer,), name=f"to rank {peer}", daemon=True).start()
        self._outgoing[peer].put((parts, timeout, done))

    def _send_all(self, peer):
        while (entry := self._outgoing[peer].get()) is not None:
            parts, timeout, done = entry
            try:
                self.send(peer, parts, timeout)
            except BaseException as error:
                done(error)
            else:
                done(None)
            entry = parts = done = None

    # ------------------------------------------------------------ failing
    def _lose(self, peer, reason):
        with self._lock:
            self._lost[peer] = reason
            hopeless = [
                (key, post, self._unreachable(post.sources))
                for key, posts in self._posts.items()
                for post in posts
                if self._unreachable(post.sources)
            ]
            for key, post, _ in hopeless:
                self._forget(key, post)
        for _, post, error in hopeless:
            post.finish(error=error)

    def fail(self, group, reason):
        """End whatever waits in a group, now and later, with an error."""
        with self._lock:
            self._failed.setdefault(group, reason)
            keys = [key for key in self._posts if key[0] == group]
            posts = [post for key in keys for post in self._posts.pop(key)]
            self._lock.notify_all()
        for post in posts:
            post.finish(error=reason)

    def failure(self, group):
        """Return what made a group fail, or None."""
        return self._failed.get(group)

    def tell_failure(self, group, peers, reason):
        """Tell other ranks that a group failed here."""
        parts = encode(group, FAILURE, 0, 0, reason[:_NOTICE].encode())
        for peer in peers:
            with contextlib.suppress(DistBackendError, DistTimeoutError):
                self.send(peer, parts, 2.0)

    def close(self):
        """End all connections, and what still waits for them."""
        with self._lock:
            self._closed = True
            posts = [post for waiting in self._posts.values() for post in waiting]
            self._posts.clear()
            self._lock.notify_all()
        for outgoing in self._outgoing.values():
            outgoing.put(None)
        for post in posts:
            post.finish(error="the process group was destroyed")
        for channel in self.channels.values():
            channel.close()


def own_host(store):
    """Return the address of this machine by which the others reach it: that by which it reaches the store."""
    while isinstance(store, PrefixStore):
        store = store.underlying_store
    return store.local_address if isinstance(store, TCPStore) else "127.0.0.1"
