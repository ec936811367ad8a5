"""Which documents of a prepared dataset belong together: one module, one article, one page.

The prepared tables do not hold this, because retrieval does not need it; it is read from the source again. Documents of
one group are related, not equal: a sibling of an answer is no answer.
"""

from collections.abc import Sequence
from pathlib import Path

from interlock.lanes.retrieval.datasets.beir_files import find_files, read_rows
from interlock.lanes.retrieval.datasets.config import BeirData, DocstringsData
from interlock.lanes.retrieval.datasets.faults import Faults
from interlock.lanes.retrieval.datasets.locations import resolve_location
from interlock.lanes.retrieval.datasets.text_lines import numbered_lines


def document_groups(config: DocstringsData | BeirData, doc_ids: Sequence[str], *, root: Path) -> list[str]:
    """Name of the group of each document, in the order of `doc_ids`; a document without one is a group of its own.

    Docstrings are grouped by module (`torch.nn.modules.linear:Linear.forward` stands in `torch.nn.modules.linear`),
    BEIR documents by `group_field`. Raises DataError for a source that cannot be read any more.
    """
    if isinstance(config, DocstringsData):
        return [name.partition(":")[0] for name in doc_ids]
    named = _field_values(config, root) if config.group_field else {}
    # a tab cannot stand in both: ids of single documents must not collide with values of the field
    return [f"value\t{named[name]}" if named.get(name) else f"document\t{name}" for name in doc_ids]


def _field_values(config: BeirData, root: Path) -> dict[str, str]:
    """The field by document id."""
    corpus = find_files(resolve_location(config.path, root=root), config.splits).corpus
    faults = Faults(corpus)
    assert config.group_field is not None
    found = {
        row.identifier: str(row.fields.get(config.group_field) or "")
        for row in read_rows(corpus, faults, numbered_lines(corpus, faults))
    }
    faults.refuse()
    return found
