"""Test sets that leak: what reads a prepared dataset back has to say so, and the lane's own gate has to fail.

A small prepared dataset is written with a leak that a source's splitting let through; `check_splits` looks at it, its
answer becomes the measurement `splits_correct`, and the gate of that name in `conf/gate/query_tower.yaml` is judged.
The sources of Interlock mend such leaks while they split, so that this check is the second line; here it stands alone.

Does not cover paraphrases, nor copies of vectors under other ids: for vectors there is no agreed meaning of a near
copy, and equal ones are kept apart by the source (`lanes/retrieval/datasets/npz.py`) and not looked for again.
"""

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import yaml

from gatebench.cases import FAIL, Case
from gatebench.toy_runs import ROOT, refusal_is_blocked
from interlock.contracts.verdict import Verdict
from interlock.lanes.measuring import Subject, Value, write_measurements
from interlock.lanes.retrieval.datasets.prepared import PreparedTables
from interlock.lanes.retrieval.datasets.split_check import check_splits
from interlock.lanes.retrieval.datasets.writer import PreparedWriter
from interlock.stages.verdicts import read_gates, read_measured

RUN = "0123456789abcdef"
WORDS = ("otter", "heron", "badger", "lynx", "marten", "viper", "bison", "raven", "ibex", "toad", "stoat", "crane")


@dataclass
class Tables:
    """24 queries with one answer each: 16 train, 4 validation, 4 test."""

    doc_ids: list[str] = field(default_factory=lambda: [f"d{n}" for n in range(24)])
    documents: list[str] = field(default_factory=lambda: [_text(n) for n in range(24)])
    query_ids: list[str] = field(default_factory=lambda: [f"q{n}" for n in range(24)])
    queries: list[str] = field(default_factory=lambda: [f"what does {WORDS[n % 12]} {n} do" for n in range(24)])
    splits: list[str] = field(default_factory=lambda: ["train"] * 16 + ["validation"] * 4 + ["test"] * 4)
    answers: list[tuple[str, str]] = field(default_factory=lambda: [(f"q{n}", f"d{n}") for n in range(24)])


def _text(number: int) -> str:
    """Twenty words whose triples no other number shares."""
    return " ".join(f"{WORDS[(number + place) % 12]}{number}x{place}" for place in range(20))


def _same_question(tables: Tables) -> None:
    tables.queries[23] = tables.queries[2]


def _same_question_in_capitals(tables: Tables) -> None:
    tables.queries[23] = tables.queries[2].upper() + "?!"


def _same_answer(tables: Tables) -> None:
    tables.answers.append(("q23", "d1"))


def _copied_answer(tables: Tables) -> None:
    tables.documents[23] = tables.documents[3]


def _nearly_copied_answer(tables: Tables) -> None:
    tables.documents[23] = tables.documents[3] + " indeed"


def _validation_in_test(tables: Tables) -> None:
    tables.documents[22] = tables.documents[17]


def _query_twice(tables: Tables) -> None:
    tables.query_ids[23] = "q2"
    tables.answers = [pair for pair in tables.answers if pair[0] != "q23"]


def _whole_test_set_in_training(tables: Tables) -> None:
    for number in range(4):
        tables.queries[number], tables.documents[number] = tables.queries[20 + number], tables.documents[20 + number]


def _no_test_set(tables: Tables) -> None:
    tables.splits = [split.replace("test", "train") for split in tables.splits]


LEAKS: dict[str, Callable[[Tables], None]] = {
    "leak_same_question": _same_question,
    "leak_same_question_in_capitals": _same_question_in_capitals,
    "leak_same_answer": _same_answer,
    "leak_copied_answer": _copied_answer,
    "leak_nearly_copied_answer": _nearly_copied_answer,
    "leak_validation_in_test": _validation_in_test,
    "leak_query_in_two_splits": _query_twice,
    "leak_whole_test_set": _whole_test_set_in_training,
    "leak_no_test_set_left": _no_test_set,
}


def leak_cases(folder: Path) -> Iterator[Case]:
    """Each leak, judged by the lane's own gate."""
    for fault, leak in LEAKS.items():
        yield Case(
            fault=fault,
            kind="files",
            number=0,
            expected=FAIL,
            drive=partial(_judged, folder, leak),
            drive_twin=partial(_judged, folder, lambda tables: None),
        )


def _judged(folder: Path, leak: Callable[[Tables], None]) -> Verdict:
    place, tables = folder / "leak", Tables()
    leak(tables)
    (place / "prepare").mkdir(parents=True)
    (place / "evaluate").mkdir()
    try:
        return refusal_is_blocked(partial(_verdict, place, tables))
    finally:
        shutil.rmtree(place)


def _verdict(place: Path, tables: Tables) -> Verdict:
    with PreparedWriter(place / "prepare") as writer:
        writer.add_documents(tables.doc_ids, tables.documents)
        writer.add_queries(tables.query_ids, tables.queries, tables.splits)
        writer.add_qrels(*zip(*tables.answers, strict=True), [1] * len(tables.answers))
    check = check_splits(PreparedTables(place / "prepare"), similarity=0.8)
    subject = Subject(folder=place / "evaluate", stage="evaluate", run_id=RUN, evaluator_sha256="b" * 64)
    write_measurements(subject, [Value(name="splits_correct", value=float(check.correct), unit="bool")])
    gates = yaml.safe_load((ROOT / "conf" / "gate" / "query_tower.yaml").read_text())
    measured = read_measured([place / "evaluate"], run_id=RUN)
    return measured.judgement("query_tower", read_gates({"splits_correct": gates["splits_correct"]})).verdict
