"""Printing for people and for scripts."""

import sys
from typing import Any

from interlock.provenance.canonical import pretty_json


def say(text: str) -> None:
    """Print one paragraph to stdout."""
    sys.stdout.write(f"{text}\n")


def print_json(value: Any) -> None:
    """Print sorted, indented JSON to stdout."""
    sys.stdout.write(pretty_json(value))


def size(size_bytes: float) -> str:
    """A number of bytes for people, in decimal units: `17.4 kB`."""
    if size_bytes < 1000:
        return f"{size_bytes:.0f} B"
    power = min(len(f"{size_bytes:.0f}") - 1, 11) // 3
    return f"{size_bytes / 1000**power:.1f} {('kB', 'MB', 'GB')[power - 1]}"
