"""How well the default query tower finds documents, beside BM25, chance and a sentence-transformers StaticEmbedding.

    python benchmarks/query_tower_vs_peers.py [--seeds 1 2 3] [--peer-seconds 70] [--threads 2]

The tower is the real thing: `interlock run seed=N` in a temporary INTERLOCK_HOME. All systems answer the same test
queries over the same documents; differences are paired by query, with a BCa bootstrap interval of 95 %. The peer is
trained from scratch on the same pairs, its tokenizer too. Its settings were chosen on validation queries of other
splits; its texts are tokenized once, and its clock counts the training of its tokenizer and its steps, not its tests.
Needs `pip install interlock[bench]`. Results go to `benchmarks/results/query_tower_vs_peers.json`. Does not measure
latency, nor pretrained models (nothing is downloaded).
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

ROOT = Path(__file__).resolve().parents[1]
RESULTS = Path(__file__).parent / "results" / "query_tower_vs_peers.json"
METRICS = ("r_at_5", "r_at_10")
RESAMPLES = 5000
SPECIAL = "[UNK]"
PACKAGES = ("bm25s", "numpy", "scipy", "sentence-transformers", "tokenizers", "torch")

Scores = dict[str, NDArray[np.float64]]
"""Per-query scores by metric."""


@dataclass(frozen=True)
class PeerSettings:
    """What the peer was tuned over: vocabulary, tokenizer, width, rate, batch. These won on validation queries."""

    vocabulary: int = 4000
    dimensions: int = 1024
    lr: float = 0.1
    batch_size: int = 1024
    warmup: float = 0.1
    curve_every_s: float = 5.0


@dataclass(frozen=True, kw_only=True)
class Task:
    """The prepared dataset as every system sees it."""

    documents: list[str]
    train_queries: list[str]
    train_rows: NDArray[np.int64]
    queries: list[str]
    query_ids: list[str]
    relevant: list[dict[int, int]]

    @classmethod
    def open(cls, folder: Path) -> "Task":
        """Read a prepare folder: pairs of the training split, queries of the test split."""
        from interlock.lanes.retrieval.datasets.prepared import PreparedDataset

        data = PreparedDataset.open(folder)
        train, test, pairs = data.queries("train"), data.queries("test"), data.positives("train")
        relevant: list[dict[int, int]] = [{} for _ in test.ids]
        answers = data.positives("test")
        for query, document, grade in zip(answers.query_row, answers.doc_row, answers.relevance, strict=True):
            relevant[query][int(document)] = int(grade)
        return cls(
            documents=data.documents(np.arange(data.num_documents)),
            train_queries=[train.texts[row] for row in pairs.query_row], train_rows=pairs.doc_row,
            queries=test.texts, query_ids=test.ids, relevant=relevant,
        )  # fmt: skip

    def scores(self, ranked_QK: NDArray[np.int64]) -> Scores:
        """Per-query scores of a ranking of at least 10 documents."""
        from interlock.lanes.retrieval.metrics import per_query

        found = per_query(ranked_QK, self.relevant)
        return {name: found[name] for name in METRICS}


def main() -> None:
    arguments = parse()
    import torch

    torch.set_num_threads(arguments.threads)
    with tempfile.TemporaryDirectory(prefix="interlock-peers-") as name:
        home = Path(name)
        towers = [run_tower(home, seed, threads=arguments.threads) for seed in arguments.seeds]
        task = Task.open(towers[0][1] / "prepare")
        tower_scores = [tower_per_query(folder, task.query_ids) for _, folder in towers]
        seconds = [train_seconds for train_seconds, _ in towers]
    peers = [train_peer(task, PeerSettings(), seed=seed, limit_s=arguments.peer_seconds) for seed in arguments.seeds]
    systems = {
        "bm25": [bm25_standard(task)] * len(towers),
        "bm25_tower_tokens": [bm25_tower_tokens(task)] * len(towers),
        "static_embedding": [peer["scores"] for peer in peers],
        "chance": [chance(task)] * len(towers),
    }
    result = report(task, arguments, tower_scores, systems, seconds, peers)
    arguments.result.parent.mkdir(parents=True, exist_ok=True)
    arguments.result.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    print(json.dumps({key: result[key] for key in ("mean", "seed_averaged", "time_to_peer")}, indent=2))


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--peer-seconds", type=float, default=70.0, help="wall time of each training of the peer")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--result", type=Path, default=RESULTS, help="where the result is written")
    return parser.parse_args()


def run_tower(home: Path, seed: int, *, threads: int) -> tuple[float, Path]:
    """Run the default experiment; returns the seconds of its train stage and its folder.

    The exit code is not looked at: a gate that blocks is a verdict, and a run without scores fails below.
    """
    before = set((home / "work").glob("query_tower-*"))
    program = [sys.executable, "-c", "from interlock.cli.main import main; main()"]
    command = [*program, "run", f"seed={seed}", f"hardware.threads={threads}"]
    environment = {**os.environ, "INTERLOCK_HOME": str(home)}
    subprocess.run(command, cwd=ROOT, env=environment, check=False, stdout=sys.stderr)
    made = set((home / "work").glob("query_tower-*")) - before
    if len(made) != 1:
        sys.exit(f"interlock run left {len(made)} new runs in {home / 'work'}, not 1; its error stands above")
    folder = made.pop()
    observed = json.loads((folder / "train" / "observations.json").read_text(encoding="utf-8"))
    return float(observed["duration_s"]), folder


def tower_per_query(folder: Path, query_ids: Sequence[str]) -> Scores:
    """Scores of the tower in the order of `query_ids`."""
    import pyarrow.parquet as pq

    table = pq.read_table(folder / "evaluate" / "per_query.parquet", columns=["query_id", *METRICS]).to_pydict()
    place = {query: row for row, query in enumerate(table["query_id"])}
    order = [place[query] for query in query_ids]
    return {name: np.asarray(table[name], dtype=np.float64)[order] for name in METRICS}


def bm25_standard(task: Task) -> Scores:
    """bm25s as it comes: its own tokenizer (lower case, English stop words, no stemmer), its own k1 and b."""
    import bm25s

    model = bm25s.BM25()
    model.index(bm25s.tokenize(task.documents, stopwords="en", show_progress=False), show_progress=False)
    asked = bm25s.tokenize(task.queries, stopwords="en", return_ids=False, show_progress=False)
    ranked_QK, _ = model.retrieve(asked, k=10, show_progress=False)
    return task.scores(np.asarray(ranked_QK, dtype=np.int64))


def bm25_tower_tokens(task: Task) -> Scores:
    """The baseline of the evaluation report: BM25 over the tower's own words."""
    from interlock.lanes.retrieval.baselines import Bm25

    return task.scores(Bm25(task.documents, words="stems").search(task.queries, 10))


def chance(task: Task) -> Scores:
    """Expected recall of a random order."""
    from interlock.lanes.retrieval.baselines import chance_recall

    ks = dict(zip(METRICS, (5, 10), strict=True))
    return {name: np.full(len(task.queries), chance_recall(k, len(task.documents))) for name, k in ks.items()}


def train_peer(task: Task, settings: PeerSettings, *, seed: int, limit_s: float) -> dict[str, Any]:
    """Train a StaticEmbedding with MultipleNegativesRankingLoss for `limit_s`; scores and learning curve."""
    import torch
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.losses import MultipleNegativesRankingLoss
    from sentence_transformers.sentence_transformer.modules import StaticEmbedding

    torch.manual_seed(seed)
    random = np.random.default_rng(seed)
    answers = [task.documents[row] for row in task.train_rows]
    started = time.perf_counter()
    tokenizer = peer_tokenizer(task.train_queries + answers, settings.vocabulary)
    model = SentenceTransformer(
        modules=[StaticEmbedding(tokenizer, embedding_dim=settings.dimensions)], device="cpu"
    )  # fmt: skip
    loss_of, optimizer = MultipleNegativesRankingLoss(model), torch.optim.AdamW(model.parameters(), lr=settings.lr)
    queries, documents = tokenize(tokenizer, task.train_queries), tokenize(tokenizer, answers)
    used_s = prepared_s = time.perf_counter() - started
    test, corpus = tokenize(tokenizer, task.queries), tokenize(tokenizer, task.documents)
    curve: list[dict[str, float]] = []
    batches = shuffled(random, len(queries), settings.batch_size)
    while used_s < limit_s:
        started, chosen = time.perf_counter(), next(batches)
        share = (used_s - prepared_s) / (limit_s - prepared_s)
        for group in optimizer.param_groups:
            group["lr"] = settings.lr * min((share + 0.003) / settings.warmup, (1 - share) / (1 - settings.warmup))
        loss = loss_of([features([side[row] for row in chosen]) for side in (queries, documents)], None)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        used_s += time.perf_counter() - started
        if used_s >= min(limit_s, (len(curve) + 1) * settings.curve_every_s):
            scores = task.scores(peer_ranking(model, test, corpus))
            curve.append({"wall_s": round(used_s, 1), **{name: float(scores[name].mean()) for name in METRICS}})
    return {"scores": scores, "curve": curve, "wall_s": used_s}


def peer_tokenizer(texts: list[str], vocabulary: int) -> Any:
    """WordPiece with BERT's normalisation, trained on training texts alone."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.WordPiece(unk_token=SPECIAL))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    trainer = trainers.WordPieceTrainer(vocab_size=vocabulary, special_tokens=[SPECIAL], show_progress=False)
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer


def tokenize(tokenizer: Any, texts: list[str]) -> list[NDArray[np.int64]]:
    return [np.array(found.ids, np.int64) for found in tokenizer.encode_batch(texts, add_special_tokens=False)]


def features(tokens: Sequence[NDArray[np.int64]]) -> dict[str, Any]:
    """What StaticEmbedding.preprocess would make of the texts."""
    import torch

    lengths = np.array([len(row) for row in tokens])
    offsets = torch.from_numpy(np.cumsum(lengths) - lengths)
    return {"input_ids": torch.from_numpy(np.concatenate(tokens)), "offsets": offsets}


def shuffled(random: np.random.Generator, count: int, size: int) -> Any:
    """Batches of row numbers without end, every epoch in a new order."""
    while True:
        order = random.permutation(count)
        yield from (order[start : start + size] for start in range(0, count - size + 1, size))


def peer_ranking(model: Any, queries: list[Any], documents: list[Any]) -> NDArray[np.int64]:
    """[Q, 10] nearest documents by cosine."""
    import torch

    def vectors(tokens: list[Any]) -> torch.Tensor:
        parts = [tokens[start : start + 1024] for start in range(0, len(tokens), 1024)]
        found = torch.cat([model(features(part))["sentence_embedding"] for part in parts])
        return torch.nn.functional.normalize(found, dim=1)

    with torch.inference_mode():
        ranked: NDArray[np.int64] = (vectors(queries) @ vectors(documents).T).topk(10).indices.numpy()
    return ranked


def report(
    task: Task, arguments: argparse.Namespace, tower: list[Scores], systems: dict[str, list[Scores]],
    tower_seconds: list[float], peers: list[dict[str, Any]],
) -> dict[str, Any]:  # fmt: skip
    def compared(pick: Callable[[list[Scores]], list[Scores]]) -> dict[str, Any]:
        return {
            name: {metric: difference(pick(tower), pick(found), metric) for metric in METRICS}
            for name, found in systems.items()
        }

    everyone = {"query_tower": tower, **systems}
    return {
        "what": "share of test queries whose document is among the first k of all documents",
        "documents": len(task.documents), "train_pairs": len(task.train_queries), "test_queries": len(task.queries),
        "seeds": arguments.seeds,
        "mean": {
            name: {metric: [round(float(run[metric].mean()), 4) for run in runs] for metric in METRICS}
            for name, runs in everyone.items()
        },
        "seed_averaged": compared(lambda runs: runs),
        "by_seed": {
            str(seed): compared(lambda runs, place=place: [runs[place]])  # type: ignore[misc]
            for place, seed in enumerate(arguments.seeds)
        },
        "peer": {"settings": asdict(PeerSettings()), "limit_s": arguments.peer_seconds,
                 "curves": [peer["curve"] for peer in peers]},
        "time_to_peer": times(tower, tower_seconds, peers),
        "machine": machine(arguments.threads),
        "versions": {"python": platform.python_version(), **{name: version(name) for name in PACKAGES}},
    }  # fmt: skip


def difference(ours: list[Scores], theirs: list[Scores], metric: str) -> dict[str, float]:
    """Mean of the paired differences by query, each averaged over the given runs, with its 95 % interval."""
    from scipy.stats import bootstrap

    paired_Q = np.mean([run[metric] for run in ours], axis=0) - np.mean([run[metric] for run in theirs], axis=0)
    interval = bootstrap(
        (paired_Q,), np.mean, n_resamples=RESAMPLES, method="BCa", batch=500, rng=np.random.default_rng(0)
    ).confidence_interval
    return {
        "difference": round(float(paired_Q.mean()), 4),
        "low": round(float(interval.low), 4), "high": round(float(interval.high), 4),
    }  # fmt: skip


def times(tower: list[Scores], tower_seconds: list[float], peers: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """For each seed: when the peer first had its final R@5, beside the tower's whole train stage.

    The tower's curve is not taken: its train stage as a whole (fitting, epochs, Echo-Loop head, checkpoints) counts,
    which is more than the time to the peer's R@5. `reached` tells whether the tower got there at all.
    """
    rows = []
    for scores, train_s, peer in zip(tower, tower_seconds, peers, strict=True):
        final = peer["curve"][-1]["r_at_5"]
        first = next(point["wall_s"] for point in peer["curve"] if point["r_at_5"] >= final)
        rows.append({
            "peer_final_r_at_5": round(final, 4), "peer_s": first, "tower_train_stage_s": round(train_s, 1),
            "reached": bool(scores["r_at_5"].mean() >= final), "ratio": round(train_s / first, 3),
        })  # fmt: skip
    return rows


def machine(threads: int) -> dict[str, Any]:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if "model name" in line]
    return {
        "cpu": names[0] if names else platform.processor(), "cores": os.cpu_count(), "threads": threads,
        "system": platform.platform(), "load_average": [round(load, 1) for load in os.getloadavg()],
    }  # fmt: skip


if __name__ == "__main__":
    main()
