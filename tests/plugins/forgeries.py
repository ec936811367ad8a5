"""Kinds of forgery, each at two strengths: `careless` edits files, `careful` makes every digest fit afterwards.

A kind is a function `(forger, other, careful, rng)`; `other` is another run of the same home to copy from. Each changes
something that matters: a number, a verdict, a model, the data, when or how often something happened.
"""

import random
import shutil
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from forger import Forger, sha256
from honest_runs import judge_by_hand

from interlock.provenance.identity import run_id as identity
from interlock.provenance.signing import load_private, new_key, sign
from interlock.registry import index
from interlock.registry.events import events_path
from interlock.registry.statement import envelopes
from interlock.runs.proof.prove import current_statement

Forgery = Callable[[Forger, str, bool, random.Random], object]


@dataclass(frozen=True, kw_only=True)
class Kind:
    """One way to forge."""

    name: str
    forge: Forgery
    variety: str = "plain"
    """Variety of honest run that it is done to."""
    level: str = "run"
    """`home`: seen by `--all` alone, because the run as a whole is gone or renamed."""


def edited_metric(forger: Forger, other: str, careful: bool, rng: random.Random) -> None:
    value = round(rng.uniform(0.95, 1.0), 6)
    forger.change("models/metrics.json", lambda file: file.update(accuracy=value))
    if careful:
        _set_measurement(forger, "accuracy", value=value)
        forger.reseal(rejudge=False)


def edited_metric_and_card_digest(forger: Forger, other: str, careful: bool, rng: random.Random) -> None:
    """The first thing that comes to mind: the file, its digest on the card, and the value there."""
    value = round(rng.uniform(0.95, 1.0), 6)
    forger.change("models/metrics.json", lambda file: file.update(accuracy=value))
    digest, size = sha256(forger.models / "metrics.json"), (forger.models / "metrics.json").stat().st_size

    def fit(card: Any) -> None:
        card["results"]["accuracy"] = value
        card["artifacts"]["metrics.json"] = {"sha256": digest, "size_bytes": size}

    forger.change("models/run_card.json", fit)
    if careful:
        forger.relog()


def better_scores(forger: Forger, other: str, careful: bool, rng: random.Random) -> None:
    """Scores, metric, measurement, judgement: all of it better, all of it consistent."""
    mean = _rewrite_scores(forger, lambda scores: [1.0 if rng.random() < 0.9 else old for old in scores])
    if careful:
        forger.change("models/metrics.json", lambda file: file.update(accuracy=mean))
        _set_measurement(forger, "accuracy", value=mean)
        forger.reseal()


def scores_with_the_same_mean(forger: Forger, other: str, careful: bool, rng: random.Random) -> None:
    _rewrite_scores(forger, lambda scores: rng.sample(scores, len(scores)))
    if careful:
        forger.reseal()


def copied_log(forger: Forger, other: str, careful: bool, rng: random.Random) -> None:
    forger.write("models/loss.csv", (forger.home / "runs" / other / "models/loss.csv").read_bytes() + b"\n")
    if careful:
        forger.reseal()


def swapped_test_set(forger: Forger, other: str, careful: bool, rng: random.Random) -> None:
    split = f"{rng.getrandbits(256):064x}"
    _set_measurement(forger, "accuracy", split_sha256=split)
    _set_measurement(forger, "base.accuracy", split_sha256=split)
    if careful:
        forger.reseal()


def edited_prepared_data(forger: Forger, other: str, careful: bool, rng: random.Random) -> None:
    """The prepared numbers, and when careful also their digests in the prepare record."""
    (path,) = (forger.home / "work/prepared").glob("*/numbers.json")
    path.write_text(path.read_text().replace("0.6", "0.7", 1 + rng.randrange(5)))
    if careful:
        size = path.stat().st_size

        def fit(record: Any) -> None:
            record["artifacts"]["numbers.json"] = {"sha256": sha256(path), "size_bytes": size}
            record["facts"]["dataset_sha256"] = f"{rng.getrandbits(256):064x}"

        forger.change("models/records/prepare.json", fit)
        forger.reseal()


def forged_lock(forger: Forger, other: str, careful: bool, rng: random.Random) -> None:
    _forge_record(forger, careful, lock_sha256=f"{rng.getrandbits(256):064x}")


def forged_code(forger: Forger, other: str, careful: bool, rng: random.Random) -> None:
    _forge_record(forger, careful, code_sha256=f"{rng.getrandbits(256):064x}")


def edited_configuration(forger: Forger, other: str, careful: bool, rng: random.Random) -> None:
    def edit(record: Any) -> None:
        record["params"]["lane"]["optimizer"]["lr"] = round(rng.uniform(0.01, 0.4), 6)

    forger.change("models/records/train.json", edit)
    if careful:
        forger.reseal()


def backdated_event(forger: Forger, other: str, careful: bool, rng: random.Random) -> None:
    date = f"20{rng.randrange(10, 25)}-01-01T00:00:00+00:00"
    if careful:
        forger.relog(change=lambda payloads: [payload.update(at=date) for payload in payloads])
        return
    path = events_path(forger.home)
    lines = path.read_text().splitlines(keepends=True)
    number = rng.randrange(len(lines))
    before = lines[number].split('"at":"')[1][:25]
    lines[number] = lines[number].replace(before, date)
    path.write_text("".join(lines))


def backdated_attempt(forger: Forger, other: str, careful: bool, rng: random.Random) -> None:
    """In the archive and, when careful, in the record that the execution left in this home."""
    name = rng.choice(sorted(path.parent.name for path in forger.folder.glob("attempts/*/end.json")))
    date, took = "2020-01-01T00:00:00+00:00", round(rng.uniform(1, 9), 3)
    forger.change(f"attempts/{name}/end.json", lambda end: end.update(ended_at=date, duration_s=took))
    if careful:
        data = (forger.folder / "attempts" / name / "end.json").read_bytes()
        for path in forger.home.glob(f"state/attempts/*/*/{name}.end.json"):
            path.write_bytes(data)
        forger.relog()


def deleted_attempt(forger: Forger, other: str, careful: bool, rng: random.Random) -> None:
    """The failed one: the run then looks as if it had succeeded at once."""
    ends = {
        path.parent.name: forger.read(f"attempts/{path.parent.name}/end.json")
        for path in forger.folder.glob("attempts/*/end.json")
    }
    (failed,) = (name for name, end in ends.items() if end["exit"] == "failed")
    forger.remove(f"attempts/{failed}")
    if not careful:
        return
    for path in forger.home.glob(f"state/attempts/*/*/{failed}.*"):
        path.unlink()
    for start in forger.folder.glob("attempts/*/start.json"):
        name = start.relative_to(forger.folder).as_posix()
        if forger.read(name)["follows"] == failed:
            forger.change(name, lambda value: value.update(follows=None))
            for path in forger.home.glob(f"state/attempts/*/*/{start.parent.name}.start.json"):
                path.write_bytes(start.read_bytes())
    forger.relog()


def stale_model(forger: Forger, other: str, careful: bool, rng: random.Random) -> None:
    """The weights of another epoch, or of another run."""
    old = bytearray((forger.models / "model.safetensors").read_bytes())
    old[-1] ^= rng.randrange(1, 255)
    forger.write("models/model.safetensors", bytes(old))
    if careful:
        forger.reseal()


def model_of_another_run(forger: Forger, other: str, careful: bool, rng: random.Random) -> None:
    for name in ("model.safetensors", "model.json"):
        forger.write(f"models/{name}", (forger.home / "runs" / other / "models" / name).read_bytes())
    if careful:
        forger.reseal()


def edited_gate(forger: Forger, other: str, careful: bool, rng: random.Random) -> None:
    """A lower threshold in the record of the judgement; when careful the run is judged by it."""
    target = round(rng.uniform(0.05, 0.4), 3)
    folder = forger.one("judgements/*/record.json").rpartition("/")[0]
    forger.change(
        f"{folder}/record.json", lambda file: file["params"]["lane"]["gates"]["accuracy"].update(target=target)
    )
    if careful:
        forger.reseal()
    else:
        forger.change(f"{folder}/judgement.json", lambda file: _row(file, "accuracy").update(target=target))


def flipped_verdict(forger: Forger, other: str, careful: bool, rng: random.Random) -> None:
    """A failed run passes: rows and verdict are edited, and when careful all digests made to fit."""
    folder = forger.one("judgements/*/judgement.json").rpartition("/")[0]

    def flip(judgement: Any) -> None:
        judgement["verdict"] = "pass"
        for row in judgement["rows"]:
            row.update(verdict="pass", cause=None, observed=row["observed"] or rng.uniform(0.9, 1.0), n_needed=None)

    forger.change(f"{folder}/judgement.json", flip)
    if careful:
        forger.reseal(rejudge=False)


def replayed_verdict(forger: Forger, other: str, careful: bool, rng: random.Random) -> None:
    """An earlier verdict is said again, so that it counts as the newest."""
    payloads = [line["payload"] for line in forger.log()]
    said = next(item for item in payloads if item["kind"] == "judged" and item["subject"] == forger.run_id)
    again = {**said, "clock": payloads[-1]["clock"] + 1}
    if careful:
        forger.write_log([*payloads, again])
    else:
        with events_path(forger.home).open("a") as file:
            line = next(line for line in events_path(forger.home).read_text().splitlines() if said["key"] in line)
            file.write(line + "\n")


def replayed_decision(forger: Forger, other: str, careful: bool, rng: random.Random) -> None:
    """The decision of another run stands in for this one's."""
    stranger = Forger(forger.home, other)
    decision = stranger.read(stranger.one("decisions/*/decision.json"))
    mine = forger.one("decisions/*/decision.json")
    own = forger.read(mine)
    keep = {key: own[key] for key in ("judgement_id", "run_id", "decision_id")} if careful else {}
    forger.put(mine, {**decision, "risks": own["risks"], "confidence": "low", **keep})
    if careful:
        forger.reseal()


def truncated_chain(forger: Forger, other: str, careful: bool, rng: random.Random) -> None:
    """The last judgement never was: its event and all after it are cut, and when careful its files removed."""
    lines = events_path(forger.home).read_text().splitlines(keepends=True)
    last = max(
        n
        for n, line in enumerate(forger.log())
        if line["payload"]["kind"] == "judged" and line["payload"]["subject"] == forger.run_id
    )
    cut = forger.log()[last]["payload"]["body"]["judgement_id"]
    others = [
        line["payload"]
        for line in forger.log()[last:]
        if line["payload"]["subject"] != forger.run_id and line["payload"]["body"].get("run_id") != forger.run_id
    ]
    events_path(forger.home).write_text("".join(lines[:last]))
    if careful:
        forger.remove(f"judgements/{cut}")
        forger.write_log([line["payload"] for line in forger.log()] + others)


def renamed_run(forger: Forger, other: str, careful: bool, rng: random.Random) -> None:
    """The run gets another id; when careful the seed on record is changed so that the id fits."""
    if not careful:
        forger.folder.rename(forger.folder.with_name(f"{rng.getrandbits(64):016x}"))
        return
    train, prepare = forger.read("models/records/train.json"), forger.read("models/records/prepare.json")
    seed = rng.randrange(1000, 10**6)
    lane = {
        key: value
        for key, value in train["params"]["lane"].items()
        if key in ("kind", "data", "model", "optimizer", "trainer", "inputs")
    }
    fitting = identity(
        lane_body=lane,
        seed=seed,
        hardware=train["params"]["hardware"],
        dataset_sha256=prepare["facts"]["dataset_sha256"],
        input_digests={},
        code_sha256=train["code_sha256"],
        lock_sha256=train["lock_sha256"],
    )
    for path in forger.home.glob("state/attempts/*/*/*.json"):
        path.write_text(path.read_text().replace(forger.run_id, fitting))
    forger.rename(fitting)
    for stage in ("train", "evaluate", "export"):
        forger.change(f"models/records/{stage}.json", lambda record: record["params"].update(seed=seed))
    for folder in forger.folder.glob("decisions/*"):
        forger.change(f"decisions/{folder.name}/record.json", lambda record: record["params"].update(seed=seed))
    forger.reseal()


def swapped_card(forger: Forger, other: str, careful: bool, rng: random.Random) -> None:
    """The card of another, better run, under this one's id."""
    card = Forger(forger.home, other).read("models/run_card.json")
    own = forger.read("models/run_card.json")
    if careful:
        card |= {"run_id": forger.run_id, "artifacts": own["artifacts"], "observations": own["observations"]}
        card["results"]["accuracy"] = round(rng.uniform(0.95, 1.0), 6)
    forger.put("models/run_card.json", card)
    if careful:
        forger.reseal(keep_card=True)


def extra_file(forger: Forger, other: str, careful: bool, rng: random.Random) -> None:
    """Something that was never made by the run, in its immutable folder."""
    forger.write("models/better.safetensors", rng.randbytes(64))
    if careful:
        artifact = {"sha256": sha256(forger.models / "better.safetensors"), "size_bytes": 64}
        forger.change(
            "models/records/train.json", lambda record: record["artifacts"].update({"better.safetensors": artifact})
        )
        forger.reseal()


def removed_file(forger: Forger, other: str, careful: bool, rng: random.Random) -> None:
    forger.remove(f"models/{rng.choice(['loss.csv', 'eval_report.md'])}")
    if careful:
        forger.reseal()


def edited_index(forger: Forger, other: str, careful: bool, rng: random.Random) -> None:
    """models.db says another verdict or number; when careful the log says so too."""
    if careful:

        def lie(payloads: list[Any]) -> None:
            for payload in payloads:
                if payload["kind"] == "model_registered" and payload["body"]["run_id"] == forger.run_id:
                    payload["body"]["metrics"]["accuracy"] = round(rng.uniform(0.95, 1.0), 6)

        forger.relog(change=lie)
        return
    database = sqlite3.connect(index.index_path(forger.home))
    database.execute("UPDATE models SET stage = 'production' WHERE run_id = ?", (forger.run_id,))
    database.commit()
    database.close()


def lax_judgement(forger: Forger, other: str, careful: bool, rng: random.Random) -> None:
    """A judgement by gates that nobody configured, written with Interlock's own commands when careful."""
    if careful:
        judge_by_hand(forger.home, forger.run_id, target=round(rng.uniform(0.05, 0.4), 3))
        return
    source = forger.folder / forger.one("judgements/*/judgement.json").rpartition("/")[0]
    shutil.copytree(source, source.with_name(f"{rng.getrandbits(256):064x}"))


def transplanted_signature(forger: Forger, other: str, careful: bool, rng: random.Random) -> None:
    """Edited, and the signature of another run put in its place."""
    stale_model(forger, other, careful, rng)
    for path in envelopes(forger.home, other):
        forger.write(f"signatures/{path.name}", path.read_bytes())


def stripped_signature(forger: Forger, other: str, careful: bool, rng: random.Random) -> None:
    """Edited, and the signature taken away."""
    better_scores(forger, other, careful, rng)
    shutil.rmtree(forger.folder / "signatures", ignore_errors=True)


def forged_signature(forger: Forger, other: str, careful: bool, rng: random.Random) -> None:
    """Edited, and signed again with a key of the forger's own, under the name of the right one."""
    better_scores(forger, other, careful, rng)
    paths = envelopes(forger.home, forger.run_id)
    key = forger.home / f"own{rng.getrandbits(32)}"
    new_key(key)
    statement = current_statement(forger.home, forger.run_id).to_json().encode()
    for path in paths:
        forger.write(f"signatures/{path.name}", sign(statement, load_private(key)).encode())


KINDS = (
    Kind(name="edited metric", forge=edited_metric),
    Kind(name="edited metric and the card's digest of it", forge=edited_metric_and_card_digest),
    Kind(name="better per-item scores", forge=better_scores),
    Kind(name="per-item scores changed, same mean", forge=scores_with_the_same_mean),
    Kind(name="training log copied from another run", forge=copied_log),
    Kind(name="swapped test set", forge=swapped_test_set),
    Kind(name="edited prepared data", forge=edited_prepared_data),
    Kind(name="forged lock digest", forge=forged_lock),
    Kind(name="forged code digest", forge=forged_code),
    Kind(name="edited configuration on record", forge=edited_configuration),
    Kind(name="backdated event", forge=backdated_event),
    Kind(name="backdated attempt", forge=backdated_attempt),
    Kind(name="deleted attempt", forge=deleted_attempt, variety="resumed"),
    Kind(name="stale model", forge=stale_model),
    Kind(name="model of another run", forge=model_of_another_run),
    Kind(name="edited gate", forge=edited_gate),
    Kind(name="flipped verdict", forge=flipped_verdict, variety="failing, export skipped"),
    Kind(name="replayed verdict", forge=replayed_verdict, variety="judged again by hand"),
    Kind(name="replayed decision", forge=replayed_decision),
    Kind(name="truncated chain", forge=truncated_chain, variety="judged again by hand"),
    Kind(name="renamed run", forge=renamed_run, level="home"),
    Kind(name="swapped card", forge=swapped_card),
    Kind(name="extra file", forge=extra_file),
    Kind(name="removed file", forge=removed_file),
    Kind(name="edited registry", forge=edited_index),
    Kind(name="judgement by lax gates", forge=lax_judgement),
    Kind(name="signature of another run", forge=transplanted_signature),
    Kind(name="stripped signature", forge=stripped_signature),
    Kind(name="signature by another key", forge=forged_signature),
)
"""All kinds."""


def _forge_record(forger: Forger, careful: bool, **values: str) -> None:
    forger.change("models/records/train.json", lambda record: record.update(values))
    if careful:
        forger.reseal()


def _set_measurement(forger: Forger, name: str, **values: Any) -> None:
    def change(file: Any) -> None:
        next(item for item in file["items"] if item["name"] == name).update(values)

    forger.change("models/measurements.json", change)


def _rewrite_scores(forger: Forger, change: Callable[[list[float]], list[float]]) -> float:
    """Change the column `accuracy` of the scores file; returns the new mean."""
    import pyarrow.parquet

    from interlock.lanes.measuring import write_scores

    path = forger.models / "per_query.parquet"
    columns = pyarrow.parquet.read_table(path).to_pydict()
    items = columns.pop("query_id")
    columns["accuracy"] = change(columns["accuracy"])
    path.unlink()
    write_scores(path, items, columns)
    return float(sum(columns["accuracy"]) / len(items))


def _row(judgement: Any, gate: str) -> Any:
    return next(row for row in judgement["rows"] if row["gate"] == gate)


def copy_home(source: Path, target: Path) -> Path:
    """A cheap copy that can be edited."""
    shutil.copytree(source, target)
    return target
