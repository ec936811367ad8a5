"""A stage's closure holds every file that can run in it and no other, and its digest sees every byte of them."""

import sys
import time
from pathlib import Path

import pytest

from interlock.errors import StageError
from interlock.provenance.closure import code_digest, import_closure

SOURCES = {
    "src/app/__init__.py": "",
    "src/app/base.py": "",
    "src/app/alone.py": "",
    "src/app/part/__init__.py": "from app.base import thing\n",
    "src/app/part/one.py": "def f():\n    from . import two\n",
    "src/app/part/two.py": "import os, numpy\n",
    "src/app/part/three.py": "",
    "pipelines/go.py": "import sibling\nfrom app.part import one\n",
    "pipelines/sibling.py": "",
}


@pytest.fixture
def project(tmp_path):
    for name, text in SOURCES.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path


def names(project, *roots, packages=("app",)):
    files = import_closure(list(roots), source_root=project / "src", packages=packages)
    assert list(files) == sorted(set(files))
    return {path.relative_to(project).as_posix().removeprefix("src/app/") for path in files}


@pytest.mark.parametrize("root", ["app.nothing", "nothing", "", "no/such/file.py", "app.part.one.f"])
def test_a_root_that_does_not_exist_is_refused(project, root):
    with pytest.raises(StageError, match="no such module or file"):
        names(project, root)


def test_broken_code_is_refused_with_its_line(project):
    (project / "src/app/broken.py").write_text("import app.base\ndef (:\n")
    with pytest.raises(StageError, match="line 2") as caught:
        names(project, "app.broken")
    assert "broken.py" in str(caught.value)


def test_imports_inside_functions_and_parents_are_followed(project):
    assert names(project, "app.part.one") == {
        "__init__.py", "part/__init__.py", "base.py", "part/one.py", "part/two.py",
    }  # fmt: skip


def test_a_script_brings_its_siblings(project):
    found = names(project, str(project / "pipelines" / "go.py"))
    assert {"pipelines/go.py", "pipelines/sibling.py", "part/one.py", "part/two.py"} <= found
    assert "part/three.py" not in found
    assert "alone.py" not in found


@pytest.mark.parametrize(
    "text",
    [
        "import app.alone",
        "import app.alone as x",
        "from app import alone",
        "from app.alone import anything",
        "from . import alone",
        "from .alone import anything",
        "from .part import three\nfrom .alone import x",
        "from app import *",
        "try:\n    import numpy\nexcept ImportError:\n    import app.alone",
        "try:\n    pass\nfinally:\n    import app.alone",
        "match 1:\n    case 1:\n        import app.alone",
        "for i in ():\n    pass\nelse:\n    import app.alone",
        "class A:\n    async def f(self):\n        with x:\n            from app import alone",
        "if TYPE_CHECKING:\n    pass\nelse:\n    import app.alone",
        "if not TYPE_CHECKING:\n    import app.alone",
        "x = 1; import app.alone",
    ],
)
def test_every_form_of_import_is_seen(project, text):
    (project / "src/app/asks.py").write_text(text)
    assert "alone.py" in names(project, "app.asks")


@pytest.mark.parametrize(
    "text",
    [
        "if TYPE_CHECKING:\n    import app.alone",
        "if typing.TYPE_CHECKING:\n    import app.alone",
        "if not TYPE_CHECKING:\n    pass\nelse:\n    import app.alone",
        "'import app.alone'  # import app.alone",
        "import alone",
        "from app.part import three",
    ],
)
def test_what_cannot_run_is_left_out(project, text):
    (project / "src/app/asks.py").write_text(text)
    assert "alone.py" not in names(project, "app.asks")


def test_relative_imports_of_a_package_start_at_itself(project):
    (project / "src/app/part/__init__.py").write_text("from .three import x\nfrom ..alone import y\n")
    assert {"part/three.py", "alone.py"} <= names(project, "app.part.two")


def test_a_circle_ends(project):
    (project / "src/app/base.py").write_text("import app.alone")
    (project / "src/app/alone.py").write_text("import app.base")
    assert names(project, "app.base") == {"__init__.py", "base.py", "alone.py"}


def test_a_package_from_elsewhere_is_followed_only_when_named(project, tmp_path_factory, monkeypatch):
    place = tmp_path_factory.mktemp("installed")
    for name, text in {"plug_in_x/__init__.py": "", "plug_in_x/lane.py": "import app.base", "other_y.py": ""}.items():
        (place / name).parent.mkdir(exist_ok=True)
        (place / name).write_text(text)
    monkeypatch.syspath_prepend(str(place))
    (project / "src/app/asks.py").write_text("import plug_in_x.lane, other_y")
    with_it = import_closure(["app.asks"], source_root=project / "src", packages=("app", "plug_in_x"))
    without = import_closure(["app.asks"], source_root=project / "src", packages=("app",))
    assert {path.name for path in set(with_it) - set(without)} == {"__init__.py", "lane.py", "base.py"}
    assert "plug_in_x" not in sys.modules


def test_the_digest_sees_bytes_and_names_and_nothing_else(project, tmp_path_factory):
    files = import_closure(["app.part.one"], source_root=project / "src", packages=("app",))
    before = code_digest(files, project)
    assert code_digest(reversed(files), project) == before
    moved = tmp_path_factory.mktemp("moved") / "deeper"
    project.rename(moved)
    there = [moved / path.relative_to(project) for path in files]
    assert code_digest(there, moved) == before
    (moved / "src/app/part/two.py").write_text("import os\n")
    assert code_digest(there, moved) != before
    (moved / "src/app/part/two.py").write_text(SOURCES["src/app/part/two.py"])
    assert code_digest(there, moved) == before
    (moved / "src/app/part/two.py").rename(moved / "src/app/part/four.py")
    renamed = [path.with_name("four.py") if path.name == "two.py" else path for path in there]
    assert code_digest(renamed, moved) != before


def test_a_plug_in_is_named_from_its_package_down(tmp_path):
    digests = set()
    for place in ("one", "two/site-packages"):
        path = tmp_path / place / "plug" / "lane.py"
        path.parent.mkdir(parents=True)
        path.write_text("x = 1")
        (path.parent / "__init__.py").touch()
        digests.add(code_digest([path], tmp_path / "project"))
    assert len(digests) == 1


def test_a_changed_file_is_parsed_again(project):
    asks = project / "src/app/asks.py"
    asks.write_text("import app.base")
    assert "alone.py" not in names(project, "app.asks")
    time.sleep(0.01)
    asks.write_text("import app.alone")
    assert "alone.py" in names(project, "app.asks")


def test_judging_pulls_in_no_training_code():
    root = Path(__file__).resolve().parents[3]
    files = import_closure([str(root / "pipelines" / "judge.py")], source_root=root / "src")
    assert not [path for path in files if "lanes/training" in path.as_posix() or "lanes/query_tower" in path.as_posix()]
