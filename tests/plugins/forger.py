"""A forger with the whole home in hand: edits files, and, when careful, makes every digest above the edit fit again.

    forger = Forger(home, run_id)
    forger.edit("models/metrics.json", accuracy=0.99)
    forger.reseal()              # records, card, judgements, decisions, events, chain, index: all recomputed

Uses Interlock's own code to recompute, as somebody who has read it would. What it cannot do is sign.
"""

import hashlib
import json
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from interlock.contracts.stage import Artifact, StageRecord
from interlock.contracts.verdict import Judgement
from interlock.provenance.canonical import pretty_json, sha256_json
from interlock.provenance.chain import ChainWriter
from interlock.registry import index
from interlock.registry.archive import read_card
from interlock.registry.cards import make_card
from interlock.registry.derive import run_proposals, statement_proposal
from interlock.registry.events import Event, Proposal, events_path
from interlock.registry.kept import kept_names
from interlock.registry.layout import placements
from interlock.registry.verification.archived import as_finished, read_archived
from interlock.registry.verification.findings import Findings
from interlock.reports.verdicts import verdict_markdown
from interlock.stages.verdicts import Measured, read_gates
from interlock.stages.verdicts import read_archived as read_measured

STAGES = ("prepare", "train", "evaluate", "export")


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


class Forger:
    """Edits one run of a home."""

    def __init__(self, home: Path, run_id: str) -> None:
        self.home, self.run_id = home, run_id

    @property
    def folder(self) -> Path:
        return self.home / "runs" / self.run_id

    @property
    def models(self) -> Path:
        return self.folder / "models"

    def write(self, name: str, data: bytes) -> None:
        """Replace a file of the run, write-protected or not."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        path.write_bytes(data)

    def read(self, name: str) -> Any:
        return json.loads((self.folder / name).read_bytes())

    def put(self, name: str, value: Any) -> None:
        self.write(name, pretty_json(value).encode())

    def change(self, name: str, change: Callable[[Any], object]) -> None:
        """Change a JSON file in place."""
        value = self.read(name)
        change(value)
        self.put(name, value)

    def one(self, pattern: str) -> str:
        """Name of the first file or folder that fits."""
        return sorted(path.relative_to(self.folder).as_posix() for path in self.folder.glob(pattern))[0]

    def reseal(self, *, keep_card: bool = False, rejudge: bool = True) -> None:
        """Recompute everything that depends on the files, from the measurements up to the index."""
        self._measurements()
        self._records()
        if keep_card:
            self.change("models/run_card.json", self._fit_card)
        else:
            self._card()
        renamed = self._statements(rejudge=rejudge)
        self.relog(renamed)

    def relog(
        self, renamed: dict[str, str] | None = None, *, change: Callable[[list[Any]], object] | None = None
    ) -> None:
        """Write the log anew with bodies that fit the archive, a whole chain, and an index folded from it."""
        payloads = [line["payload"] for line in self.log()]
        names = renamed or {}
        for payload in payloads:
            if payload["subject"] == self.run_id or payload["body"].get("run_id") == self.run_id:
                self._fit_event(payload, names)
        if change is not None:
            change(payloads)
        self.write_log(payloads)

    def log(self) -> list[Any]:
        return [json.loads(line) for line in events_path(self.home).read_text().splitlines()]

    def write_log(self, payloads: list[Any]) -> None:
        """A log of these payloads, with its chain and its index."""
        events_path(self.home).unlink()
        with ChainWriter(events_path(self.home)) as writer:
            for payload in payloads:
                body = {"kind": payload["kind"], "subject": payload["subject"], "body": payload["body"]}
                payload["key"] = sha256_json(body)
                Event.model_validate(payload)
                writer.append(payload)
        index.refold(self.home)

    def rename(self, run_id: str) -> None:
        """Give the run another id everywhere."""
        old, new = self.run_id.encode(), run_id.encode()
        for path in sorted(self.folder.rglob("*")):
            if path.is_file() and old in path.read_bytes():
                self.write(path.relative_to(self.folder).as_posix(), path.read_bytes().replace(old, new))
        self.folder.rename(self.folder.with_name(run_id))
        text = events_path(self.home).read_bytes().replace(old, new)
        self.run_id = run_id
        self.write_log([json.loads(line)["payload"] for line in text.splitlines()])

    def _measurements(self) -> None:
        """Digests of scores and metrics inside the measurements, here and beside the judgements."""
        for prefix in ("", "export/"):
            if not (self.models / f"{prefix}measurements.json").is_file():
                continue
            metrics = sha256(self.models / f"{prefix}metrics.json")

            def fit(file: Any, metrics: str = metrics) -> None:
                for item in file["items"]:
                    item["evidence"] = re.sub(r"@sha256:\w+", f"@sha256:{metrics}", item["evidence"])
                    if item["scores"]:
                        item["scores"]["sha256"] = sha256(self.models / item["scores"]["file"])

            self.change(f"models/{prefix}measurements.json", fit)
            for path in self.folder.glob(f"judgements/*/{prefix}measurements.json"):
                self.write(
                    path.relative_to(self.folder).as_posix(), (self.models / f"{prefix}measurements.json").read_bytes()
                )

    def _records(self) -> None:
        outputs: dict[str, str] = {}
        for stage in STAGES:
            name = f"models/records/{stage}.json"
            if not (self.folder / name).is_file():
                name = f"models/records/{stage}.skipped.json"
            record = self.read(name)
            for file in list(record["artifacts"]):
                path = next((p for p in (self.models / stage / file, self.models / file) if p.is_file()), None)
                if path is not None:
                    record["artifacts"][file] = {"sha256": sha256(path), "size_bytes": path.stat().st_size}
                elif stage != "prepare":
                    del record["artifacts"][file]
            record["params_sha256"] = sha256_json(record["params"])
            record["inputs"] = {needed: outputs[needed] for needed in record["inputs"]}
            self.put(name, record)
            outputs[stage] = self._outputs(name)

    def _outputs(self, name: str) -> str:
        record = StageRecord.model_validate_json((self.folder / name).read_bytes())
        return hashlib.sha256(pretty_json(record.outputs()).encode()).hexdigest()

    def _card(self) -> None:
        """Made anew by the code that makes cards."""
        findings = Findings(section="stages", home=self.home)
        old = read_card(self.home, self.run_id)
        archived = read_archived(self.home, self.run_id, findings)
        found = {stage: self._record_of(stage) for stage in STAGES}
        finished = as_finished(archived, {stage: self._parsed(name) for stage, name in found.items()}, findings)
        assert finished is not None, findings.links
        placed = placements(finished)
        where = {f"{item.stage}/{item.name}": target for target, item in placed.items()}
        files = tuple(name for name, target in where.items() if target in old.model_files)
        finished = type(finished)(**{**vars(finished), "model_files": files})
        records = {name.removeprefix("models/"): self._artifact(name) for name in found.values()}
        self.put("models/run_card.json", make_card(self.models, finished, placed=placed, records=records))

    def _record_of(self, stage: str) -> str:
        name = f"models/records/{stage}.json"
        return name if (self.folder / name).is_file() else f"models/records/{stage}.skipped.json"

    def _parsed(self, name: str) -> StageRecord:
        return StageRecord.model_validate_json((self.folder / name).read_bytes())

    def _artifact(self, name: str) -> Any:
        path = self.folder / name
        return Artifact(sha256=sha256(path), size_bytes=path.stat().st_size)

    def _fit_card(self, card: Any) -> None:
        """Digests alone; what else the card says stays."""
        for artifacts in (card["artifacts"], card["observations"]["artifacts"]):
            for name in artifacts:
                path = self.models / name
                artifacts[name] = {"sha256": sha256(path), "size_bytes": path.stat().st_size}

    def _statements(self, *, rejudge: bool) -> dict[str, str]:
        """Judgements and decisions; returns the new name of each folder."""
        renamed: dict[str, str] = {}
        ids: dict[str, tuple[str, str]] = {}
        for folder in sorted((self.folder / "judgements").glob("*")):
            old, made = self._judgement(folder.relative_to(self.folder).as_posix(), rejudge=rejudge)
            renamed[f"judgements/{folder.name}"] = f"judgements/{made['judgement_id']}"
            ids[old] = (made["judgement_id"], made["verdict"])
        for old, new in renamed.items():
            if old != new:
                (self.folder / old).rename(self.folder / new)
        outputs = {path.parent.name: self._outputs(path.relative_to(self.folder).as_posix())
                   for path in (self.folder / "judgements").glob("*/record.json")}  # fmt: skip
        for folder in sorted((self.folder / "decisions").glob("*")):
            self._decision(folder.relative_to(self.folder).as_posix(), ids, outputs)
        return renamed

    def _judgement(self, name: str, *, rejudge: bool) -> tuple[str, Any]:
        judgement = self.read(f"{name}/judgement.json")
        old = judgement["judgement_id"]
        by_hand = not (self.folder / name / "record.json").is_file()
        gates = (
            self.read(f"{name}/gates.json") if by_hand else self.read(f"{name}/record.json")["params"]["lane"]["gates"]
        )
        measured = read_measured(self.models, run_id=self.run_id)
        if rejudge:
            judgement = json.loads(pretty_json(self._judged(measured, gates, judgement["lane"])))
        files = [name for name in ("measurements.json", "export/measurements.json") if (self.models / name).is_file()]
        raw = {item["name"]: item for name in files for item in self.read(f"models/{name}")["items"]}
        judgement["measurements_sha256"], judgement["gates_sha256"] = sha256_json(raw), sha256_json(gates)
        judgement["judgement_id"] = sha256_json(
            {
                "run_id": self.run_id,
                "gates": judgement["gates_sha256"],
                "measurements": judgement["measurements_sha256"],
            }
        )
        self.put(f"{name}/judgement.json", judgement)
        if not by_hand:
            page = verdict_markdown(Judgement.model_validate_json((self.folder / name / "judgement.json").read_bytes()))
            self.write(f"{name}/verdict.md", page.encode())
            facts = {"verdict": judgement["verdict"], "judgement_id": judgement["judgement_id"]}
            self._statement_record(
                name, facts, {s: self._outputs(self._record_of(s)) for s in ("train", "evaluate", "export")}
            )
        return old, judgement

    def _judged(self, measured: Measured, gates: Any, lane: str) -> Any:
        return measured.judgement(lane, read_gates(gates))

    def _decision(self, name: str, ids: dict[str, tuple[str, str]], outputs: dict[str, str]) -> None:
        decision = self.read(f"{name}/decision.json")
        new, verdict = ids[decision["judgement_id"]]
        decision["judgement_id"], decision["verdict"] = new, verdict
        if verdict != "pass" and decision["action"] == "accept":
            decision["action"] = "escalate"
        if verdict == "pass":
            decision["action"] = "accept"
            decision["proposed_overrides"] = {}
        self.put(f"{name}/decision.json", decision)
        facts = {"action": decision["action"], "decision_id": decision["decision_id"]}
        inputs = {stage: self._outputs(self._record_of(stage)) for stage in ("train", "evaluate", "export")}
        self._statement_record(name, facts, {**inputs, "judge": outputs[new]})

    def _statement_record(self, name: str, facts: Any, inputs: dict[str, str]) -> None:
        def fit(record: Any) -> None:
            record["facts"], record["inputs"] = facts, inputs
            record["params_sha256"] = sha256_json(record["params"])
            for file in record["artifacts"]:
                path = self.folder / name / file
                record["artifacts"][file] = {"sha256": sha256(path), "size_bytes": path.stat().st_size}

        self.change(f"{name}/record.json", fit)

    def _fit_event(self, payload: Any, renamed: dict[str, str]) -> None:
        proposal = self._proposal(payload, renamed)
        if proposal is not None:
            payload["subject"], payload["body"] = proposal.subject, json.loads(json.dumps(proposal.body))
        elif payload["kind"] == "files_kept":
            files: dict[str, str] = {}
            for name in payload["body"]["files"]:
                parent = "/".join(name.split("/")[:2])
                here = name.replace(parent, renamed.get(parent, parent), 1)
                if (self.folder / here).is_file():
                    files[here] = sha256(self.folder / here)
            payload["body"]["files"] = files

    def _proposal(self, payload: Any, renamed: dict[str, str]) -> Proposal | None:
        kind, body = payload["kind"], payload["body"]
        if kind in ("run_archived", "model_registered"):
            return next((item for item in run_proposals(self.home, self.run_id) if item.kind == kind), None)
        if kind == "judged":
            folder = renamed.get(f"judgements/{body['judgement_id']}", f"judgements/{body['judgement_id']}")
            return statement_proposal(self.run_id, self.folder / folder, "judgement.json", source=body["source"])
        if kind == "decided":
            return statement_proposal(self.run_id, self.folder / f"decisions/{body['decision_id']}", "decision.json")
        return None

    def remember_all(self, payloads: list[Any]) -> None:
        """Let the last `files_kept` of the run name every file that no other one names."""
        kept = [p for p in payloads if p["kind"] == "files_kept" and p["subject"] == self.run_id]
        named = {name for payload in kept[:-1] for name in payload["body"]["files"]}
        kept[-1]["body"]["files"] = {n: sha256(self.folder / n) for n in kept_names(self.folder) if n not in named}

    def remove(self, name: str) -> None:
        path = self.folder / name
        if path.is_dir():
            for file in path.rglob("*"):
                os.chmod(file, 0o755 if file.is_dir() else 0o644)
            shutil.rmtree(path)
        else:
            path.unlink()
