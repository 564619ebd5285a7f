"""The fragments of encapsulated pixels: found by their lengths, and read when they are asked for."""

import io
from bisect import bisect_right
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO, NamedTuple

from rtpolyp.dicom.header import DicomFile
from rtpolyp.errors import InputError

__all__ = ["Fragment", "FragmentStream", "find_fragments", "find_frames"]

ITEM, END = b"\xfe\xff\x00\xe0", b"\xfe\xff\xdd\xe0"
HEAD = 8  # bytes of an item's tag and length
MOST_FRAGMENTS = 1 << 20
EXTENDED = "ExtendedOffsetTable"


class Fragment(NamedTuple):
    """A piece of the file."""

    at: int  # bytes from the file's beginning
    length: int  # bytes


def find_fragments(found: DicomFile) -> tuple[list[int], list[Fragment]]:
    """The basic offset table, in bytes, and the fragments of an object whose pixels are encapsulated.

    Raises InputError where an item leaves the file, is none, or there are too many.
    """
    with found.path.open("rb") as file:
        end = file.seek(0, io.SEEK_END)
        at = file.seek(found.pixels_at)
        items: list[Fragment] = []
        while (head := file.read(HEAD))[:4] == ITEM:
            length = int.from_bytes(head[4:], "little")
            at += HEAD
            if at + length > end:
                raise InputError(
                    f"{found.path}: its pixels end after {end - at:,} of {length:,} bytes; it was cut, "
                    "export it again"
                )
            items.append(Fragment(at, length))
            if len(items) > MOST_FRAGMENTS:
                raise InputError(f"{found.path}: has more than {MOST_FRAGMENTS:,} fragments; export it again")
            at = file.seek(at + length)
        if head[:4] != END or len(items) < 2:
            raise InputError(f"{found.path}: the end of its pixels is missing; it was cut, export it again")
        table, *fragments = items
        if table.length > 4 * MOST_FRAGMENTS:
            raise InputError(f"{found.path}: its offset table has {table.length:,} bytes; export it again")
        file.seek(table.at)
        offsets = memoryview(file.read(table.length // 4 * 4)).cast("I")
        return list(offsets), fragments


def find_frames(found: DicomFile) -> list[list[Fragment]]:
    """The fragments of each frame; raises InputError where it is not known which belong together."""
    offsets, fragments = find_fragments(found)
    if found.frames == 1:
        return [fragments]
    if len(fragments) == found.frames:
        return [[fragment] for fragment in fragments]
    extended = found.header.get(EXTENDED)
    if isinstance(extended, bytes) and len(extended) == 8 * found.frames:
        offsets = list(memoryview(extended).cast("Q"))
    zero = fragments[0].at - HEAD
    begins = {fragment.at - HEAD - zero: number for number, fragment in enumerate(fragments)}
    starts = [begins.get(offset, -1) for offset in offsets]
    if len(starts) != found.frames or starts[0] != 0 or starts != sorted(set(starts)):
        raise InputError(
            f"{found.path}: {len(fragments)} fragments for {found.frames} frames, and no table of offsets "
            "that says which belong together; export it again"
        )
    return [
        fragments[first:after] for first, after in zip(starts, [*starts[1:], len(fragments)], strict=True)
    ]


class FragmentStream(io.RawIOBase):
    """Fragments of a file as one stream of bytes; nothing but what is asked for is in memory."""

    def __init__(self, path: Path, fragments: Sequence[Fragment]) -> None:
        self._file: BinaryIO = path.open("rb")
        self._fragments = fragments
        self._starts = [0]  # of each fragment in the stream, and the end
        for fragment in fragments:
            self._starts.append(self._starts[-1] + fragment.length)
        self._at = self._number = 0  # in the stream, and the fragment that holds it

    def readable(self) -> bool:
        """It is."""
        return True

    def seekable(self) -> bool:
        """It is."""
        return True

    def tell(self) -> int:
        """Bytes from the stream's beginning."""
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move to an offset from the beginning, from here, or from the end."""
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._starts[-1]}[whence]
        self._at = min(max(0, base + offset), self._starts[-1])
        self._number = max(0, bisect_right(self._starts, self._at) - 1)
        return self._at

    def read(self, size: int = -1) -> bytes:
        """The next bytes: at most `size`, fewer at the end of a fragment, none at the end."""
        while self._number < len(self._fragments) and self._at >= self._starts[self._number + 1]:
            self._number += 1
        if self._number >= len(self._fragments):
            return b""
        fragment, inside = self._fragments[self._number], self._at - self._starts[self._number]
        rest = fragment.length - inside
        self._file.seek(fragment.at + inside)
        content = self._file.read(rest if size < 0 else min(size, rest))
        self._at += len(content)
        return content

    def close(self) -> None:
        """Close the file; later calls do nothing."""
        self._file.close()
        super().close()
