"""How the parts of the chain say what they found."""

from dataclasses import dataclass, field
from pathlib import Path

from interlock.contracts.verification import Link, LinkState, Section
from interlock.errors import InterlockError
from interlock.registry.layout import RESTORE

SYNC = "if the pipeline made it and was interrupted, interlock sync records it; otherwise remove it"


@dataclass(kw_only=True)
class Findings:
    """The links of one section, in the order in which they were found."""

    section: Section
    home: Path
    links: list[Link] = field(default_factory=list)

    def holds(self, name: str, detail: str = "", *, path: Path | None = None) -> None:
        """A link that was checked and agrees."""
        self._add("holds", name, detail, path=path)

    def broken(self, name: str, detail: str, *, path: Path | None = None, way_out: str = RESTORE) -> None:
        """A link whose two sides differ."""
        self._add("broken", name, detail, path=path, way_out=way_out)

    def unchecked(self, name: str, detail: str, *, path: Path | None = None, way_out: str = "") -> None:
        """A link whose other side is not at hand."""
        self._add("unchecked", name, detail, path=path, way_out=way_out)

    def failed(self, name: str, error: InterlockError) -> None:
        """A link that an error of ours describes."""
        where = Path(str(error.path)) if error.path is not None else None
        got = f" (got {error.value!r})" if error.value is not None else ""
        detail = f"{error.key}: {error.message}{got}" if error.key else f"{error.message}{got}"
        self.broken(name, detail, path=where, way_out=error.hint or RESTORE)

    def agree(self, name: str, stated: object, found: object, *, says: str, path: Path | None = None) -> bool:
        """Compare what `says` states with what was found."""
        if stated == found:
            self.holds(name, path=path)
            return True
        self.broken(name, f"it is {shown(found)}, {says} says {shown(stated)}", path=path)
        return False

    @property
    def has_broken(self) -> bool:
        """Whether a link of this section is broken."""
        return any(link.state == "broken" for link in self.links)

    def _add(self, state: LinkState, name: str, detail: str, *, path: Path | None, way_out: str = "") -> None:
        place = "" if path is None else str(path.relative_to(self.home) if path.is_relative_to(self.home) else path)
        self.links.append(
            Link(section=self.section, name=name, state=state, detail=detail, path=place, way_out=way_out)
        )


def shown(value: object) -> str:
    """A value for a sentence; digests are shortened where twelve digits tell them apart."""
    text = str(value)
    is_digest = len(text) == 64 and all(letter in "0123456789abcdef" for letter in text)
    return f"{text[:12]}..." if is_digest else text if len(text) <= 100 else f"{text[:97]}..."


def shown_path(name: str) -> str:
    """A file's name with digests in it shortened."""
    return "/".join(shown(part) for part in name.split("/"))
