"""With a key everything must be covered by its signature: no digest that somebody recomputed helps."""

import json
import shutil

import pytest
from forger import Forger
from honest_runs import environment, judge_by_hand

from interlock.errors import ProvenanceError, UsageError
from interlock.provenance.signing import SIGNING_KEY_VARIABLE, envelope_payload, new_key, read_envelope
from interlock.registry.events import events_path
from interlock.registry.statement import PREDICATE_TYPE, envelopes, read_envelope_statement
from interlock.registry.verify import verify_home, verify_run
from interlock.runs.proof.prove import sign_run


def broken(home, run_id, public):
    found = verify_run(home, run_id, public_key=public)
    assert found.signed_by == ()
    return found.first_broken


def test_what_sync_signed_holds(signed_runs, public):
    home, run_id, _ = signed_runs
    found = verify_run(home, run_id, public_key=public)
    assert found.ok, found.first_broken
    assert len(found.signed_by) == 1
    assert verify_home(home, public_key=public).ok


def test_a_signature_is_an_in_toto_statement(signed_runs):
    home, run_id, _ = signed_runs
    (path,) = envelopes(home, run_id)
    statement = json.loads(envelope_payload(read_envelope(path.read_bytes())))
    assert (statement["_type"], statement["predicateType"]) == ("https://in-toto.io/Statement/v1", PREDICATE_TYPE)
    assert {item["name"] for item in statement["subject"]} == {
        "models/model.safetensors", "models/model.json", "models/run_card.json",
    }  # fmt: skip
    assert statement["predicate"]["verdict"] == "fail"
    assert len(statement["predicate"]["judgements"]) == 2
    (head,) = statement["predicate"]["logs"].values()
    assert head["seq"] >= len(statement["predicate"]["events"])


def test_without_a_key_a_signature_is_told_and_what_it_states_compared(signed_runs):
    home, run_id, _ = signed_runs
    found = verify_run(home, run_id)
    assert found.ok
    assert any("whose it is was not checked" in link.detail for link in found.unchecked)
    forger = Forger(home, run_id)
    forger.write("models/loss.csv", b"step,loss\n")
    forger.reseal()
    assert verify_run(home, run_id).first_broken.section == "signature"


def test_an_unsigned_run_is_broken_when_a_key_is_given(runs, public):
    home, run_id, _ = runs
    link = broken(home, run_id, public)
    assert link.detail == "the run is not signed"
    assert "interlock sign" in link.way_out


def test_a_stripped_signature_is_missed(signed_runs, public):
    home, run_id, _ = signed_runs
    shutil.rmtree(home / "runs" / run_id / "signatures")
    assert "not signed" in broken(home, run_id, public).detail


def test_the_signature_of_another_run_is_named(signed_runs, public):
    home, run_id, other = signed_runs
    (mine,), (theirs,) = envelopes(home, run_id), envelopes(home, other)
    mine.write_bytes(theirs.read_bytes())
    assert broken(home, run_id, public).detail == f"it was made for run {other}"


def test_another_key_is_named(signed_runs, tmp_path):
    home, run_id, _ = signed_runs
    new_key(tmp_path / "own")
    assert "not signed with this key" in broken(home, run_id, tmp_path / "own.pub").detail


def test_an_edited_statement_is_found(signed_runs, public):
    home, run_id, _ = signed_runs
    (path,) = envelopes(home, run_id)
    envelope = json.loads(path.read_text())
    envelope["payload"] = envelope["payload"][:-8] + "AAAAAAAA"
    path.write_text(json.dumps(envelope))
    assert "was changed" in broken(home, run_id, public).detail


def test_a_careful_forger_is_found(signed_runs, public):
    home, run_id, _ = signed_runs
    forger = Forger(home, run_id)
    forger.write("models/loss.csv", b"step,loss\n")
    forger.reseal()
    shutil.rmtree(home / "state")
    link = broken(home, run_id, public)
    assert (link.section, link.path) == ("signature", f"runs/{run_id}/models/loss.csv")


def test_a_log_that_was_written_anew_is_found_by_the_signatures_of_other_runs_too(signed_runs, public):
    home, run_id, other = signed_runs
    forger = Forger(home, run_id)
    forger.relog(change=lambda payloads: payloads[0].update(at="2020-01-01T00:00:00+00:00"))
    assert "not the one that it saw" in broken(home, run_id, public).detail
    assert "not the one that it saw" in broken(home, other, public).detail


def test_a_run_put_back_to_an_earlier_signed_state_does_not_fit_what_others_saw(maker, key, public, tmp_path):
    home = tmp_path / "home"
    run_id = maker.run(home, seed=1, key=key)
    before = shutil.copytree(home / "runs" / run_id, tmp_path / "before")
    log = events_path(home).read_bytes()
    with environment(**{SIGNING_KEY_VARIABLE: str(key)}):
        judge_by_hand(home, run_id, target=0.97)
    maker.run(home, seed=2, key=key)
    assert verify_home(home, public_key=public).ok
    forger = Forger(home, run_id)
    forger.remove("")
    shutil.copytree(before, home / "runs" / run_id)
    events_path(home).write_bytes(log)
    assert "signature of run" in broken(home, run_id, public).name


def test_what_came_later_must_be_signed_again(signed_runs, key, public):
    home, run_id, other = signed_runs
    judge_by_hand(home, run_id, target=0.6)
    link = broken(home, run_id, public)
    assert "it came after the signature" in link.detail
    found = verify_run(home, run_id)
    assert found.ok, "nobody asked for a key"
    assert any("after the signature" in link.detail for link in found.unchecked)
    assert sign_run(home, run_id, key)[1] is True
    assert verify_home(home, public_key=public).ok
    assert sign_run(home, run_id, key)[1] is False
    assert verify_run(home, other, public_key=public).ok, "another run's events do not touch its signature"


def test_a_verdict_said_again_is_not_covered(signed_runs, public):
    home, run_id, _ = signed_runs
    forger = Forger(home, run_id)
    payloads = [line["payload"] for line in forger.log()]
    again = next(item for item in payloads if item["kind"] == "judged")
    forger.write_log([*payloads, {**again, "clock": payloads[-1]["clock"] + 1}])
    assert "judged is not covered" in broken(home, run_id, public).detail


def test_a_broken_run_is_not_signed(runs, key):
    home, run_id, _ = runs
    Forger(home, run_id).write("models/loss.csv", b"other")
    with pytest.raises(ProvenanceError, match=r"not signed: run card -> models/loss\.csv") as caught:
        sign_run(home, run_id, key)
    assert caught.value.path == home / "runs" / run_id / "models" / "loss.csv"
    assert not (home / "runs" / run_id / "signatures").exists()


def test_a_forged_run_is_not_signed_over(signed_runs, key):
    """Sync with a key must not make good what a forger without it has done."""
    home, run_id, _ = signed_runs
    forger = Forger(home, run_id)
    forger.write("models/loss.csv", b"step,loss\n")
    forger.reseal()
    with environment(**{SIGNING_KEY_VARIABLE: str(key)}), pytest.raises(ProvenanceError, match="not signed"):
        judge_by_hand(home, run_id, target=0.6)


def test_a_provisional_card_may_be_completed_once(maker, key, public, tmp_path):
    home = tmp_path / "home"
    run_id = maker.run(home, seed=1, variety="export skipped, then finished", key=key)
    assert verify_run(home, run_id, public_key=public).ok
    (path,) = envelopes(home, run_id)
    assert read_envelope_statement(path).predicate.export == "completed"


def test_a_key_that_is_configured_and_missing_stops_sync(maker, tmp_path):
    with pytest.raises(UsageError, match="no such file"):
        maker.run(tmp_path / "home", seed=1, key=tmp_path / "none")
