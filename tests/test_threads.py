"""Sharing work out among threads: every index once, errors, nesting, memory of a thread, a forked child."""

import os
import threading

import pytest

from minigrad.backend import np, set_num_threads, threads


@pytest.fixture(params=[1, 2, 4])
def count_of_threads(request):
    before = threads.get_num_threads()
    set_num_threads(request.param)
    yield request.param
    set_num_threads(before)


@pytest.mark.parametrize("count", [0, 1, 2, 3, 100])
def test_every_index_is_called_once(count_of_threads, count):
    called = []
    threads.parallel_for(count, called.append)
    assert sorted(called) == list(range(count))


@pytest.mark.parametrize(("length", "grain"), [(0, 4), (1, 4), (4, 4), (5, 4), (1000, 7), (3, 0)])
def test_ranges_cover_the_length_whatever_the_number_of_threads(count_of_threads, length, grain):
    found = []
    threads.parallel_ranges(length, grain, lambda start, stop: found.append((start, stop)))
    found.sort()
    edges = [0, *(stop for _, stop in found)]
    assert found == [(start, stop) for start, stop in zip(edges, edges[1:], strict=False)]
    assert edges[-1] == length
    assert all(0 < stop - start <= max(grain, 1) for start, stop in found)


def test_the_first_error_reaches_the_caller_and_the_pool_works_on(count_of_threads):
    def work(index):
        if index == 5:
            raise ValueError("five")

    for _ in range(3):
        with pytest.raises(ValueError, match="five"):
            threads.parallel_for(100, work)
    called = []
    threads.parallel_for(10, called.append)
    assert sorted(called) == list(range(10))


def test_shared_work_inside_shared_work_runs_where_it_is_called(count_of_threads):
    found = []

    def outer(_):
        here = threading.get_ident()
        threads.parallel_for(3, lambda index: found.append((here, threading.get_ident())))

    threads.parallel_for(8, outer)
    assert len(found) == 24
    assert all(caller == runner for caller, runner in found)


def test_blas_has_one_thread_inside_and_its_own_number_again_after():
    set_num_threads(2)
    libraries = threads._blas_libraries()
    inside = []
    threads.parallel_for(2, lambda _: inside.extend(library.get_num_threads() for library in libraries))
    assert set(inside) <= {1}
    assert all(library.get_num_threads() == 2 for library in libraries)
    with pytest.raises(ZeroDivisionError):
        threads.parallel_for(2, lambda index: 1 // 0)
    assert all(library.get_num_threads() == 2 for library in libraries)


def test_an_interruption_waits_for_the_workers(count_of_threads):
    finished = []

    def work(index):
        if index == 0:
            raise KeyboardInterrupt
        finished.append(index)

    with pytest.raises(KeyboardInterrupt):
        threads.parallel_for(50, work)
    before = len(finished)
    threads.parallel_for(3, lambda _: None)
    assert len(finished) == before


def test_scratch_is_the_thread_s_own_and_used_again():
    first = threads.scratch("test", (3, 4), "float32")
    again = threads.scratch("test", (2, 3), "float64")
    assert np.shares_memory(first, again)
    assert again.shape == (2, 3)
    assert again.dtype == np.float64
    other = []
    thread = threading.Thread(target=lambda: other.append(threads.scratch("test", (3, 4), "float32")))
    thread.start()
    thread.join()
    assert not np.shares_memory(first, other[0])
    assert threads.scratch("test", (100, 100), "float32").shape == (100, 100)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_forked_child_makes_threads_of_its_own():
    set_num_threads(2)
    threads.parallel_for(4, lambda _: None)
    child = os.fork()
    if child == 0:
        called = []
        threads.parallel_for(20, called.append)
        os._exit(0 if sorted(called) == list(range(20)) else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
