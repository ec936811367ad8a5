"""Every file under conf/ composes into a valid experiment, in every lane that can use it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from interlock.errors import ConfigError

CONF = Path(__file__).resolve().parents[2] / "conf"


PARTNERS = {("data", "npz"): "model=vector_tower", ("model", "vector_tower"): "data=npz"}
"""Choices that only fit together."""


def _options() -> Iterator[tuple[str, str]]:
    for path in sorted(CONF.rglob("*.yaml")):
        if path.parent != CONF:
            yield path.parent.relative_to(CONF).as_posix(), path.stem


def _lanes() -> list[str]:
    """The default lane first: most choices are its own."""
    return sorted((path.stem for path in CONF.glob("lane/*.yaml")), key=lambda lane: (lane != "query_tower", lane))


def _faults(overrides: list[str]) -> list[str]:
    """Dotted keys and problems; what a person has to fill in (a dataset's path) is not a fault of the file."""
    from interlock.config.compose import compose_lane
    from interlock.config.validate import validate

    try:
        validate(compose_lane(CONF, overrides), subject=" ".join(overrides))
    except ConfigError as error:
        return [str(fault) for fault in error.faults if fault.value != "???"]
    return []


def test_there_are_files() -> None:
    groups = {group for group, _ in _options()}
    assert {"agent", "data", "experiment", "gate", "hardware", "lane", "model", "optimizer", "trainer"} <= groups


def test_the_default_experiment_is_valid() -> None:
    assert _faults([]) == []


@pytest.mark.parametrize(("group", "option"), list(_options()))
def test_every_choice_is_valid_in_some_lane(group: str, option: str) -> None:
    partner = PARTNERS.get((group, option))
    choice = [f"{group}={option}", *([partner] if partner else [])]
    found = {}
    for lane in [None] if group == "lane" else _lanes():
        found[lane] = _faults([f"lane={lane}", *choice] if lane else choice)
        if not found[lane]:
            return
    pytest.fail(f"fits no lane: {found}")


def test_params_yaml_is_valid(repository: Path) -> None:
    from interlock.config.params import compose_workspace

    assert list(compose_workspace(repository)) == ["query_tower", "reranker", "directional_adapter"]


def test_dvc_yaml_is_what_the_configuration_renders_to(repository: Path) -> None:
    from interlock.config.params import compose_workspace
    from interlock.config.pipeline import require_rendered

    require_rendered(repository, compose_workspace(repository))


@pytest.mark.parametrize(
    "overrides",
    [
        [],
        pytest.param(["trainer=smoke"], marks=pytest.mark.slow),
        pytest.param(["data=wikipedia_questions"], marks=pytest.mark.slow),
        pytest.param(["hardware=cuda"], marks=pytest.mark.slow),
        pytest.param(["hardware=mps"], marks=pytest.mark.slow),
        ["data=beir", "lane.data.path=x", "lane.data.name=x"],
        ["model=transformer_tower", "lane.model.encoder.name=x"],
        ["data=npz", "model=vector_tower", "lane.data.path=x", "lane.data.name=x"],
        ["lane=directional_adapter"],
        ["lane=directional_adapter", "data=stories"],
        ["lane=lvm"],
        ["lane=lvm", "model=lvm_transformer", "data=stories"],
    ],
)
def test_every_key_is_written_out(overrides: list[str]) -> None:
    """So that each can be overridden without a plus sign, through Hydra's own command line too."""
    from interlock.config.compose import compose_lane
    from interlock.config.validate import validate

    composition = compose_lane(CONF, overrides)
    assert composition.values == validate(composition, subject="conf").model_dump(mode="json")
