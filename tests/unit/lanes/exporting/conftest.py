import importlib.util
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

TOWER = Path(__file__).with_name("tower.py")


@pytest.fixture(scope="session")
def tower() -> ModuleType:
    """The module `tower.py`."""
    spec = importlib.util.spec_from_file_location("exported_tower", TOWER)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def exported(tower: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> SimpleNamespace:
    """`path` and `sha256` of the exported tower; exporting takes seconds, so all tests share one."""
    path = tmp_path_factory.mktemp("exported") / "model.onnx"
    return SimpleNamespace(path=path, sha256=tower.export(path))
