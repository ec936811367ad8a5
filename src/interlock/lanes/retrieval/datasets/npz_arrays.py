"""Reads arrays out of an `.npz` file by their headers, in blocks: pickles and false sizes are refused before reading.

`numpy.load` would unpack a whole member at once and trusts its size; here the shape that a member declares is checked
against the size of its data and against a limit first. Fortran order is supported for two dimensions.
"""

import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Any

import numpy as np
from numpy.lib import format as npy_format
from numpy.typing import NDArray

from interlock.errors import DataError

BLOCK_BYTES = 1 << 24
_UNREADABLE = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError)
_AGAIN = "write it again with numpy.savez or numpy.savez_compressed"


@dataclass(frozen=True)
class ArrayHeader:
    """What a member declares of itself."""

    name: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    fortran: bool
    size_bytes: int
    """Size of the data without the header."""


class NpzArrays:
    """The arrays of one `.npz` file. Use as a context manager."""

    def __init__(self, path: Path, *, max_bytes: int) -> None:
        """Read every header. Raises DataError: not a zip, an object array, false or excessive sizes."""
        self.path = path
        try:
            self._zip = zipfile.ZipFile(path)
        except (OSError, *_UNREADABLE) as error:
            raise DataError(f"not a readable npz file: {error}", path=path, hint=_AGAIN) from None
        try:
            self.headers = {name.removesuffix(".npy"): self._header(name) for name in self._zip.namelist()}
            self._refuse_excess(max_bytes)
        except BaseException:
            self._zip.close()
            raise

    def __enter__(self) -> "NpzArrays":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._zip.close()

    def blocks(self, name: str) -> Iterator[NDArray[Any]]:
        """Yield the array in blocks along its first axis, about 16 MiB each. Raises DataError when data are damaged."""
        header = self.headers[name]
        rows = header.shape[0] if header.shape else 1
        row_bytes = max(header.size_bytes // max(rows, 1), 1)
        step = rows if header.fortran else max(BLOCK_BYTES // row_bytes, 1)
        with self._reading(name), self._zip.open(f"{name}.npy") as file:
            _read_header(file)
            for start in range(0, rows, max(step, 1)):
                count = min(step, rows - start)
                yield self._block(file, header, count)

    def whole(self, name: str) -> NDArray[Any]:
        """The whole array."""
        header = self.headers[name]
        parts = list(self.blocks(name))
        return np.concatenate(parts) if parts else np.empty(header.shape, header.dtype)

    def _header(self, member: str) -> ArrayHeader:
        with self._reading(member), self._zip.open(member) as file:
            try:
                shape, fortran, dtype = _read_header(file)
            except ValueError as error:
                raise DataError(f"not an array: {error}", path=self.path, key=member, hint=_AGAIN) from None
            left = self._zip.getinfo(member).file_size - file.tell()
        if dtype.hasobject:
            raise DataError(
                "an object array (a pickle, which could run code)",
                path=self.path,
                key=member,
                value=str(dtype),
                hint="store ids as strings (dtype '<U..') or integers and vectors as float32",
            )
        declared = dtype.itemsize
        for length in shape:
            declared *= length  # Python integers: a product in int64 could overflow to something harmless
        if declared != left:
            raise DataError(
                f"shape {shape} of {dtype} is {declared} bytes, the member holds {left}",
                path=self.path,
                key=member,
                hint=_AGAIN,
            )
        return ArrayHeader(member, shape, dtype, fortran and len(shape) > 1, declared)

    def _refuse_excess(self, max_bytes: int) -> None:
        total = sum(header.size_bytes for header in self.headers.values())
        if total > max_bytes:
            raise DataError(
                f"the arrays unpack to {total} bytes, the limit is {max_bytes}",
                path=self.path,
                key="lane.data.max_bytes",
                hint="raise the limit if the file is trusted",
            )

    def _block(self, file: IO[bytes], header: ArrayHeader, count: int) -> NDArray[Any]:
        shape = (count, *header.shape[1:]) if header.shape else ()
        wanted = header.dtype.itemsize
        for length in shape:
            wanted *= length
        data = file.read(wanted)
        if len(data) != wanted:
            raise EOFError(f"{len(data)} of {wanted} bytes")
        return np.frombuffer(data, header.dtype).reshape(shape, order="F" if header.fortran else "C")

    def _reading(self, name: str) -> "_Reading":
        return _Reading(self.path, name)


class _Reading:
    """Turns what zipfile raises for damaged data into a DataError."""

    def __init__(self, path: Path, name: str) -> None:
        self._path, self._name = path, name

    def __enter__(self) -> None:
        return None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if isinstance(error, _UNREADABLE):
            raise DataError(
                f"the data are damaged: {error}", path=self._path, key=self._name, hint="fetch the file again"
            ) from None


def _read_header(file: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    version = npy_format.read_magic(file)
    if version == (1, 0):
        return npy_format.read_array_header_1_0(file)
    if version == (2, 0):
        return npy_format.read_array_header_2_0(file)
    raise ValueError(f"npy format {version} (only structured arrays need it)")
