"""Approvals: what is refused, then what stands after any sequence of words by several people in several homes."""

import shutil
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from toy_homes import hand_over, judge_by_hand, toy_run

from interlock.contracts.approval import RULES, TRANSITIONS, Need
from interlock.errors import ApprovalError, ProvenanceError, RegistryError, UsageError
from interlock.provenance.signing import SIGNING_KEY_VARIABLE, SignatureError, load_public, new_key
from interlock.registry import index
from interlock.registry.approvals import Case, Words, approvals, covers, needs, read_cases, require, standing, weigh
from interlock.registry.approving import Configured, approve, ask, deny
from interlock.registry.events import union
from interlock.registry.live import live_facts
from interlock.registry.persons import Told, expiry, person
from interlock.registry.queries import list_models
from interlock.registry.signed_words import check

NOW = datetime(2026, 1, 1, tzinfo=UTC)
RUN = "a" * 16
NEED = Need(
    purpose="cluster_time", scope={"estimated_hours": 6.0}, because="an estimate of 6 h on GPUs is more than 4 h"
)


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    folder = tmp_path_factory.mktemp("archive")
    toy_run(folder / "home", folder / "work")
    return folder / "home"


@pytest.fixture
def home(archive, tmp_path):
    shutil.copytree(archive, tmp_path / "home")
    return tmp_path / "home"


@pytest.fixture
def asked(tmp_path):
    """A home where work asks for GPU hours; the run has not begun."""
    ask(tmp_path, NEED, subject=RUN, lane="toy", run=RUN)
    return tmp_path


def told(by="Ada", reason="needed", expires="24h", agents=()):
    return Told(by=by, reason=reason, expires=expires, agents=agents)


def yes(home, name=RUN, purpose="cluster_time", *, now=NOW, **words):
    return approve(home, name, purpose=purpose, told=told(**words), now=now)


def no(home, name=RUN, purpose="cluster_time", *, now=NOW, **words):
    return deny(home, name, purpose=purpose, told=told(**words), now=now)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ({"reason": " \n "}, "--reason: needs 1 to 500 characters"),
        ({"reason": "x" * 501}, "--reason: needs 1 to 500 characters"),
        ({"by": ""}, "--by: needs 1 to 500 characters"),
        ({"expires": "0h"}, "--expires: is in the past"),
        ({"expires": "2025-12-31T23:59+00:00"}, "--expires: is in the past"),
        ({"expires": "31d"}, "--expires: is more than 30 days ahead"),
        ({"expires": "999999999999d"}, "--expires: is more than 30 days ahead"),
        ({"expires": "2027-01-01T00:00+00:00"}, "--expires: is more than 30 days ahead"),
        ({"expires": "soon"}, "--expires: is neither a duration nor a time"),
        ({"expires": "2026-01-01T10:00"}, "--expires: the time has no zone"),
        ({"expires": "-1h"}, "--expires: is neither"),
        ({"by": "Dir-Models"}, "this is an agent, and only a person may say yes or no"),
        ({"by": "mgr_models_02"}, "this is an agent"),
        ({"by": "claude-sonnet-4-5"}, "this is an agent"),
        ({"by": "Night Shift", "agents": ["night_shift"]}, "this is an agent"),
    ],
)
def test_words_that_are_refused(asked, words, message):
    before = union(asked)
    with pytest.raises(UsageError, match=message):
        yes(asked, **words)
    assert union(asked) == before


@pytest.mark.parametrize("name", ["Ada", "Claude Dupont", "Ada Lovelace <ada@example.org>", "Dirk", "Mgrdich"])
def test_people_are_people(name):
    assert person("--by", name, ()) == name


@pytest.mark.parametrize(("text", "hours"), [("90m", 1.5), ("24h", 24), ("7d", 168), ("1.5h", 1.5)])
def test_durations(text, hours):
    assert datetime.fromisoformat(expiry(text, now=NOW, days_max=30.0)) == NOW + timedelta(hours=hours)


def test_an_unknown_subject_is_refused_with_the_nearest(home):
    model = list_models(home)[0]
    wrong = model.id.replace("numbers", "nubmers")
    with pytest.raises(UsageError, match=f"no such run or model .*\n.*did you mean {model.id}"):
        yes(home, wrong, "first_release")
    with pytest.raises(UsageError, match="no such run or model"):
        yes(home, "zzz", "first_release")
    with pytest.raises(UsageError, match="more than one run or model"):
        yes(two_runs(home), "a")


def two_runs(home):
    for run in ("a" * 16, "a1" * 8):
        ask(home, NEED, subject=run, lane="toy", run=run)
    return home


def test_a_wrong_digest_is_refused(home):
    model = list_models(home)[0]
    with pytest.raises(ProvenanceError, match="no registered model has this digest"):
        yes(home, "0" * 64, "first_release")
    for digest in ("0" * 64, model.sha256[:7]):
        with pytest.raises(ProvenanceError, match="has another digest now"):
            approve(home, model.id, purpose="first_release", told=told(), now=NOW, digest=digest)
    found = approve(home, f"sha256:{model.sha256}", purpose="first_release", told=told(), now=NOW)
    assert (found.subject, found.model, found.run) == (model.sha256, model.id, model.run_id)


def test_a_model_that_changed_on_disk_is_refused(home):
    model = list_models(home)[0]
    path = home / model.path
    path.chmod(0o644)
    path.write_bytes(path.read_bytes() + b"x")
    with pytest.raises(ProvenanceError, match="does not verify"):
        yes(home, model.id, "first_release")


def test_what_needs_no_approval_is_refused(home):
    model = list_models(home)[0]
    with pytest.raises(RegistryError, match=r"needs no approval for deployment\n.*it needs one for: first_release"):
        yes(home, model.id, "deployment")
    for purpose in ("cluster_time", "production_data"):
        with pytest.raises(RegistryError, match="nothing asks for an approval"):
            yes(home, model.run_id, purpose)
    with pytest.raises(UsageError, match="bound to the run, not to a digest"):
        approve(home, model.run_id, purpose="cluster_time", told=told(), now=NOW, digest="0" * 64)
    judge_by_hand(home, model.run_id, target=0.999)
    with pytest.raises(RegistryError, match="only a pass goes live, and its verdict is fail"):
        yes(home, model.id, "first_release")


def test_a_run_without_a_model_is_not_deployed(asked):
    with pytest.raises(RegistryError, match="this run has none"):
        yes(asked, RUN, "deployment")


@pytest.mark.parametrize(("purpose", "attempts"), [("more_attempts", None), ("cluster_time", 5)])
def test_attempts_belong_to_more_attempts(asked, purpose, attempts):
    with pytest.raises(UsageError, match="--attempts"):
        approve(asked, RUN, purpose=purpose, told=told(), now=NOW, max_attempts=attempts)


def test_more_attempts_can_be_approved_beforehand(asked):
    approve(asked, RUN, purpose="more_attempts", told=told(), now=NOW, max_attempts=5)
    ways = {number: bool(standing(asked, subject=RUN, purpose="more_attempts", now=NOW, asked={"max_attempts": number}))
            for number in (4, 5, 6)}  # fmt: skip
    assert ways == {4: True, 5: True, 6: False}


def test_nothing_to_deny(asked):
    with pytest.raises(RegistryError, match="there is nothing to deny: nobody asked"):
        no(asked, RUN, "production_data")
    no(asked)
    with pytest.raises(RegistryError, match="it is denied already"):
        no(asked)


def test_a_requirement_says_why_it_is_not_met(asked):
    def problem(now=NOW, need=NEED, subject=RUN):
        with pytest.raises(ApprovalError) as raised:
            require(asked, need, subject=subject, name=subject, now=now)
        return raised.value.message

    assert "nobody was asked yet" in problem(subject="b" * 16)
    assert "nobody has answered" in problem()
    no(asked, reason="too expensive")
    assert "Ada denied it on" in problem()
    assert "too expensive" in problem()
    yes(asked, expires="2h")
    assert require(asked, NEED, subject=RUN, name=RUN, now=NOW).by == "Ada"
    assert "the approval by Ada expired on 2026-01-01 02:00 UTC" in problem(now=NOW + timedelta(hours=2))
    larger = NEED.model_copy(update={"scope": {"estimated_hours": 7.0}})
    assert "is void: more is asked for now" in problem(need=larger)
    no(asked, by="Bo", reason="changed my mind")
    assert "Bo denied it" in problem()


def test_asking_twice_asks_once(asked):
    before = union(asked)
    ask(asked, NEED, subject=RUN, lane="toy", run=RUN)
    assert union(asked) == before
    ask(asked, NEED.model_copy(update={"scope": {"estimated_hours": 9.0}}), subject=RUN, lane="toy", run=RUN)
    assert len(union(asked)) == len(before) + 1


def test_asking_for_more_after_a_yes_waits_again(asked):
    yes(asked)
    ask(asked, NEED.model_copy(update={"scope": {"estimated_hours": 9.0}}), subject=RUN, lane="toy", run=RUN)
    (found,) = approvals(asked, now=NOW)
    assert (found.state, found.scope) == ("requested", {"estimated_hours": 9.0})
    yes(asked)
    assert standing(asked, subject=RUN, purpose="cluster_time", now=NOW).scope == {"estimated_hours": 9.0}


FACTS = {
    "cluster_time": {"is_gpu": True, "estimated_hours": 4.1, "lane": "toy"},
    "production_data": {"is_production_data": True, "samples": 100_001, "dataset": "orders", "lane": "toy"},
    "more_attempts": {"attempts_beyond": 1, "max_attempts": 3},
    "deployment": {"goes_live": True, "is_first_release": False, "lane": "toy", "services": {"search": 8999}},
    "first_release": {"goes_live": True, "is_first_release": True, "lane": "toy", "services": {}},
}
ENOUGH = {
    "cluster_time": [{"is_gpu": False}, {"estimated_hours": 4.0}],
    "production_data": [{"is_production_data": False}, {"samples": 100_000}],
    "more_attempts": [{"attempts_beyond": 0}],
    "deployment": [{"goes_live": False}],
    "first_release": [{"goes_live": False}],
}


@pytest.mark.parametrize("purpose", RULES)
def test_what_needs_a_person(purpose):
    (need,) = needs(FACTS[purpose])
    assert need.purpose == purpose
    assert set(need.scope) == set(RULES[purpose].scope)
    assert "{" not in need.because
    for fact in ENOUGH[purpose]:
        assert needs(FACTS[purpose] | fact) == ()
    for fact in RULES[purpose].above:
        assert len(needs(FACTS[purpose] | {fact: None})) == 1, "what is not known counts as too large"


def test_reasons_read_aloud():
    assert needs(FACTS["production_data"])[0].because == (
        "dataset orders is production data with 100,001 samples, more than 100,000"
    )
    assert needs(FACTS["deployment"])[0].because == "lane toy would answer search (port 8999) with it"
    assert needs(FACTS["first_release"])[0].because == "it would be the first model of lane toy to answer live requests"


def test_covering():
    assert covers({"hours": 6.0}, {"hours": 6})
    assert not covers({"hours": 6.0}, {"hours": 6.1})
    assert not covers({"hours": 6.0}, {"hours": None})
    assert not covers({"hours": None}, {"hours": 1.0})
    assert not covers({}, {"hours": 1.0})
    assert not covers({"services": {"search": 1}}, {"services": {"search": 2}})
    assert not covers({"flag": True}, {"flag": False})


def test_signed_words_hold_and_changed_ones_do_not(asked, tmp_path, monkeypatch):
    key, other = tmp_path / "key", tmp_path / "other"
    new_key(key)
    new_key(other)
    monkeypatch.setenv(SIGNING_KEY_VARIABLE, str(key))
    found = yes(asked)
    (event,) = [line.event for line in union(asked) if line.event.kind == "approval_granted"]
    public = load_public(tmp_path / "key.pub")
    check(event.body, subject=RUN, key=public)
    assert found.keyid == event.body["keyid"] != ""
    for body, subject, by in (
        (event.body | {"by": "Eve"}, RUN, public),
        (event.body | {"expires_at": "2036-01-01T00:00:00+00:00"}, RUN, public),
        (event.body, "b" * 16, public),
        (event.body, RUN, load_public(tmp_path / "other.pub")),
        (event.body | {"signature": ""}, RUN, public),
    ):
        with pytest.raises(SignatureError):
            check(body, subject=subject, key=by)


def test_a_no_that_crossed_a_yes_wins_everywhere(tmp_path):
    first, second = tmp_path / "first", tmp_path / "second"
    ask(first, NEED, subject=RUN, lane="toy", run=RUN)
    hand_over(first, second)
    yes(first)
    no(second, by="Bo")
    for _ in range(2):
        hand_over(first, second)
        hand_over(second, first)
    for home in (first, second):
        assert standing(home, subject=RUN, purpose="cluster_time", now=NOW) is None
        (found,) = approvals(home, now=NOW)
        assert found.state == "denied"
    assert yes(second).state == "granted", "who has read the no may say yes"


def test_live_facts_of_an_empty_home(tmp_path):
    assert live_facts(tmp_path, "toy", to="staging", services={})["goes_live"] is False
    facts = live_facts(tmp_path, "toy", to="canary", services={"search": 1})
    assert (facts["goes_live"], facts["is_first_release"], facts["services"]) == (True, True, {"search": 1})


def test_ports_are_part_of_what_is_approved(home):
    model = list_models(home)[0]
    configured = Configured(services={"toy": {"search": 8999}})
    approve(home, model.id, purpose="first_release", told=told(), now=NOW, configured=configured)
    at = {"subject": model.sha256, "purpose": "first_release", "now": NOW}
    assert standing(home, **at, asked={"services": {"search": 8999}})
    assert standing(home, **at, asked={"services": {"search": 9007}}) is None


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("ask"), st.integers(0, 1), st.integers(5, 9)),
        st.tuples(st.just("yes"), st.integers(0, 1), st.integers(1, 48)),
        st.tuples(st.just("no"), st.integers(0, 1), st.just(0)),
        st.tuples(st.just("hear"), st.integers(0, 1), st.just(0)),
        st.tuples(st.just("wait"), st.just(0), st.integers(1, 30)),
    ),
    min_size=1,
    max_size=12,
)


def made(kind, writer, seq, seen, body):
    body = {"purpose": "cluster_time", "run": RUN, "by": "Ada", "reason": "x"} | body
    key = f"{writer}{seq:063x}"
    return Words(kind=f"approval_{kind}", subject=RUN, key=key, at=NOW.isoformat(), host="h", writer=writer, seq=seq,
                 seen=seen, body=body)  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(STEPS)
def test_any_sequence_of_words_follows_the_table(steps):
    """States change along the table alone, and nothing stands that somebody denied without the grantor's knowing."""
    logs, now, state = {"a": [], "b": []}, NOW, None
    heard = {"a": 0, "b": 0}
    for what, who, number in steps:
        writer = "ab"[who]
        other = "ba"[who]
        seen = {other: heard[writer]}
        if what == "wait":
            now += timedelta(hours=number)
        elif what == "hear":
            heard[writer] = len(logs[other])
        else:
            ends = (now + timedelta(hours=number)).isoformat()
            body = {"ask": {"scope": {"estimated_hours": number}}, "no": {}}
            body["yes"] = {"scope": {"estimated_hours": 7}, "expires_at": ends}
            kind = {"ask": "requested", "yes": "granted", "no": "denied"}[what]
            logs[writer].append(made(kind, writer, len(logs[writer]) + 1, seen, body[what]))
        said = tuple(sorted((*logs["a"], *logs["b"]), key=lambda words: (words.seq, words.writer)))
        case = Case(subject=RUN, purpose="cluster_time", said=said)
        found = weigh(case, now=now)
        denials = [words for words in said if words.kind == "approval_denied"]
        if found and found.state == "granted":
            (grant,) = [words for words in said if words.key == found.id]
            assert all(grant.knows(denial) for denial in denials)
            assert datetime.fromisoformat(grant.body["expires_at"]) > now
        assert (found is None) == (not said)
        is_alone = not logs["b"]
        if is_alone and found and state and found.state != state:
            assert found.state in TRANSITIONS[state], f"{state} -> {found.state}"
        state = found.state if found else None


def test_words_survive_a_new_index(asked):
    yes(asked)
    before = approvals(asked, now=NOW)
    index.refold(asked)
    assert approvals(asked, now=NOW) == before
    assert len(read_cases(asked)) == 1


@pytest.mark.parametrize("name", ["\u200b", "\x07", "a\u200bgent", "mgr_\x1bmodels_01"])
def test_what_cannot_be_seen_names_nobody_and_hides_no_agent(name):
    with pytest.raises(UsageError):
        person("--by", name, ("mgr_models_01",))
    assert person("--by", "Ada\x1b]0;x\x07 \u200bB.", ()) == "Ada]0;x B."
