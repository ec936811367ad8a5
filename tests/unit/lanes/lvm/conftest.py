import pytest
from tiny_stages import load_beside, run_stage


@pytest.fixture(scope="session")
def tiny():
    """The module `tiny_lvm.py` beside this file."""
    return load_beside(__file__, "tiny_lvm")


@pytest.fixture(scope="session", params=["recurrent", "causal_transformer"])
def kind(request):
    return request.param


@pytest.fixture(scope="session")
def finished(tiny, kind, tmp_path_factory):
    """A folder in which all four stages of a tiny predictor of that kind have run."""
    root = tmp_path_factory.mktemp(f"finished_{kind}")
    tiny.write_stories(root / "stories")
    for stage in ("prepare", "train", "evaluate", "export"):
        run_stage(stage, root, tiny.body(kind))
    return root
