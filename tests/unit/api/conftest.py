"""The API over a home of its own, asked without a socket."""

from pathlib import Path

import pytest
from api_tokens import AGENT, TOKENS
from fastapi.testclient import TestClient

from interlock.api.app import create_app
from interlock.api.settings import Settings
from interlock.commands.job import ConfComposer
from interlock.contracts.quotas import Quotas

ROOT = Path(__file__).resolve().parents[3]
SETTINGS = Settings(
    workspace=ROOT, composer=ConfComposer(ROOT), quotas=Quotas(cuda=1.0), agents=frozenset({"dir_models"})
)


@pytest.fixture
def app(tmp_path: Path):
    return create_app(
        tmp_path,
        tokens=TOKENS,
        settings=SETTINGS,
    )


@pytest.fixture
def ask(app):
    with TestClient(app, headers={"Authorization": f"Bearer {AGENT}"}, raise_server_exceptions=False) as client:
        yield client
