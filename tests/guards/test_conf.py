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


def _lanes(group: str, option: str) -> list[str]:
    """Those first that choose this file or that it speaks of, then the default lane: most choices are its own."""
    spoken = {
        lane: f"/{group}: {option}\n" in _text("lane", lane) for lane in (p.stem for p in CONF.glob("lane/*.yaml"))
    }
    named = {lane: lane in option or lane in _text(group, option) for lane in spoken}
    return sorted(spoken, key=lambda lane: (not spoken[lane], not named[lane], lane != "query_tower", lane))


def _text(group: str, option: str) -> str:
    return (CONF / group / f"{option}.yaml").read_text(encoding="utf-8")


def _faults(overrides: list[str]) -> list[str]:
    """Dotted keys and problems; what a person has to fill in (a dataset's path) is not a fault of the file."""
    return _each([overrides])[0]


def _each(jobs: list[list[str]]) -> list[list[str]]:
    """The faults of many compositions; every file of `conf/` is read once for all of them."""
    from interlock.config.compose import compose_each
    from interlock.config.validate import validate

    found = []
    for composition in compose_each(CONF, jobs):
        try:
            if isinstance(composition, ConfigError):
                raise composition
            validate(composition, subject=" ".join(composition.overrides))
        except ConfigError as error:
            found.append([str(fault) for fault in error.faults if fault.value != "???"])
        else:
            found.append([])
    return found


def _overrides(group: str, option: str) -> Iterator[list[str]]:
    """What chooses this file, one lane after the other."""
    partner = PARTNERS.get((group, option))
    choice = [f"{group}={option}", *([partner] if partner else [])]
    yield from [choice] if group == "lane" else ([f"lane={lane}", *choice] for lane in _lanes(group, option))


@pytest.fixture(scope="module")
def in_the_likeliest_lane() -> dict[tuple[str, str], list[str]]:
    """Faults of every choice in the lane that is tried first."""
    options = list(_options())
    return dict(zip(options, _each([next(_overrides(*option)) for option in options]), strict=True))


def test_there_are_files() -> None:
    groups = {group for group, _ in _options()}
    assert {"agent", "data", "experiment", "gate", "hardware", "lane", "model", "optimizer", "trainer"} <= groups


def test_the_default_experiment_is_valid() -> None:
    assert _faults([]) == []


@pytest.mark.parametrize(("group", "option"), list(_options()))
def test_every_choice_is_valid_in_some_lane(
    group: str, option: str, in_the_likeliest_lane: dict[tuple[str, str], list[str]]
) -> None:
    first, *others = _overrides(group, option)
    found = {" ".join(first): in_the_likeliest_lane[group, option]}
    for overrides in others:
        if not all(found.values()):
            return
        found[" ".join(overrides)] = _faults(overrides)
    assert not all(found.values()), f"fits no lane: {found}"


def test_params_yaml_composes_and_dvc_yaml_is_what_it_renders_to(repository: Path) -> None:
    from interlock.config.params import compose_workspace
    from interlock.config.pipeline import require_rendered

    composed = compose_workspace(repository)
    assert list(composed) == ["query_tower", "reranker", "directional_adapter"]
    require_rendered(repository, composed)


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


def test_every_lane_says_what_its_data_is_read_from() -> None:
    """Else new data under the same path would run nothing again."""
    from interlock.lanes.catalog import BUILT_IN, find_lane

    assert [kind for kind in BUILT_IN if find_lane(kind).sources is None] == []
