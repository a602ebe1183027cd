"""What minigrad asks of the C library's allocator."""

from minigrad.backend import allocator


def test_keeping_freed_memory_asks_once_per_setting_that_the_user_left_open(monkeypatch):
    asked = []

    class Library:
        @staticmethod
        def mallopt(parameter, value):
            asked.append((parameter, value))

    monkeypatch.setattr(allocator.ctypes, "CDLL", lambda name: Library)
    for name in ("MALLOC_MMAP_THRESHOLD_", "MALLOC_TRIM_THRESHOLD_", "MALLOC_TOP_PAD_"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("MALLOC_TOP_PAD_", "0")
    allocator.keep_freed_memory()
    assert sorted(asked) == [(-3, 2**25), (-1, 2**30)]


def test_another_c_library_is_left_alone(monkeypatch):
    monkeypatch.setattr(allocator.ctypes, "CDLL", lambda name: object())
    allocator.keep_freed_memory()  # no mallopt: nothing happens

    def refuse(name):
        raise OSError("no such library")

    monkeypatch.setattr(allocator.ctypes, "CDLL", refuse)
    allocator.keep_freed_memory()
