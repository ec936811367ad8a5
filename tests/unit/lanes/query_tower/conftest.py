import importlib.util
import sys
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def tiny():
    """The module `tiny_tower.py` beside this file."""
    path = Path(__file__).with_name("tiny_tower.py")
    spec = importlib.util.spec_from_file_location("tiny_tower", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def finished(tiny, tmp_path_factory):
    """A folder in which all four stages of a tiny tower have run."""
    root = tmp_path_factory.mktemp("finished")
    tiny.write_beir(root / "beir")
    for stage in ("prepare", "train", "evaluate", "export"):
        tiny.run(stage, root, tiny.body())
    return root


@pytest.fixture
def vectors_file():
    """Writes 200 documents and 150 queries near them, as vectors of width 12."""
    import numpy as np

    def write(folder):
        random = np.random.default_rng(0)
        documents = random.normal(size=(200, 12)).astype(np.float32)
        queries = (documents[:150] + 0.3 * random.normal(size=(150, 12))).astype(np.float32)
        path = folder / "points.npz"
        np.savez(
            path, doc_ids=np.arange(200), doc_vectors=documents, query_ids=np.arange(150), query_vectors=queries,
            qrels=np.stack([np.arange(150), np.arange(150)], axis=1),
        )  # fmt: skip
        return path

    return write
