"""Decisions on releases: what each was made of stands beside it, and nothing of that was changed since.

    release_id(run_id, rows, evidence)        what such a decision names in place of a judgement
    check_release(archived, entry, ...)       links of one archived decision

A release is not judged by a stage: three reports are written when somebody asks, and the context that they gave is
kept. Does not gather the reports anew (`interlock release` does), and does not decide again.
"""

import re
from collections.abc import Iterable

from interlock.contracts.decision import Decision, DecisionContext, Evidence
from interlock.contracts.verdict import GateResult
from interlock.provenance.canonical import sha256_json
from interlock.registry.verification.archived import Archived, read_contract
from interlock.registry.verification.findings import Findings, shown

CONTEXT = "context.json"
_POINTED = re.compile(r"^(?P<file>[^#]+)#.*@sha256:(?P<sha256>[0-9a-f]{64})$", re.DOTALL)


def release_id(run_id: str, rows: Iterable[GateResult], evidence: Iterable[Evidence]) -> str:
    """Digest of what a release is decided upon; a decision on one carries it as its `judgement_id`."""
    content = {"run_id": run_id, "rows": list(rows), "evidence": list(evidence)}
    return sha256_json({"scheme": "interlock-release-1", **content})


def check_release(archived: Archived, entry: str, decision: Decision, findings: Findings) -> None:
    """The context that was decided upon, and every file that its facts point into."""
    name, folder = f"decisions/{shown(entry)}", archived.folder / "decisions" / entry
    context = read_contract(folder / CONTEXT, DecisionContext, f"{name} -> context", findings)
    if context is None:
        return
    stated = {"run": decision.run_id, "verdict": str(decision.verdict), "release": decision.judgement_id}
    made = {
        "run": context.run_id,
        "verdict": str(context.verdict),
        "release": release_id(context.run_id, context.rows, context.evidence),
    }
    findings.agree(f"{name} -> context", stated, made, says="the decision", path=folder / CONTEXT)
    for file, sha256 in sorted(_files(context)):
        found = archived.sha256(f"decisions/{entry}/{file}")
        link = f"{name} -> {file}"
        if found is None:
            findings.broken(link, "the file is missing", path=folder / file)
        else:
            findings.agree(link, sha256, found, says="the evidence", path=folder / file)


def _files(context: DecisionContext) -> set[tuple[str, str]]:
    found = (_POINTED.match(item.pointer) for item in context.evidence)
    return {(match["file"], match["sha256"]) for match in found if match}
