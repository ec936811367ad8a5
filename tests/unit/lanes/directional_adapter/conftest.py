import importlib.util
import sys
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def tiny():
    """The module `tiny_adapter.py` beside this file."""
    path = Path(__file__).with_name("tiny_adapter.py")
    spec = importlib.util.spec_from_file_location("tiny_adapter", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def finished(tiny, tmp_path_factory):
    """A folder in which all four stages of a tiny adapter have run."""
    root = tmp_path_factory.mktemp("finished")
    tiny.write_stories(root / "stories")
    for stage in ("prepare", "train", "evaluate", "export"):
        tiny.run(stage, root, tiny.body())
    return root
