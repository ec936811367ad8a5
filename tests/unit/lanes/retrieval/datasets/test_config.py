"""The union `lane.data`: closed, strict, and light to import."""

import subprocess
import sys
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from interlock.lanes.retrieval.datasets.config import BeirData, DocstringsData, NpzData, RetrievalData

ADAPTER: TypeAdapter[Any] = TypeAdapter(RetrievalData)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"kind": "parquet"}', "docstrings"),
        ('{"kind": "beir", "path": "x", "name": "x", "nmae": "x"}', "nmae"),
        ('{"kind": "docstrings", "packages": []}', "packages"),
        ('{"kind": "docstrings", "packages": ["a", "a"]}', "names a package twice"),
        ('{"kind": "docstrings", "packages": ["a"], "max_pairs": "12"}', "max_pairs"),
        ('{"kind": "docstrings", "packages": ["a"], "min_query_words": 50}', "min_query_words 50 is over"),
        ('{"kind": "docstrings", "packages": ["a"], "test_fraction": 0.5}', "test_fraction"),
        ('{"kind": "docstrings", "packages": ["a"], "sha256": "abc"}', "sha256"),
        ('{"kind": "beir", "path": "x", "name": "x", "splits": {"test": "train"}}', "two splits name the same"),
    ],
)
def test_wrong_choices_are_refused(text: str, expected: str) -> None:
    with pytest.raises(ValidationError, match=expected):
        ADAPTER.validate_json(text)


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ('{"kind": "docstrings", "packages": ["numpy"]}', DocstringsData),
        ('{"kind": "beir", "path": "data://x", "name": "x", "splits": {"validation": "dev"}}', BeirData),
        ('{"kind": "npz", "path": "x.npz", "name": "x"}', NpzData),
    ],
)
def test_each_kind_is_read(text: str, kind: type) -> None:
    assert isinstance(ADAPTER.validate_json(text), kind)


def test_the_contracts_load_nothing_heavy() -> None:
    code = (
        "import sys, interlock.lanes.retrieval.datasets.config\n"
        "print([name for name in ('numpy', 'pyarrow', 'torch', 'scipy') if name in sys.modules])"
    )
    path = ":".join(entry for entry in sys.path if entry)
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env={"PYTHONPATH": path}
    )
    assert done.stdout.strip() == "[]"
