"""The locks pin exact versions, agree with each other, with pyproject.toml and with what is installed."""

import re
import sys
import tomllib
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

PIN = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*==[0-9][A-Za-z0-9.!]*")
# Fixed by the project's owner; later layers import them.
FIXED = {"dvc", "hydra-core", "instructor", "lightning", "omegaconf", "onnx", "pymc", "safetensors", "torch", "wandb"}
# Loaded by torch's ONNX exporter, which names no dependency on it.
LOADED_BY_OTHERS = {"hydra-joblib-launcher", "onnxscript"}


def _pins(path: Path) -> dict[str, str]:
    lines = [line for line in path.read_text(encoding="utf-8").splitlines() if line and not line.startswith("#")]
    assert [line for line in lines if not PIN.fullmatch(line)] == []
    assert lines == sorted(lines, key=lambda line: line.split("==")[0])
    return dict(line.split("==") for line in lines)


@pytest.fixture(scope="module")
def runtime(repository: Path) -> dict[str, str]:
    return _pins(repository / "requirements.lock")


@pytest.fixture(scope="module")
def dev(repository: Path) -> dict[str, str]:
    return _pins(repository / "requirements-dev.lock")


@pytest.fixture(scope="module")
def project(repository: Path) -> dict[str, list[Requirement]]:
    table = tomllib.loads((repository / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    groups = {"runtime": table["dependencies"], **table["optional-dependencies"]}
    return {name: [Requirement(text) for text in texts] for name, texts in groups.items()}


def test_no_lock_holds_an_accelerators_libraries(runtime: dict[str, str], dev: dict[str, str]) -> None:
    assert [name for name in {**runtime, **dev} if name.startswith(("nvidia", "cuda", "triton"))] == []


def test_the_development_lock_contains_the_runtime_lock(runtime: dict[str, str], dev: dict[str, str]) -> None:
    assert runtime.items() <= dev.items()


def test_declared_ranges_hold_the_locked_versions(
    project: dict[str, list[Requirement]], runtime: dict[str, str], dev: dict[str, str]
) -> None:
    for group, requirements in project.items():
        pins = runtime if group == "runtime" else dev
        for requirement in requirements:
            pinned = pins.get(canonicalize_name(requirement.name))
            assert pinned is not None, f"{requirement} is not locked; call make lock"
            assert requirement.specifier.contains(pinned, prereleases=True), f"{requirement} but {pinned} is locked"


def test_the_locked_versions_are_the_installed_ones(dev: dict[str, str]) -> None:
    installed = {canonicalize_name(item.name): Version(item.version).public for item in metadata.distributions()}
    different = {name: (pin, installed.get(name)) for name, pin in dev.items() if installed.get(name) != pin}
    assert different == {}, "call make check, which installs what the lock says"


def test_imports_of_src_are_declared_and_declarations_are_used(
    repository: Path, project: dict[str, list[Requirement]]
) -> None:
    """A library that only comes along with another one may leave with it; one that nobody imports is ballast."""
    imported = set()
    for path in (repository / "src").rglob("*.py"):
        imported |= set(re.findall(r"^\s*(?:import|from) (\w+)", path.read_text(encoding="utf-8"), flags=re.MULTILINE))
    provided = metadata.packages_distributions()
    third_party = {
        canonicalize_name(provided[name][0])
        for name in imported
        if name in provided and name not in sys.stdlib_module_names
    } - {"interlock"}
    declared = {canonicalize_name(requirement.name) for requirement in project["runtime"]}
    extras = ("api", "hf", "llm", "optuna")
    named = {canonicalize_name(requirement.name) for extra in extras for requirement in project[extra]}
    built_upon = {"starlette", "tokenizers", "transformers", "sqlalchemy", "httpx2", "httpcore2"}
    shared_name = {"googleapis-common-protos"}  # `google` belongs to several projects; here it is google-genai
    optional = named | built_upon | shared_name
    assert third_party - declared - optional == set()
    assert declared - third_party - FIXED - LOADED_BY_OTHERS == set()
