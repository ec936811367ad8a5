"""How long a BEIR folder of a million documents takes to prepare, and how much memory at its peak.

    python benchmarks/prepare_million.py [--documents 1000000] [--queries 50000]

Writes a folder of made-up text (Zipf-distributed words, about 60 a document, titles shared by a few documents, queries
drawn from the words of their answer, one judgement in a hundred a near copy across splits), prepares it in a process
of its own and reports that process. The folder (about 0.6 GB) is deleted afterwards. Results go to
`benchmarks/results/prepare_million.json`. Does not measure training or search.
"""

import argparse
import json
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results" / "prepare_million.json"
VOCABULARY = 200_000
BLOCK = 10_000
MEMORY_LIMIT_BYTES = 2 * 2**30
TEST_SHARE = 0.1
PACKAGES = ("numpy", "pyarrow", "scipy")


class Lines:
    """Progress that says what it starts with and how long it took."""

    def track(self, items: Iterable[Any], description: str, total: int | None = None) -> Iterator[Any]:
        """Pass the items through and report."""
        started, count = time.monotonic(), 0
        for item in items:
            yield item
            count += 1
        print(f"{description}: {count} in {time.monotonic() - started:.1f} s", file=sys.stderr)

    def message(self, text: str) -> None:
        """Say one line."""
        print(text, file=sys.stderr)


def main() -> None:
    arguments = parse()
    if arguments.child == "write":
        write_folder(arguments.folder, arguments.documents, arguments.queries)
    elif arguments.child == "prepare":
        print(json.dumps(prepare(arguments.folder)))
    else:
        measure(arguments)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--documents", type=int, default=1_000_000)
    parser.add_argument("--queries", type=int, default=50_000)
    parser.add_argument("--result", type=Path, default=RESULTS, help="where the result is written")
    parser.add_argument("--child", choices=["write", "prepare"], help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    return parser.parse_args()


def measure(arguments: argparse.Namespace) -> None:
    # both steps run in processes of their own: a child's peak would otherwise count what its parent held
    with tempfile.TemporaryDirectory(prefix="interlock-million-") as name:
        folder = Path(name)
        run(arguments, "write", folder)
        input_bytes = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
        found = json.loads(run(arguments, "prepare", folder))
    result = {
        "what": f"BEIR folder of {arguments.documents} documents and {arguments.queries} queries, prepared",
        "input_bytes": input_bytes,
        "within_memory_limit": found["peak_rss_bytes"] <= MEMORY_LIMIT_BYTES,
        "memory_limit_bytes": MEMORY_LIMIT_BYTES,
        **found,
        "machine": machine(),
        "versions": {"python": platform.python_version(), **{name: version(name) for name in PACKAGES}},
    }
    arguments.result.parent.mkdir(parents=True, exist_ok=True)
    arguments.result.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    print(f"{found['minutes']:.2f} minutes, peak {found['peak_rss_bytes'] / 2**30:.2f} GiB -> {arguments.result}")


def run(arguments: argparse.Namespace, child: str, folder: Path) -> str:
    command = [
        sys.executable,
        __file__,
        "--child",
        child,
        "--folder",
        str(folder),
        "--documents",
        str(arguments.documents),
        "--queries",
        str(arguments.queries),
    ]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


def prepare(folder: Path) -> dict[str, Any]:
    import resource

    from interlock.lanes.retrieval.datasets.config import BeirData
    from interlock.lanes.retrieval.datasets.preparation import prepare_dataset

    output = folder / "prepared"
    output.mkdir()
    config = BeirData(kind="beir", path=str(folder / "beir"), name="million")
    started = time.monotonic()
    card = prepare_dataset(config, output, root=folder, progress=Lines())
    minutes = (time.monotonic() - started) / 60
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {
        "minutes": round(minutes, 3),
        "peak_rss_bytes": peak if sys.platform == "darwin" else peak * 1024,
        "output_bytes": sum(path.stat().st_size for path in output.iterdir()),
        "documents": card.documents,
        "queries": {split: count.queries for split, count in card.splits.items()},
        "left_out": card.left_out,
        "splits_correct": card.split_check.correct,
        "sha256": card.sha256,
    }


def machine() -> dict[str, Any]:
    import os

    model = platform.processor()
    if (info := Path("/proc/cpuinfo")).exists():
        names = [line.partition(":")[2].strip() for line in info.read_text().splitlines() if "model name" in line]
        model = names[0] if names else model
    return {"cpu": model, "cores": os.cpu_count(), "system": platform.platform()}


def write_folder(root: Path, documents: int, queries: int) -> None:
    """Write the BEIR folder; the same numbers give the same bytes."""
    import numpy as np

    folder = root / "beir"
    (folder / "qrels").mkdir(parents=True)
    rng = np.random.default_rng(20_240_101)
    vocabulary = np.array([f"{'bcdfgklmnprstv'[n % 14]}{'aeiou'[n % 5]}{n:x}" for n in range(VOCABULARY)])
    asked = np.sort(rng.choice(documents, queries, replace=False))
    near_copies = set(asked[rng.random(queries) < 0.01].tolist())
    with (
        (folder / "corpus.jsonl").open("w", encoding="utf-8") as corpus,
        (folder / "queries.jsonl").open("w", encoding="utf-8") as query_file,
        (folder / "qrels" / "train.tsv").open("w", encoding="utf-8") as train,
        (folder / "qrels" / "test.tsv").open("w", encoding="utf-8") as test,
    ):
        for file in (train, test):
            file.write("query-id\tcorpus-id\tscore\n")
        wanted, earlier = set(asked.tolist()), ""
        for start in range(0, documents, BLOCK):
            for number, text in enumerate(texts(rng, vocabulary, min(BLOCK, documents - start)), start=start):
                if number in near_copies and earlier:
                    text = f"{earlier} again"
                row = {"_id": f"doc{number}", "title": f"article {number // 4}", "text": text}
                corpus.write(json.dumps(row) + "\n")
                if number not in wanted:
                    continue
                earlier = text
                words = text.split()
                question = " ".join(words[place] for place in rng.integers(0, len(words), 8))
                query_file.write(json.dumps({"_id": f"query{number}", "text": question}) + "\n")
                # whole articles go to test, as in a folder that was split well
                target = test if number // 4 % round(1 / TEST_SHARE) == 0 else train
                target.write(f"query{number}\tdoc{number}\t1\n")


def texts(rng: Any, vocabulary: Any, count: int) -> Iterator[str]:
    """Texts of log-normal length, 60 words in the middle; words follow Zipf's law."""
    import numpy as np

    lengths = np.clip(rng.lognormal(np.log(60), 0.4, count), 8, 300).astype(int)
    weights = np.cumsum(1 / np.arange(1, VOCABULARY + 1))
    words = vocabulary[np.searchsorted(weights, rng.random(lengths.sum()) * weights[-1])]
    for start, length in zip(np.cumsum(lengths) - lengths, lengths, strict=True):
        yield " ".join(words[start : start + length])


if __name__ == "__main__":
    main()
