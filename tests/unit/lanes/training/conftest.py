import pytest
from tiny_stages import load_beside


@pytest.fixture(scope="session")
def tiny():
    """The module `tiny_training.py` beside this file."""
    return load_beside(__file__, "tiny_training")
