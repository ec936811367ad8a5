"""One browser for all pages; it takes a second to start."""

from collections.abc import Iterator

import pytest
from chromium_pipe import Browser


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """Ask for it only behind a skip for machines without Chromium."""
    with Browser(tmp_path_factory.mktemp("browser")) as opened:
        yield opened
