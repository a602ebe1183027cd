"""The agent of a worker: sends requests to the others, runs theirs, and notices who is gone.

One thread reads each channel and never runs a program's code: calls run in the pool of worker threads, callbacks of
futures in one of their own, and what the framework itself asks (values of RRefs, gradients, barriers) in a third, where
nothing waits; so none of them holds up another. A housekeeper ends requests that take too long and returns RRefs.
"""

import contextlib
import itertools
import pickle
import queue
import threading
import time
import traceback
from fractions import Fraction

from minigrad.distributed import autograd, transport
from minigrad.distributed.errors import DistError
from minigrad.distributed.rpc.options import UNSET_RPC_TIMEOUT
from minigrad.distributed.rpc.rref import Entries, Later, checked_future
from minigrad.distributed.rpc.wire import decode, encode
from minigrad.futures import Future

_SYSTEM_THREADS = 4
_CALLBACK_THREADS = 16
_PARTING = 5.0  # seconds to wait for the others' last messages
_PATIENCE = 1.0  # seconds of trying to connect
_REQUESTS = ("call", "remote", "system")


class _AgentFuture(Future):
    """A Future whose callbacks run in the agent's threads: who completes it only reads a channel."""

    agent = None

    def _run_all(self, callbacks):
        agent = self.agent
        for context, callback in callbacks:
            if agent is None or not agent.callbacks.submit(context.run, callback, self):
                context.run(callback, self)


class _Pool:
    """At most ``count`` threads that run what they are given; they don't keep a process from ending."""

    def __init__(self, count, name):
        self._count, self._name = count, name
        self._work, self._lock = queue.SimpleQueue(), threading.Lock()
        self._threads, self._free, self._open = [], 0, True

    def submit(self, function, *args):
        """Have function(*args) run; return whether there is still anyone to run it."""
        with self._lock:
            if not self._open:
                return False
            self._work.put((function, args))
            self._free -= 1  # negative: so many wait for a thread
            if self._free < 0 and len(self._threads) < self._count:
                name = f"{self._name}-{len(self._threads)}"
                self._threads.append(threading.Thread(target=self._run, name=name, daemon=True))
                self._free += 1
                self._threads[-1].start()
            return True

    def _run(self):
        while (task := self._work.get()) is not None:
            function, args = task
            try:
                function(*args)
            except Exception:  # noqa: BLE001 - a thread outlives what it runs
                traceback.print_exc()
            del task, function, args
            with self._lock:
                self._free += 1

    def close(self, timeout):
        """End the threads, and wait for them that long."""
        with self._lock:
            self._open = False
        for _ in self._threads:
            self._work.put(None)
        deadline = transport.deadline_of(timeout)
        for thread in self._threads:
            if thread is not threading.current_thread():
                thread.join(transport.remaining(deadline))


class _Plain(str):
    """A message that KeyError, which shows its argument's repr, shows as it is."""

    def __repr__(self):
        return str(self)


class _Failure:
    """An exception on its way to another worker: its class, where that can be named, and the text."""

    def __init__(self, error, worker):
        trace = "".join(traceback.format_exception(error))
        self.text = f"On {worker}:\n{error!r}\n{trace}"
        try:
            self.kind = pickle.dumps(type(error))
        except Exception:  # noqa: BLE001 - a class made within a function can't be named to another process
            self.kind = b""

    def error(self):
        """Return the exception for the caller."""
        try:
            kind = pickle.loads(self.kind)  # noqa: S301 - from a worker that has proven to know the secret
            return kind(_Plain(self.text) if issubclass(kind, KeyError) else self.text)
        except Exception as problem:  # noqa: BLE001 - whatever its constructor raises
            return RuntimeError(
                f"Failed to create original exception type. Error msg was {problem} Original exception on remote side "
                f"was {self.text}"
            )


class _Peer:
    """Another worker: the channel to it, and whether it is gone."""

    def __init__(self, worker, address):
        self.worker, self.address = worker, address
        self.channel = self.gone = None
        self.left = False  # in order
        self.lock = threading.Lock()


class _Loop:
    """The channel of a worker to itself."""

    def __init__(self, agent):
        self.agent = agent

    def send(self, *parts, timeout=None):
        self.agent.handle(bytearray().join(parts), self, self.agent.me.id)


class Agent:
    """What a worker is between init_rpc and shutdown."""

    def __init__(self, me, workers, addresses, listener, options):
        self.me, self.options = me, options
        self.timeout = options.rpc_timeout
        self.workers = workers
        self.names = {worker.name: worker for worker in workers}
        self.entries = Entries()
        self.closed = False
        self.peers = {worker.id: _Peer(worker, addresses[worker.id]) for worker in workers}
        self.calls = _Pool(options.num_worker_threads, f"rpc-{me.id}-call")
        self.system = _Pool(_SYSTEM_THREADS, f"rpc-{me.id}-system")
        self.callbacks = _Pool(_CALLBACK_THREADS, f"rpc-{me.id}-callback")
        self._numbers = itertools.count().__next__
        self._requests = itertools.count(1).__next__
        self._pending = {}  # number of a request -> (future, worker's id, deadline or None, kind, timeout)
        self._lock = threading.Lock()
        self.quiet = threading.Condition(self._lock)
        self.active = self.sent = self.handled = 0  # calls: running here, sent from here and handled here so far
        self._incoming = {}  # channel -> worker's id
        self._gathered = {}  # name of a meeting -> (ids of its members, {id: (value, future)})
        self._errands = queue.SimpleQueue()
        self._wake_at = None
        self._threads = []
        self.maps = {}  # worker's id -> its device maps, by their GPUs' names
        self.listener = listener
        if listener is not None:
            listener.serve(self._serve, f"rpc-{me.id}-listener")
        self._start(self._keep_house, "housekeeper")

    def _start(self, function, name, *args):
        thread = threading.Thread(target=function, args=args, name=f"rpc-{self.me.id}-{name}", daemon=True)
        self._threads.append(thread)
        thread.start()

    def new_number(self):
        """Return an identity that no other object of any worker has."""
        return self.me.id, self._numbers()

    def worker(self, to):
        """Return the WorkerInfo of a name, an id or itself; RuntimeError for an unknown one."""
        if isinstance(to, str):
            if to in self.names:
                return self.names[to]
            raise RuntimeError(f"name:{self.me.name},rank:{self.me.id} could not find destination name {to}")
        if isinstance(to, int):
            if to in self.peers:
                return self.peers[to].worker
            raise RuntimeError(f"name:{self.me.name},rank:{self.me.id} could not find destination id {to}")
        if hasattr(to, "id") and hasattr(to, "name"):
            return self.worker(to.id)
        raise ValueError(f"Cannot get WorkerInfo from name {to}")

    def device_map(self, to):
        """Return {GPU here: GPU there} for tensors sent to a worker: this one's map, or the inverse of the other's."""
        back = {there: here for here, there in self.maps.get(to, {}).get(self.me.name, {}).items()}
        own = self.options.device_maps.get(self.peers[to].worker.name, {})
        return {**back, **{str(here): str(there) for here, there in own.items()}}

    # ------------------------------------------------------------ requests of this worker
    def seconds(self, timeout):
        """Return a request's timeout in seconds, None for none."""
        timeout = self.timeout if timeout is None or timeout == UNSET_RPC_TIMEOUT else timeout
        if timeout < 0:
            raise ValueError(f"rpc: timeout must not be negative, but got {timeout}")
        return timeout or None

    def wait(self, future, timeout):
        """Return a future's value; RuntimeError when it takes longer than a timeout."""
        seconds = self.seconds(timeout)
        if not future._done.wait(seconds):
            raise _timed_out(self.me, seconds)
        return future.value()

    def request(self, to, kind, value, timeout=UNSET_RPC_TIMEOUT, extra=(), record=True):
        """Send a request to a worker and return the Future of its answer.

        ``record`` it, and the answer, in the current context of distributed autograd.
        """
        seconds = self.seconds(timeout)
        context = autograd.current() if record else None
        number = self._requests()
        future = _AgentFuture()
        future.agent = self
        parts, undo = encode(self, to.id, kind, number, extra, value, context)
        deadline = None if seconds is None else time.monotonic() + seconds
        with self._lock:
            if self.closed:
                undo()
                raise RuntimeError("RPC has been shut down")
            self._pending[number] = future, to.id, deadline, kind, seconds
            self.sent += kind != "system"
            self._watch(deadline)
        try:
            self._channel(to.id, seconds).send(*parts, timeout=seconds)
        except (DistError, OSError) as error:
            undo()
            self._complete(number, None, self._explained(to, error))
        except BaseException:
            undo()
            self._complete(number, None, RuntimeError("rpc: the request was not sent"))
            raise
        return future

    def notify(self, to, kind, extra=(), channel=None):
        """Send a message that has no answer, if the worker is there; nothing happens where it is not."""
        with contextlib.suppress(DistError, OSError, RuntimeError):
            channel = channel or self._channel(to, self.seconds(None))
            channel.send(*encode(self, to, kind, extra=extra)[0], timeout=_PARTING)

    def _channel(self, to, seconds):
        peer = self.peers[to]
        if peer.gone:
            raise DistError(peer.gone)
        with peer.lock:
            if peer.channel is None:
                peer.channel = _Loop(self) if to == self.me.id else self._dial(peer, seconds)
            return peer.channel

    def _dial(self, peer, seconds):
        until = time.monotonic() + _PATIENCE  # all were there at the beginning: who does not answer is gone

        def give_up():
            if peer.gone or self.closed or time.monotonic() > until:
                raise DistError(peer.gone or ("RPC has been shut down" if self.closed else "it does not answer"))

        try:
            channel = transport.dial(peer.address, seconds, give_up)
        except DistError as error:
            self._lost(peer, str(error), None)
            raise
        channel.send(b"%d" % self.me.id, timeout=seconds)
        self._start(self._read, f"to-{peer.worker.id}", channel, peer.worker.id)
        return channel

    def _explained(self, worker, error):
        gone = self.peers[worker.id].gone
        return RuntimeError(gone or f"{self.me.name}: can't send to worker {worker.name} (id {worker.id}): {error}")

    def _complete(self, number, value, error):
        """Answer a pending request; nothing happens where it has been answered."""
        with self._lock:
            pending = self._pending.pop(number, None)
            self.quiet.notify_all()
        if pending is not None:
            pending[0]._complete(value, error)

    # ------------------------------------------------------------ reading
    def _serve(self, channel):
        """Read the requests of a worker that dialed."""
        with channel:
            try:
                sender = int(channel.receive(timeout=_PARTING * 4, limit=20))
            except (DistError, EOFError, ValueError):
                return
            if sender in self.peers:
                with self._lock:
                    self._incoming[channel] = sender
                self._read(channel, sender)

    def _read(self, channel, peer):
        reason = "the connection was closed"
        try:
            while True:
                self.handle(channel.receive(), channel, peer)
        except EOFError:
            pass
        except Exception as error:  # noqa: BLE001 - a message that can't be read ends the connection, and says so
            reason = str(error) or repr(error)
        channel.close()
        with self._lock:
            self._incoming.pop(channel, None)
            self.quiet.notify_all()
        self._lost(self.peers[peer], reason, channel)

    def _lost(self, peer, reason, channel):
        """Fail what waits for a worker that is gone; answers may still be in the channel that requests went by."""
        if self.closed:
            return
        worker = peer.worker
        with self._lock:
            if not peer.gone:
                how = "has left by shutdown()" if peer.left else f"is gone: {reason}"
                peer.gone = f"worker {worker.name} (id {worker.id}) {how}"
            answered = peer.channel in (None, channel) or peer.channel.closed
            numbers = [number for number, entry in self._pending.items() if entry[1] == worker.id and answered]
            waiting = [
                name for name, (members, values) in self._gathered.items()
                if worker.id in members and (worker.id not in values or not peer.left)
            ]  # fmt: skip
        for number in numbers:
            self._complete(number, None, RuntimeError(peer.gone))
        for name in waiting:
            self._end_meeting(name, RuntimeError(peer.gone))
        autograd.forget(worker.id)

    def handle(self, frame, channel, sender):
        """Take one message: of a request, only note it and give it to a pool."""
        message = decode(self, sender, frame)
        kind, extra = message.kind, message.extra
        if kind in ("reply", "error"):
            self._answered(message)
        elif kind == "release":
            self.entries.take_back(*extra)
        elif kind == "bye":
            self.peers[sender].left = True
        elif kind in _REQUESTS:
            entry = self.entries.issue(*extra) if kind == "remote" else None
            with self._lock:
                self.active += kind != "system"
            pool = self.system if kind == "system" else self.calls
            if not pool.submit(self._run, message, channel, sender, entry):
                self._done(kind)
        else:
            raise DistError(f"rpc: a message of unknown kind {kind!r}")

    def _answered(self, message):
        try:
            value = message.load()
            error = value.error() if message.kind == "error" else None
        except Exception as problem:  # noqa: BLE001 - whatever a class's unpickling raises
            value, error = None, problem
        self._complete(message.number, None if error else value, error)

    # ------------------------------------------------------------ running requests
    def _run(self, message, channel, sender, entry):
        """Run a request in a thread of a pool, and answer."""

        def finish(future):
            error = future._error
            if entry is not None:
                entry.future._complete(future._value, error)
            failed = error is not None
            value = _Failure(error, self.me) if failed else None if entry is not None else future._value
            self._reply(message, channel, sender, value, failed, message.context)
            self._done(message.kind)

        result = Future()
        with autograd.entered(message.context):
            try:
                function, *arguments = message.load()
                if message.kind == "system":
                    value = function(self, *arguments[0])
                else:
                    value = function(*arguments[0], **arguments[1])
                    if hasattr(function, "_wrapped_async_rpc_function"):
                        value = Later(checked_future(value))
                del arguments
            except Exception as error:  # noqa: BLE001 - whatever the function raises goes to the caller
                error.__traceback__ = error.__traceback__.tb_next or error.__traceback__  # without this frame
                result.set_exception(error)
            except BaseException as error:
                result.set_exception(RuntimeError(f"the function ended with {error!r}"))
            else:
                if isinstance(value, Later):
                    value.future._add(finish)
                    return
                result.set_result(value)
        finish(result)

    def _done(self, kind):
        if kind != "system":
            with self._lock:
                self.active -= 1
                self.handled += 1
                self.quiet.notify_all()

    def _reply(self, message, channel, sender, value, failed, context):
        kind, number = ("error" if failed else "reply"), message.number
        try:
            try:
                parts, undo = encode(self, sender, kind, number, (), value, context)
            except Exception as error:  # noqa: BLE001 - the value can't be pickled
                parts, undo = encode(self, sender, "error", number, (), _Failure(error, self.me))
            try:
                channel.send(*parts, timeout=self.seconds(None))
            except (DistError, OSError):
                undo()  # nobody waits for the answer any more
        except RuntimeError:
            if not self.closed:
                raise

    # ------------------------------------------------------------ housekeeping
    def release(self, owner, number, weight):
        """Return the weight of an RRef that is gone; called from __del__, so at any moment in any thread."""
        if not self.closed:
            self._errands.put((owner.id, number, weight))

    def _watch(self, deadline):
        """Have the housekeeper look at a request's deadline in time; called under the lock."""
        if deadline is not None and (self._wake_at is None or deadline < self._wake_at):
            self._wake_at = deadline
            self._errands.put(None)

    def _keep_house(self):
        while not self.closed:
            wake_at = self._wake_at
            try:
                errand = self._errands.get(timeout=None if wake_at is None else max(0.0, wake_at - time.monotonic()))
            except queue.Empty:
                self._end_late_requests()
            else:
                if errand is not None:
                    owner, number, weight = errand
                    self.notify(owner, "release", (number, weight))

    def _end_late_requests(self):
        now = time.monotonic()
        late = []
        with self._lock:
            self._wake_at = None
            for number, (_, to, deadline, _, seconds) in self._pending.items():
                if deadline is not None and deadline <= now:
                    late.append((number, to, seconds))
                else:
                    self._watch(deadline)
        for number, to, seconds in late:
            self._complete(number, None, _timed_out(self.peers[to].worker, seconds))

    # ------------------------------------------------------------ meetings and the end
    def gather(self, name, value, timeout, members=None):
        """Return {worker's id: value} of all workers (or members' ids), once all have called this with that name."""
        members = sorted(self.peers if members is None else members)
        arguments = (name, self.me.id, value, members)
        return self.request(self.worker(members[0]), "system", (_join, arguments), timeout, record=False).wait()

    def join_meeting(self, name, worker, value, members):
        """Note one worker's value at the leader; return the Future of all values."""
        future = Future()
        missing = sorted((self.peers[member] for member in members if self.peers[member].gone), key=lambda p: p.left)
        gone = missing[0].gone if missing else None
        with self._lock:
            values = self._gathered.setdefault(name, (members, {}))[1]
            values[worker] = value, future
            complete = len(values) == len(members)
            if complete:
                del self._gathered[name]
        if complete:
            for _, waiting in values.values():
                waiting.set_result({member: values[member][0] for member in members})
        elif gone:
            self._end_meeting(name, RuntimeError(gone))
        return future

    def _end_meeting(self, name, error):
        with self._lock:
            _, values = self._gathered.pop(name, (None, {}))
        for _, waiting in values.values():
            waiting.set_exception(error)

    def _wait_until_idle(self, deadline):
        def idle():
            return not self.active and all(entry[3] == "system" for entry in self._pending.values())

        with self._lock:
            if not self.quiet.wait_for(idle, transport.remaining(deadline)):
                raise RuntimeError(f"shutdown: {self.me.name} still has unfinished calls after the timeout")

    def wait_for_all(self, timeout):
        """Wait until all workers call this and no call is running or on its way between any of them."""
        deadline = transport.deadline_of(timeout or None)
        before = None
        for turn in itertools.count():
            if turn:
                self._wait_until_idle(deadline)
            left = max(0.001, transport.remaining(deadline)) if timeout else 0
            counts = self.gather(f"shutdown/{turn}", (self.sent, self.handled), left)
            totals = [sum(column) for column in zip(*counts.values(), strict=True)]
            if turn and totals == before and totals[0] == totals[1]:
                return
            before = totals

    def close(self, orderly, grace=0.0):
        """End all threads and connections; what still waits fails, after ``grace`` seconds if not ``orderly``."""
        if not orderly:
            with contextlib.suppress(RuntimeError):
                self._wait_until_idle(transport.deadline_of(grace))
        with self._lock:
            ways = [*self._incoming.items()]
        ways += [(peer.channel, peer.worker.id) for peer in self.peers.values() if peer.channel is not None]
        for channel, worker in ways:  # the other side may hear the end of any of them first
            self.notify(worker, "bye", channel=channel)
        if orderly:
            with self._lock:
                self.quiet.wait_for(self._all_left, _PARTING)
        with self._lock:
            self.closed = True
            pending, self._pending = [*self._pending.values()], {}
            channels = [*self._incoming]
        self._errands.put(None)
        for entry in pending:
            entry[0]._complete(None, RuntimeError("RPC has been shut down"))
        if self.listener is not None:
            self.listener.close()
        for peer in self.peers.values():
            if isinstance(peer.channel, transport.Channel):
                channels.append(peer.channel)
        for channel in channels:
            channel.close()
        for pool in (self.calls, self.system, self.callbacks):
            pool.close(_PARTING if orderly else 0.1)
        self.entries.clear()
        own = threading.current_thread()
        names = (f"rpc-{self.me.id}-listener", f"rpc-{self.me.id}-listener-channel")
        threads = [*self._threads, *(thread for thread in threading.enumerate() if thread.name in names)]
        for thread in threads:
            if thread is not own:
                thread.join(_PARTING)

    def _all_left(self):
        return all(self.peers[sender].left for sender in self._incoming.values())


def _join(agent, name, worker, value, members):
    """Take part in a meeting whose leader this worker is."""
    return Later(agent.join_meeting(name, worker, value, members))


def _timed_out(worker, seconds):
    error = RuntimeError(
        f"RPC ran for more than set timeout ({round(seconds * 1000)} ms) and will now be marked with an error: {worker}"
    )
    error.timed_out = True
    return error


WHOLE = Fraction(1)
