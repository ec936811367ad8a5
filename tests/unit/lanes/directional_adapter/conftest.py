import pytest
from tiny_stages import load_beside, run_stage


@pytest.fixture(scope="session")
def tiny():
    """The module `tiny_adapter.py` beside this file."""
    return load_beside(__file__, "tiny_adapter")


@pytest.fixture(scope="session")
def finished(tiny, tmp_path_factory):
    """A folder in which all four stages of a tiny adapter have run."""
    root = tmp_path_factory.mktemp("finished")
    tiny.write_stories(root / "stories")
    for stage in ("prepare", "train", "evaluate", "export"):
        run_stage(stage, root, tiny.body())
    return root
