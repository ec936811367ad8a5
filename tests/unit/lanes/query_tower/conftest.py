import pytest
from tiny_stages import load_beside, run_stage


@pytest.fixture(scope="session")
def tiny():
    """The module `tiny_tower.py` beside this file."""
    return load_beside(__file__, "tiny_tower")


@pytest.fixture(scope="session")
def finished(tiny, tmp_path_factory):
    """A folder in which all four stages of a tiny tower have run."""
    root = tmp_path_factory.mktemp("finished")
    tiny.write_beir(root / "beir")
    for stage in ("prepare", "train", "evaluate", "export"):
        run_stage(stage, root, tiny.body())
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
