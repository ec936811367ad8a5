"""Decides the split of every query of a BEIR folder, from arrays alone: no file is read here.

A query belongs to the latest split (train < validation < test) whose file judges it. What then still crosses, by text
or by a near copy of an answer, is left out of the earlier split. Shares without a file of their own are held out of
training by whole groups: queries that share a text, a family of answers or a value of `group_field`.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from interlock.lanes.retrieval.datasets.beir_files import Judgements
from interlock.lanes.retrieval.datasets.config import SPLITS, BeirData, SplitName
from interlock.lanes.retrieval.datasets.duplicates import normalised
from interlock.lanes.retrieval.datasets.splits import Links, crossing, hold_out_queries, joined

UNKNOWN, PRESENT, EMPTY = 0, 1, 2
"""What is known of an id that a judgement names."""
CROSSING = "query or answer in a later split"
"""Reason under which the card counts what would have crossed."""


@dataclass(frozen=True)
class Answers:
    """What the corpus says of the documents that judgements name; row i belongs to `Judgements.doc_ids[i]`."""

    state: NDArray[np.int8]
    """UNKNOWN, PRESENT or EMPTY."""
    family: NDArray[np.int64]
    """Family of near copies."""
    group: NDArray[np.int64]
    """Number of the value of `group_field`; a document without a value is a group by itself."""


@dataclass(frozen=True)
class Asked:
    """The judged queries in the order of their file."""

    state: NDArray[np.int8]
    """UNKNOWN, PRESENT or EMPTY; row i belongs to `Judgements.query_ids[i]`."""
    number: NDArray[np.int64]
    """Index into `Judgements.query_ids` of each query that is present, in file order."""
    texts: list[str]
    """Their texts."""


@dataclass(frozen=True)
class Plan:
    """Which query goes where, and which judgements are used."""

    rank: NDArray[np.int64]
    """Index into SPLITS of each row of `Asked`, -1 where the query is left out."""
    pairs: NDArray[np.int64]
    """Rows of `Judgements` in prepared order: by query, then by their order in the file."""
    place: NDArray[np.int64]
    """Row of `Asked` of each of `pairs`."""
    left_out: Counter[str]
    """What is left out, by reason."""


def plan_splits(config: BeirData, judged: Judgements, answers: Answers, *, asked: Asked) -> Plan:
    """Divide the queries. Every id that a judgement names is known by now."""
    left_out: Counter[str] = Counter()
    place_of = np.full(len(judged.query_ids), -1, np.int64)
    place_of[asked.number] = np.arange(len(asked.number))
    pairs, rank = _usable_pairs(judged, answers, place_of, left_out)
    place = place_of[judged.query[pairs]]
    family = Links(place, answers.family[judged.document[pairs]])
    shared = joined(family, _text_links(asked.texts))
    cross = crossing([SPLITS[max(one, 0)] for one in rank], shared.only(rank >= 0)) & (rank >= 0)
    left_out[CROSSING] += int(cross.sum())
    rank[cross] = -1
    group = Links(place, answers.group[judged.document[pairs]] - answers.group.min(initial=0))
    names = [judged.query_ids[number] for number in asked.number]
    held = hold_out_queries(
        names, rank == 0, joined(shared, group), shares=_shares_without_file(config), seed=config.split_seed
    )
    rank = np.where(rank == 0, held, rank)
    order = np.lexsort((pairs, place))
    return Plan(rank, pairs[order], place[order], left_out)


def _usable_pairs(
    judged: Judgements, answers: Answers, place_of: NDArray[np.int64], left_out: Counter[str]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows of `Judgements` that count, and the rank of each query's split by row of `Asked` (-1: no answer left)."""
    usable = (answers.state[judged.document] == PRESENT) & (place_of[judged.query] >= 0)
    left_out["judgement of an empty text"] += int((~usable).sum())
    place, split = place_of[judged.query[usable]], judged.split[usable]
    rank = np.full(int((place_of >= 0).sum()), -1, np.int64)
    np.maximum.at(rank, place, split)
    left_out["query whose answers are empty"] += int((rank < 0).sum())
    latest = rank[place] == split
    left_out["judgement of a query that a later split judges"] += int((~latest).sum())
    return np.flatnonzero(usable)[latest], rank


def _text_links(texts: Sequence[str]) -> Links:
    numbers: dict[str, int] = {}
    found = [numbers.setdefault(normalised(text), len(numbers)) for text in texts]
    return Links(np.arange(len(texts)), np.array(found, np.int64))


def _shares_without_file(config: BeirData) -> dict[SplitName, float]:
    shares: dict[SplitName, float] = {}
    if config.splits.validation is None:
        shares["validation"] = config.validation_fraction
    if config.splits.test is None:
        shares["test"] = config.test_fraction
    return shares
