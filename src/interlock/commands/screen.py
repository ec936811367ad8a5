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
