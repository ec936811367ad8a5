"""Judgements: the rows of one run under one set of gates, and the part of them that export asks for first.

Changing a threshold gives another judgement of the same run; nothing is trained again.
"""

from collections.abc import Iterable, Mapping

from interlock.contracts.gate import Gate
from interlock.contracts.measurement import Measurement
from interlock.contracts.verdict import GateResult, Judgement, Verdict, fold
from interlock.errors import ProvenanceError
from interlock.provenance.canonical import sha256_json


def before_export(gates: Mapping[str, Gate]) -> dict[str, Gate]:
    """The gates that are known before a file is shipped: those of the phases `training` and `kpi`."""
    return {name: gate for name, gate in gates.items() if gate.phase in ("training", "kpi")}


def kpi_passed(rows: Iterable[GateResult]) -> bool:
    """Whether the rows of `before_export(gates)` allow an export: every blocking one passes, and there is one."""
    return fold(rows) is Verdict.PASS


def make_judgement(
    *,
    run_id: str,
    lane: str,
    gates: Mapping[str, Gate],
    measurements: Mapping[str, Measurement],
    rows: Iterable[GateResult],
) -> Judgement:
    """Fold rows into a judgement. Raises ProvenanceError unless they answer exactly these gates as they stand."""
    ordered = tuple(sorted(rows, key=lambda row: row.gate))
    _refuse_other_gates(gates, ordered)
    gates_sha256, measurements_sha256 = sha256_json(dict(gates)), sha256_json(dict(measurements))
    identity = {"run_id": run_id, "gates": gates_sha256, "measurements": measurements_sha256}
    return Judgement(
        judgement_id=sha256_json(identity),
        run_id=run_id,
        lane=lane,
        verdict=fold(ordered),
        rows=ordered,
        gates_sha256=gates_sha256,
        measurements_sha256=measurements_sha256,
    )


def _refuse_other_gates(gates: Mapping[str, Gate], rows: tuple[GateResult, ...]) -> None:
    asked = sorted((name, gate.severity) for name, gate in gates.items())
    answered = [(row.gate, row.severity) for row in rows]
    if asked != answered:
        raise ProvenanceError(
            f"the rows answer {answered}, the gates are {asked}",
            key="judgement",
            hint="judge the run again with the gates of its configuration",
        )
