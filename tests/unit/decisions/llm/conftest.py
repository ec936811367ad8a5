"""One server for all tests of this folder; every test scripts it anew."""

from collections.abc import Iterator

import pytest
from llm_stand_ins import StandIns


@pytest.fixture(scope="session")
def _listening() -> Iterator[StandIns]:
    with StandIns() as vendors:
        yield vendors


@pytest.fixture
def vendors(_listening: StandIns) -> StandIns:
    _listening.script([])
    return _listening
