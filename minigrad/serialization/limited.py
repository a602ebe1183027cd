"""A file that never gives, or makes room for, more than it has."""


class Limited:
    """Reads at most ``left`` bytes of a file from where it stands; EOFError before anything is read beyond them.

    Python's files make room for what they are asked for before they look how much there is.
    """

    def __init__(self, file, left):
        self.file = file
        self.left = left

    def read(self, count):
        """Return exactly ``count`` bytes."""
        if count > self.left:
            raise EOFError(f"the checkpoint is cut off: it ends {count - self.left} bytes too early")
        data = self.file.read(count)
        self.left -= len(data)
        if len(data) != count:
            raise EOFError(f"the checkpoint is cut off: it ends {count - len(data)} bytes too early")
        return data

    def readline(self):
        """Return the bytes up to the end of a line."""
        data = self.file.readline(min(self.left, 1 << 20))
        self.left -= len(data)
        return data

    def readinto(self, buffer):
        """Fill a flat array of bytes."""
        view = memoryview(buffer)
        if len(view) > self.left:
            raise EOFError(f"the checkpoint is cut off: it ends {len(view) - self.left} bytes too early")
        fill(self.file, view)
        self.left -= len(view)


def fill(file, view):
    """Read a file's next bytes into a flat memoryview; EOFError where it has too few."""
    done = 0
    while done < len(view):
        part = view[done : done + (64 << 20)]
        if hasattr(file, "readinto"):
            count = file.readinto(part)
        else:
            data = file.read(len(part))
            count = len(data)
            part[:count] = data
        if not count:
            raise EOFError(f"the checkpoint is cut off: it ends {len(view) - done} bytes too early")
        done += count
