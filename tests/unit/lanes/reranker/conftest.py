import pytest
from tiny_stages import load_beside


@pytest.fixture(scope="session")
def tiny_reranker():
    """The module `tiny_reranker.py` beside this file."""
    return load_beside(__file__, "tiny_reranker")


@pytest.fixture(scope="session")
def first_stage(tiny_reranker, tmp_path_factory):
    """A folder with the tiny data, and the query tower trained on it."""
    root = tmp_path_factory.mktemp("first_stage")
    tiny_reranker.write_beir(root / "beir")
    return root, tiny_reranker.run_tower(root)


@pytest.fixture(scope="session")
def finished(tiny_reranker, first_stage):
    """The same folder, in which all four stages of a tiny reranker have run."""
    root, tower = first_stage
    for stage in ("prepare", "train", "evaluate", "export"):
        tiny_reranker.run(stage, root, tiny_reranker.body(), {"first_stage": tower})
    return root
