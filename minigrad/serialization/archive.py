"""The zip archive around a checkpoint: records stored uncompressed, their bytes at multiples of 64.

Source: https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT and the layout that PyTorch documents in
https://docs.pytorch.org/docs/stable/notes/serialization.html
"""

import struct
import zipfile
import zlib

ALIGNMENT = 64
_LOCAL = struct.Struct("<4s5H3I2H")
_CENTRAL = struct.Struct("<4s6H3I5H2I")
_END64 = struct.Struct("<4sQ2H2I4Q")
_LOCATOR64 = struct.Struct("<4sIQI")
_END = struct.Struct("<4s4H2IH")
_LIMIT16, _LIMIT32 = 0xFFFF, 0xFFFFFFFF
_UTF8 = 0x800
_JAN_1_1980 = 0x21  # the earliest day a zip can name


class Writer:
    """Writes records one after the other to a file that only needs ``write``; ``close`` adds the directory."""

    def __init__(self, file, checksums=True):
        self.file = file
        self.position = 0
        self.entries = []
        self.checksums = checksums  # False: zeros in their place, which readers take for none
        self.checksum = 0  # of everything recorded

    def _write(self, data):
        self.file.write(data)
        self.position += len(data)

    def add(self, name, data):
        """Add a record: bytes, or a flat memoryview of bytes."""
        encoded = name.encode()
        size = len(data)
        crc = zlib.crc32(data) if self.checksums else 0
        self.checksum = zlib.crc32(encoded, zlib.crc32(crc.to_bytes(4, "little"), self.checksum))
        large = size >= _LIMIT32
        extra = struct.pack("<2H2Q", 1, 16, size, size) if large else b""
        # A field "FB" of filler makes the bytes start at a multiple of 64.
        filler = -(self.position + _LOCAL.size + len(encoded) + len(extra) + 4) % ALIGNMENT
        extra += struct.pack("<2sH", b"FB", filler) + b"Z" * filler
        shown = _LIMIT32 if large else size
        self.entries.append((encoded, crc, size, self.position))
        version = 45 if large else 20
        header = (b"PK\3\4", version, _UTF8, 0, 0, _JAN_1_1980, crc, shown, shown, len(encoded), len(extra))
        self._write(_LOCAL.pack(*header) + encoded + extra)
        self._write(data)

    def close(self):
        """Write the directory; the file itself stays open."""
        start = self.position
        for encoded, crc, size, offset in self.entries:
            wide = [value for value in (size, size, offset) if value >= _LIMIT32]
            extra = struct.pack(f"<2H{len(wide)}Q", 1, 8 * len(wide), *wide) if wide else b""
            shown = min(size, _LIMIT32)
            version = 45 if wide else 20
            self._write(
                _CENTRAL.pack(
                    b"PK\1\2", version, version, _UTF8, 0, 0, _JAN_1_1980, crc, shown, shown, len(encoded), len(extra),
                    0, 0, 0, 0, min(offset, _LIMIT32),
                ) + encoded + extra
            )  # fmt: skip
        length, count = self.position - start, len(self.entries)
        if count >= _LIMIT16 or start >= _LIMIT32 or length >= _LIMIT32:
            end = self.position
            self._write(_END64.pack(b"PK\6\6", _END64.size - 12, 45, 45, 0, 0, count, count, length, start))
            self._write(_LOCATOR64.pack(b"PK\6\7", 0, end, 1))
        shown = min(count, _LIMIT16)
        self._write(_END.pack(b"PK\5\6", 0, 0, shown, shown, min(length, _LIMIT32), min(start, _LIMIT32), 0))


class Reader:
    """Finds the records of an archive; every size is checked against the file before anything is read.

    RuntimeError for an archive that is damaged, cut off, or not one that PyTorch or minigrad writes.
    """

    def __init__(self, file, length):
        self.file = file
        self.length = length
        try:
            with zipfile.ZipFile(file) as archive:
                found = archive.infolist()
        except (MemoryError, KeyboardInterrupt):
            raise
        except Exception as error:  # zipfile raises many kinds
            raise RuntimeError(
                f"the file is cut off or damaged: it begins as a zip archive, but {error or 'it has no directory'}"
            ) from error
        if not found:
            raise RuntimeError("the file is an empty zip archive, not a checkpoint")
        total = 0
        for entry in found:
            if entry.compress_type != zipfile.ZIP_STORED or entry.compress_size != entry.file_size:
                raise RuntimeError(
                    f"record {entry.filename!r} of the file is compressed; PyTorch and minigrad store records as they "
                    "are, and what unpacks to more than the file's size is not read: store it again with `zip -0`"
                )
            if entry.flag_bits & 1:
                raise RuntimeError(f"record {entry.filename!r} of the file is encrypted")
            total += entry.file_size
        if total > length:
            raise RuntimeError(
                f"the file is cut off or damaged: its {length} bytes can't hold records of {total} bytes"
            )
        self.root = found[0].filename.partition("/")[0]
        self.entries = {entry.filename: entry for entry in found}

    def __contains__(self, name):
        return f"{self.root}/{name}" in self.entries

    def find(self, name):
        """Return (offset in the file, size) of a record; RuntimeError where it is missing or not inside the file."""
        entry = self.entries.get(f"{self.root}/{name}")
        if entry is None:
            raise RuntimeError(f"the file has no record {self.root}/{name}: it is damaged or not a checkpoint")
        header = b""
        if 0 <= entry.header_offset <= self.length - _LOCAL.size:
            self.file.seek(entry.header_offset)
            header = self.file.read(_LOCAL.size)
        if len(header) != _LOCAL.size or not header.startswith(b"PK\3\4"):
            raise RuntimeError(f"the file is damaged: record {entry.filename} is not where the directory says")
        name_length, extra_length = _LOCAL.unpack(header)[-2:]
        start = entry.header_offset + _LOCAL.size + name_length + extra_length
        if start + entry.file_size > self.length:
            raise RuntimeError(f"the file is cut off or damaged: record {entry.filename} ends after the file's end")
        return start, entry.file_size

    def read(self, name):
        """Return the bytes of a record."""
        start, size = self.find(name)
        self.file.seek(start)
        data = self.file.read(size)
        if len(data) != size:
            raise RuntimeError(f"the file is cut off: record {name} has {len(data)} of {size} bytes")
        self.verify(name, data)
        return data

    def verify(self, name, data):
        """Compare a record's checksum; PyTorch leaves it at zero after set_crc32_options(False)."""
        expected = self.entries[f"{self.root}/{name}"].CRC
        if expected and zlib.crc32(data) != expected:
            raise RuntimeError(f"the file is damaged: the checksum of record {name} is wrong")
