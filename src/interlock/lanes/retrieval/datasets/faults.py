"""Collects what is wrong with a file, so that one error can name every kind of fault with its count and examples."""

from dataclasses import dataclass, field
from pathlib import Path

from interlock.errors import DataError

SHOWN = 3
"""Examples shown of each kind."""


@dataclass
class _Kind:
    hint: str
    count: int = 0
    examples: list[str] = field(default_factory=list)


class Faults:
    """The faults of one file. `refuse` raises when there are any."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._kinds: dict[str, _Kind] = {}

    def add(self, kind: str, example: str, *, hint: str) -> None:
        """Count one fault; `example` says where and what (`line 3: '_id' is 7`)."""
        found = self._kinds.setdefault(kind, _Kind(hint))
        found.count += 1
        if found.count <= SHOWN:
            found.examples.append(example)

    def __bool__(self) -> bool:
        return bool(self._kinds)

    def refuse(self) -> None:
        """Raise DataError with every kind, its count, its first examples and the way out of each."""
        if not self._kinds:
            return
        lines = [_describe(name, kind) for name, kind in self._kinds.items()]
        total = sum(kind.count for kind in self._kinds.values())
        raise DataError(
            f"{total} fault{'s' * (total > 1)}\n" + "\n".join(lines),
            path=self.path,
            hint="; ".join(dict.fromkeys(kind.hint for kind in self._kinds.values())),
        )


def _describe(name: str, kind: _Kind) -> str:
    more = f"; and {kind.count - SHOWN} more" if kind.count > SHOWN else ""
    return f"  {name} ({kind.count}): " + "; ".join(kind.examples) + more
