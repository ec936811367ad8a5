"""Sharing through a folder: what arrives was verified, what is refused is named, and nothing is lost on the way."""

import hashlib
import json
import multiprocessing
import random
import shutil
from pathlib import Path

import pytest
from lane_folders import LaneFolder
from toy_homes import judge_by_hand, toy_run

from interlock.commands import team as team_commands
from interlock.errors import ProvenanceError, RegistryError, UsageError
from interlock.provenance.chain import append
from interlock.registry import admission, index
from interlock.registry import pull as pull_module
from interlock.registry.derive import rebuild
from interlock.registry.events import Proposal, append_new, events_path, own_writer, read_log, union
from interlock.registry.promotion import promote
from interlock.registry.pull import pull
from interlock.registry.push import push
from interlock.registry.queries import list_models, list_runs, show_model
from interlock.registry.remote import Remote, find_remote
from interlock.registry.verify import verify_home
from interlock.runs.sync import sync_lane


@pytest.fixture(scope="module")
def archives(tmp_path_factory):
    """One home with two runs, one with a third; and one where the first run was executed, too."""
    folder = tmp_path_factory.mktemp("archives")
    for home, seeds in {"ada": (1, 2), "bo": (3,), "cy": (1,)}.items():
        for seed in seeds:
            toy_run(folder / home, folder / f"{home}{seed}", f"seed={seed}")
    return folder


@pytest.fixture
def team(archives, tmp_path):
    """`team("ada")` is a copy of that home; other names are empty homes. `team.remote` is the folder they share."""

    def home(name):
        if (archives / name).is_dir() and not (tmp_path / name).exists():
            shutil.copytree(archives / name, tmp_path / name)
        return tmp_path / name

    home.remote = Remote(tmp_path / "shared" / "interlock")
    return home


def shown(home):
    return {run.run_id: run.verdict for run in list_runs(home)}, [model.id for model in list_models(home)]


def refusals(logs):
    return {run: reason for log in logs for run, reason in log.refused.items()}


def problems(logs):
    return [str(log.problem) for log in logs if log.problem]


def assert_whole(*homes):
    for home in homes:
        found = verify_home(home)
        assert [str(link) for link in found.links if link.state == "broken"] == []
        assert [str(run.first_broken) for run in found.runs if not run.ok] == []


def test_what_one_pushes_the_other_has_and_again_is_nothing(team):
    ada, eve = team("ada"), team("eve")
    first = push(ada, team.remote)
    assert (len(first.runs), first.gone) == (2, ())
    assert (push(ada, team.remote).lines, push(ada, team.remote).files) == (0, 0)
    (log,) = pull(eve, team.remote)
    assert sorted(log.runs) == sorted(first.runs)
    assert shown(eve) == shown(ada)
    assert_whole(ada, eve)
    (log,) = pull(eve, team.remote)
    assert (log.lines, log.runs, log.problem) == (0, (), None)
    assert pull(ada, team.remote) == ()
    assert push(eve, team.remote).writer == "", "what was pulled is its maker's to share"


def test_promotions_and_judgements_travel_both_ways(team):
    ada, eve = team("ada"), team("eve")
    push(ada, team.remote)
    pull(eve, team.remote)
    model = list_models(eve)[0]
    promote(eve, model.id, to="staging", by="Eve", reason="best")
    judge_by_hand(eve, model.run_id, target=0.1)
    push(eve, team.remote)
    assert refusals(pull(ada, team.remote)) == {}
    assert [item.promoted_by for item in list_models(ada) if item.id == model.id] == ["Eve"]
    assert shown(ada) == shown(eve)
    assert_whole(ada, eve)


def test_one_judgement_in_other_words_finds_a_place_beside_the_one_here(team):
    ada, eve = team("ada"), team("eve")
    push(ada, team.remote)
    pull(eve, team.remote)
    run = list_models(eve)[0].run_id
    judge_by_hand(ada, run, target=0.1, words="because")
    judge_by_hand(eve, run, target=0.1, words="because of this")
    for home in (ada, eve, ada, eve):
        push(home, team.remote)
        assert refusals(pull(home, team.remote)) == {}
    assert_whole(ada, eve)
    for home in (ada, eve):
        texts = [path.read_text() for path in (home / "runs" / run / "judgements").glob("*/judgement.json")]
        assert sum("because of this" in text for text in texts) == 1
        assert sum('because"' in text for text in texts) == 1


def test_a_run_executed_twice_is_kept_as_it_is_and_its_promotion_counts(team):
    ada, cy = team("ada"), team("cy")
    (run,) = shown(cy)[0]
    before = {path: path.read_bytes() for path in (cy / "runs").rglob("*") if path.is_file()}
    name = show_model(ada, run).model.id
    promote(ada, name, to="staging", by="Ada", reason="best")
    push(ada, team.remote)
    (log,) = pull(cy, team.remote)
    assert (log.twins, dict(log.refused)) == ((run,), {})
    assert {path: path.read_bytes() for path in before} == before
    assert {model.id: model.stage for model in list_models(cy)}[name] == "staging"
    push(cy, team.remote)
    pull(ada, team.remote)
    assert_whole(ada, cy)


def test_the_same_run_with_another_model_is_refused(team):
    ada, cy = team("ada"), team("cy")
    (run,) = shown(cy)[0]
    card = cy / "runs" / run / "models" / "run_card.json"
    card.chmod(0o644)
    card.write_text(card.read_text().replace('"seed": 1', '"seed": 7'))
    shutil.rmtree(cy / "registry")
    rebuild(cy)
    push(cy, team.remote)
    assert "gave another model here" in refusals(pull(ada, team.remote))[run]
    assert refusals(pull(team("eve"), team.remote))[run]
    assert shown(team("eve")) == ({}, [])
    assert (team("eve") / "quarantine").is_dir()
    assert_whole(ada)


def test_a_model_that_is_exported_later_completes_the_card_elsewhere(team, tmp_path):
    home, eve = tmp_path / "home", team("eve")
    high = "lane.gates.accuracy.target=0.99"
    toy_run(home, tmp_path / "skipped", high)
    push(home, team.remote)
    pull(eve, team.remote)
    assert list_models(eve) == ()
    toy_run(home, tmp_path / "completed")
    push(home, team.remote)
    assert refusals(pull(eve, team.remote)) == {}
    assert shown(eve) == shown(home)
    assert len(list_models(eve)) == 1
    assert_whole(home, eve)


def test_any_changed_byte_in_the_folder_is_refused_and_named(team):
    ada = team("ada")
    push(ada, team.remote)
    objects = sorted(path for path in (team.remote.root / "objects").rglob("*") if path.is_file())
    for path in random.Random(0).sample(objects, 4):
        kept = path.read_bytes()
        path.chmod(0o644)
        path.write_bytes(bytes([kept[0] ^ 1]) + kept[1:] if kept else b"x")
        eve = team(f"eve-{path.name[:8]}")
        refused = refusals(pull(eve, team.remote))
        assert refused
        assert all(path.name in reason for reason in refused.values())
        assert not set(refused) & set(shown(eve)[0])
        assert_whole(eve)
        path.write_bytes(kept)
        assert refusals(pull(eve, team.remote)) == {}
        assert shown(eve) == shown(ada)


def test_a_missing_file_is_named_and_a_repaired_one_arrives(team):
    ada, eve = team("ada"), team("eve")
    push(ada, team.remote)
    model = list_models(ada)[0]
    path = team.remote.root / "objects" / model.sha256[:2] / model.sha256
    path.chmod(0o644)
    path.write_bytes(b"rotten")
    assert "push --repair" in refusals(pull(eve, team.remote))[model.run_id]
    assert push(ada, team.remote).files == 0
    assert push(ada, team.remote, repair=True).files == 1
    assert refusals(pull(eve, team.remote)) == {}
    path.unlink()
    assert "is not on the remote" in refusals(pull(team("eva"), team.remote))[model.run_id]


def lines_of(path):
    return path.read_bytes().splitlines(keepends=True)


def rechained(path, payloads):
    """A log with these events whose every digest is right."""
    path.unlink()
    for payload in payloads:
        append(path, payload)


def cut(path):
    path.write_bytes(b"".join(lines_of(path)[:-1]))


def edited(path):
    path.write_bytes(path.read_bytes().replace(b'"seed":1', b'"seed":9', 1))


def rewritten(path):
    payloads = [json.loads(line)["payload"] for line in lines_of(path)]
    payloads[0]["host"] = "elsewhere"
    rechained(path, payloads)


@pytest.mark.parametrize("harm", [cut, edited, rewritten])
def test_a_log_that_is_not_what_was_known_is_refused_by_name(team, harm):
    ada, eve = team("ada"), team("eve")
    push(ada, team.remote)
    pull(eve, team.remote)
    before = shown(eve)
    harm(team.remote.log(own_writer(ada)))
    (said,) = problems(pull(eve, team.remote))
    assert own_writer(ada) in said
    assert "cut or rewritten" in said
    assert shown(eve) == before
    assert_whole(eve)


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        pytest.param(cut, "is not in that log", marks=pytest.mark.slow),
        (rewritten, "is not in that log"),
        (edited, "chain"),
    ],
)
def test_a_newcomer_learns_from_others_that_a_log_was_changed(team, harm, said):
    ada, bo, eve = team("ada"), team("bo"), team("eve")
    push(ada, team.remote)
    pull(bo, team.remote)
    promote(bo, list_models(bo)[0].id, to="staging", by="Bo", reason="best")
    push(bo, team.remote)
    harm(team.remote.log(own_writer(ada)))
    (problem,) = problems(pull(eve, team.remote))
    assert own_writer(ada) in problem
    assert said in problem
    assert not set(shown(eve)[0]) & set(shown(ada)[0])


def test_another_homes_log_under_a_false_name_is_refused(team):
    push(team("ada"), team.remote)
    path = team.remote.log(own_writer(team("ada")))
    shutil.move(path, path.with_name("0" * 16 + ".jsonl"))
    assert "another home" in problems(pull(team("eve"), team.remote))[0]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"sha256": "0" * 64}, "another model was promoted"),
        ({"judgement_id": "0" * 64}, "without a passing judgement"),
        ({"to": "heaven"}, "not a promotion"),
    ],
)
def test_a_promotion_that_nothing_backs_is_refused(team, change, said):
    ada, eve = team("ada"), team("eve")
    model = list_models(ada)[0]
    _, event = promote(ada, model.id, to="staging", by="Ada", reason="best")
    body = {**event.model_dump(mode="json"), "to": "production", **change}
    append_new(ada, [Proposal(kind="promoted", subject=model.id, body=body)])
    push(ada, team.remote)
    assert said in refusals(pull(eve, team.remote))[model.run_id]
    assert model.run_id not in shown(eve)[0]


def test_a_verdict_that_its_judgement_does_not_give_is_refused(team):
    ada, eve = team("ada"), team("eve")
    run = list_models(ada)[0].run_id
    judge_by_hand(ada, run, target=0.999)
    payloads = [json.loads(line)["payload"] for line in lines_of(events_path(ada))]
    payloads[-2]["body"]["verdict"] = "pass"
    assert payloads[-2]["kind"] == "judged"
    rechained(events_path(ada), payloads)
    push(ada, team.remote)
    assert "verdict" in refusals(pull(eve, team.remote))[run]
    assert run not in shown(eve)[0]


class Killed(BaseException):
    """Stands for a kill: nothing that cleans up after errors sees it as one."""


@pytest.mark.parametrize("after", [1, *(pytest.param(after, marks=pytest.mark.slow) for after in (0, 17, 60))])
def test_a_killed_push_leaves_nothing_that_is_believed(team, after, monkeypatch):
    ada, eve = team("ada"), team("eve")
    put, count = Remote.put, iter(range(1000))

    def dying(self, *arguments, **others):
        if next(count) == after:
            raise Killed
        return put(self, *arguments, **others)

    with monkeypatch.context() as patch:
        patch.setattr(Remote, "put", dying)
        with pytest.raises(Killed):
            push(ada, team.remote)
    if team.remote.root.is_dir():
        assert pull(eve, team.remote) == ()
    push(ada, team.remote)
    assert refusals(pull(eve, team.remote)) == {}
    assert shown(eve) == shown(ada)


SLOW_PLACES = [pytest.param(where, marks=pytest.mark.slow) for where in ("log", "file", "index")]


@pytest.mark.parametrize("where", ["taken", *SLOW_PLACES])
def test_a_killed_pull_is_finished_by_the_next(team, where, monkeypatch):
    ada, eve = team("ada"), team("eve")
    push(ada, team.remote)

    def dying(*arguments, **others):
        raise Killed

    target = {
        "log": (pull_module, "_take_runs"),
        "file": (admission._Staged, "move"),
        "taken": (pull_module, "write_taken"),
        "index": (index, "refresh"),
    }[where]
    with monkeypatch.context() as patch:
        patch.setattr(*target, dying)
        with pytest.raises(Killed):
            pull(eve, team.remote)
    assert where == "index" or shown(eve) == ({}, [])
    assert refusals(pull(eve, team.remote)) == {}
    assert shown(eve) == shown(ada)
    assert not (eve / "incoming").exists()
    assert_whole(eve)


def push_in_another_process(home, root):
    push(home, Remote(root))


def test_pushes_at_the_same_time_are_all_there(team):
    context = multiprocessing.get_context("spawn")
    homes = [team("ada"), team("bo"), team("bo")]
    others = [context.Process(target=push_in_another_process, args=(home, team.remote.root)) for home in homes]
    for process in others:
        process.start()
    for process in others:
        process.join(60)
    assert [process.exitcode for process in others] == [0, 0, 0]
    eve = team("eve")
    assert refusals(pull(eve, team.remote)) == {}
    assert shown(eve)[0] == shown(team("ada"))[0] | shown(team("bo"))[0]


def test_a_home_put_back_to_an_old_state_does_not_overwrite_what_it_shared(team):
    ada = team("ada")
    old = events_path(ada).read_bytes()
    promote(ada, list_models(ada)[0].id, to="staging", by="Ada", reason="best")
    push(ada, team.remote)
    shared = team.remote.log(own_writer(ada)).read_bytes()
    events_path(ada).write_bytes(old)
    with pytest.raises(RegistryError, match="says something else than the log here, or more"):
        push(ada, team.remote)
    assert "restored from an old copy" in problems(pull(ada, team.remote))[0]
    assert team.remote.log(own_writer(ada)).read_bytes() == shared
    events_path(ada).write_bytes(shared)
    assert push(ada, team.remote).lines == 0


def test_a_lost_log_comes_back_with_its_promotions(team):
    ada = team("ada")
    model = list_models(ada)[0].id
    promote(ada, model, to="staging", by="Ada", reason="best")
    push(ada, team.remote)
    shutil.rmtree(ada / "registry")
    rebuild(ada)
    assert show_model(ada, model).model.stage == "candidate"
    assert refusals(pull(ada, team.remote)) == {}
    assert show_model(ada, model).model.stage == "staging"
    assert_whole(ada)


def test_a_run_that_was_given_up_is_not_pulled_back(team):
    ada, eve = team("ada"), team("eve")
    push(ada, team.remote)
    pull(eve, team.remote)
    run = next(iter(shown(eve)[0]))
    append_new(eve, [Proposal(kind="removed", subject=run, body={"size_bytes": 1})])
    shutil.rmtree(eve / "runs" / run)
    judge_by_hand(ada, run, target=0.1)
    push(ada, team.remote)
    assert refusals(pull(eve, team.remote)) == {}
    assert not (eve / "runs" / run).exists()
    assert_whole(eve)
    assert push(eve, team.remote).gone == (run,)


def test_a_changed_file_is_not_shared(team):
    ada = team("ada")
    path = ada / "runs" / list_models(ada)[0].run_id / "models" / "records" / "train.json"
    path.chmod(0o644)
    path.write_bytes(b"other words")
    with pytest.raises(ProvenanceError, match="differs from its recorded digest"):
        push(ada, team.remote)
    path.unlink()
    with pytest.raises(RegistryError, match="file is missing"):
        push(ada, team.remote)
    assert not team.remote.log(own_writer(ada)).exists()


NAMES = ["../../evil", "attempts/../../../evil", "models/run_card.json", "/tmp/evil", "evil"]


@pytest.mark.parametrize("name", NAMES)
def test_names_that_leave_the_run_are_refused(team, name):
    ada, eve = team("ada"), team("eve")
    run = list_models(ada)[0].run_id
    push(ada, team.remote)
    data = b"evil"
    digest = hashlib.sha256(data).hexdigest()
    append_new(ada, [Proposal(kind="files_kept", subject=run, body={"files": {name: digest}})])
    team.remote.put_log(own_writer(ada), events_path(ada).read_bytes())
    path = team.remote.root / "objects" / digest[:2] / digest
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(data)
    assert run in refusals(pull(eve, team.remote))
    assert run not in shown(eve)[0]
    assert not [
        found for found in eve.parent.rglob("*") if found.is_file() and found.read_bytes() == data and found != path
    ]


def test_events_of_runs_that_were_not_verified_here_are_out_of_sight(team):
    ada, eve = team("ada"), team("eve")
    push(ada, team.remote)
    pull(eve, team.remote)
    (eve / "registry" / "others" / f"{own_writer(ada)}.json").unlink()
    assert union(eve) == ()
    assert shown(eve) == ({}, [])
    pull(eve, team.remote)
    assert shown(eve) == shown(ada)
    assert len(read_log(events_path(ada))) == len(union(eve))


CONFIG = "[core]\n    remote = team\n['remote \"team\"']\n    url = {}\n"


@pytest.mark.parametrize(
    ("shared", "local", "folder"),
    [
        (CONFIG.format("../team"), "", "team"),
        (CONFIG.format("s3://bucket"), "['remote \"team\"']\n    url = /mnt/team\n", "/mnt/team"),
        (CONFIG.format("/mnt/team"), "[core]\n    remote = mine\n['remote \"mine\"']\n    url = ../mine\n", "mine"),
    ],
)
def test_dvcs_default_remote_is_where_to_share(tmp_path, shared, local, folder):
    (tmp_path / ".dvc").mkdir()
    (tmp_path / ".dvc" / "config").write_text(shared)
    (tmp_path / ".dvc" / "config.local").write_text(local)
    assert find_remote(tmp_path, None).root == (tmp_path / folder / "interlock").resolve()
    (tmp_path / "sub").mkdir()
    assert find_remote(tmp_path / "sub", None).root == (tmp_path / folder / "interlock").resolve()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "no default remote"),
        ("[core]\nremote = gone\n", "not defined"),
        (CONFIG.format("s3://bucket"), "not a folder"),
        ("remote", "cannot be read"),
    ],
)
def test_without_a_folder_the_way_out_is_said(tmp_path, text, said):
    (tmp_path / ".dvc").mkdir()
    (tmp_path / ".dvc" / "config").write_text(text)
    with pytest.raises(UsageError, match=said) as caught:
        find_remote(tmp_path, None)
    assert "--remote PATH" in str(caught.value)


def test_a_mistyped_folder_is_refused_and_a_new_one_is_told(tmp_path, monkeypatch, capsys):
    with pytest.raises(UsageError, match="does not exist") as caught:
        find_remote(tmp_path, tmp_path / "mtn" / "team")
    assert (caught.value.key, caught.value.value) == ("--remote", str(tmp_path / "mtn" / "team"))
    assert list(tmp_path.iterdir()) == []
    monkeypatch.setenv("INTERLOCK_HOME", str(tmp_path / "home"))
    lane = LaneFolder(tmp_path / "lane", run_id="aaaa000000000001").finish(verdict="pass")
    sync_lane(lane.folder, workspace=tmp_path, home=tmp_path / "home")
    said = []
    for _ in range(2):
        team_commands.push(tmp_path, Path("shared"), repair=False, as_json=False)
        said.append(f"made {tmp_path / 'shared'}\n" in capsys.readouterr().out)
    assert said == [True, False]
