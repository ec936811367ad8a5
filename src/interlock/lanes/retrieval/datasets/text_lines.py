"""Reads UTF-8 lines of plain or gzipped files, streaming, with the place of every broken byte."""

import gzip
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, cast

from interlock.errors import DataError
from interlock.lanes.retrieval.datasets.faults import Faults

MAX_LINE_BYTES = 1 << 26
"""Longest line that is read (64 MiB), so that a file without line ends cannot fill the memory."""


def numbered_lines(path: Path, faults: Faults) -> Iterator[tuple[int, str]]:
    """Yield (line number from 1, text without line end); blank lines are passed over, broken ones become faults.

    Raises DataError when the file cannot be read or unpacked.
    """
    offset = 0
    for number, data in enumerate(_raw_lines(path), start=1):
        if len(data) > MAX_LINE_BYTES:
            raise DataError(
                f"line {number} is longer than {MAX_LINE_BYTES} bytes",
                path=path,
                hint="one record per line, separated by line feeds",
            )
        start, offset = offset, offset + len(data)
        try:
            text = data.decode()
        except UnicodeDecodeError as error:
            broken = data[error.start : error.end].hex(" ")
            faults.add(
                "broken UTF-8",
                f"line {number}, byte offset {start + error.start}: {broken}",
                hint="save the file as UTF-8 (iconv -t utf-8)",
            )
            continue
        if text := (text.removeprefix("\ufeff") if number == 1 else text).rstrip("\r\n"):
            yield number, text


def _raw_lines(path: Path) -> Iterator[bytes]:
    try:
        with _open(path) as file:
            while line := file.readline(MAX_LINE_BYTES + 1):
                yield line
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise DataError(f"not a complete gzip file: {error}", path=path, hint="fetch the file again") from None
    except OSError as error:
        raise DataError(
            f"cannot be read: {error.strerror or error}", path=path, hint="check the file's permissions and disk"
        ) from None


def _open(path: Path) -> BinaryIO:
    return cast(BinaryIO, gzip.open(path)) if path.suffix == ".gz" else path.open("rb")


def encodes(text: str) -> bool:
    """Whether it can be written as UTF-8; lone surrogates, which some sources hold as escapes, cannot."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
