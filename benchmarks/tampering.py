"""A thousand forged runs, and a thousand honest ones: what `interlock verify` finds, without and with signatures.

    python benchmarks/tampering.py [--forged 1000] [--honest 1000] [--seed 1]

Every forgery is done to a fresh copy of a home with real runs of the toy lane, once to an unsigned home and once to a
signed one, by a careless forger (edits files) or a careful one (makes every digest, card, event, chain and index fit
again with Interlock's own code; everything but sign). Half of the honest homes are signed. Kinds and varieties stand
in `tests/plugins`. Results go to `benchmarks/results/tampering.json`.

Not covered: a whole home put back to an earlier state of itself, which no digest inside it can tell.
"""

import argparse
import random
import shutil
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

from _machine import write_result

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests" / "plugins"))

from forger import Forger  # noqa: E402
from forgeries import KINDS, Kind, copy_home  # noqa: E402
from honest_runs import VARIETIES, HonestRuns  # noqa: E402

from interlock.contracts.verification import HomeVerification, Link  # noqa: E402
from interlock.provenance.signing import new_key, public_path_of  # noqa: E402
from interlock.runs.proof.prove import prove_home  # noqa: E402

RUNS_PER_HOME = 40
HOMES_PER_VARIETY = 3
WANTED_SHARE = 0.99


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--forged", type=int, default=1000)
    parser.add_argument("--honest", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="interlock-tampering-") as scratch:
        bench = Bench(Path(scratch), seed=arguments.seed)
        honest = bench.honest(arguments.honest)
        forged = bench.forged(arguments.forged)
    print_table(forged["kinds"])
    result = {"what": "runs found broken by `interlock verify --all`", "honest": honest, "forged": forged}
    result["within_limits"] = honest["rejected"] == 0 and forged["detected_signed_share"] >= WANTED_SHARE
    print(f"\nhonest: {honest['rejected']} of {honest['runs']} rejected")
    print(f"forged: {forged['detected_unsigned']} of {forged['runs']} detected without a signature, "
          f"{forged['detected_signed']} with one")  # fmt: skip
    print("->", write_result("tampering", result, packages=("cryptography", "pydantic", "pyarrow")))


class Bench:
    """Makes homes, and forges copies of them."""

    def __init__(self, scratch: Path, *, seed: int) -> None:
        self.scratch, self.seed = scratch, seed
        self.key = scratch / "key"
        new_key(self.key)
        self.maker = HonestRuns(scratch, workspace=ROOT)
        self.bases: dict[tuple[str, bool], list[tuple[Path, str, str]]] = {}

    def honest(self, count: int) -> dict[str, Any]:
        """Real runs of all varieties, forty to a home; every other home is signed."""
        names, rejected, by_variety = list(VARIETIES), 0, defaultdict(int)
        reasons: list[str] = []
        seconds = 0.0
        for number, first in enumerate(range(0, count, RUNS_PER_HOME)):
            home, key = self.scratch / f"honest{number}", self.key if number % 2 else None
            for index in range(first, min(first + RUNS_PER_HOME, count)):
                variety = names[index % len(names)]
                by_variety[variety] += 1
                rng = random.Random(f"{self.seed}/{index}")
                lr, steps = round(rng.uniform(0.3, 0.7), 3), rng.randrange(15, 40)
                self.maker.run(home, seed=index, variety=variety, key=key, lr=lr, steps=steps)
            started = time.perf_counter()
            found = prove_home(home, workspace=ROOT, public_key=self._public(key))
            seconds += time.perf_counter() - started
            broken = [str(run.first_broken) for run in found.runs if not run.ok]
            rejected += max(len(broken), int(not found.ok))
            reasons += broken
            shutil.rmtree(home)
            print(f"honest: {min(first + RUNS_PER_HOME, count)} made, {rejected} rejected", flush=True)
        return {
            "runs": count,
            "rejected": rejected,
            "reasons": reasons[:10],
            "by_variety": dict(by_variety),
            "verify_ms_per_run": round(1000 * seconds / count, 1),
        }

    def forged(self, count: int) -> dict[str, Any]:
        """Forgeries in turn: every kind, careless and careful."""
        cases = [(kind, careful) for kind in KINDS for careful in (False, True)]
        tally: dict[tuple[str, bool], dict[str, int]] = defaultdict(lambda: defaultdict(int))
        missed: list[str] = []
        for number in range(count):
            kind, careful = cases[number % len(cases)]
            row = tally[kind.name, careful]
            row["runs"] += 1
            for signed in (False, True):
                first = self._case(kind, careful=careful, signed=signed, number=number)
                row["signed" if signed else "unsigned"] += first is not None
                if signed and first is None:
                    missed.append(f"{kind.name}, {'careful' if careful else 'careless'}, number {number}")
            if number % 100 == 99:
                print(f"forged: {number + 1} done, {len(missed)} missed when signed", flush=True)
        return {"runs": count, "missed_signed": missed, **_totals(tally, count), "kinds": _rows(tally)}

    def _case(self, kind: Kind, *, careful: bool, signed: bool, number: int) -> Link | None:
        """Forge a fresh copy; the first broken link, None when everything looks right."""
        bases = self._bases(kind.variety, signed)
        base, run_id, other = bases[number % len(bases)]
        home = copy_home(base, self.scratch / "copy")
        try:
            kind.forge(Forger(home, run_id), other, careful, random.Random(f"{self.seed}/{number}"))
            return first_broken(prove_home(home, public_key=self._public(self.key if signed else None)))
        finally:
            shutil.rmtree(home)

    def _bases(self, variety: str, signed: bool) -> list[tuple[Path, str, str]]:
        if (variety, signed) not in self.bases:
            self.bases[variety, signed] = [self._base(variety, signed, number) for number in range(HOMES_PER_VARIETY)]
        return self.bases[variety, signed]

    def _base(self, variety: str, signed: bool, number: int) -> tuple[Path, str, str]:
        home, key = self.scratch / f"base-{len(self.bases)}-{number}", self.key if signed else None
        run_id = self.maker.run(home, seed=10 + number, variety=variety, key=key)
        other = self.maker.run(home, seed=50 + number, key=key, lr=0.4)
        found = prove_home(home, workspace=ROOT, public_key=self._public(key))
        assert found.ok, first_broken(found)
        return home, run_id, other

    def _public(self, key: Path | None) -> Path | None:
        return public_path_of(key) if key else None


def first_broken(found: HomeVerification) -> Link | None:
    """The first broken link of a home."""
    links = [*found.links, *(run.first_broken for run in found.runs if run.first_broken)]
    return next((link for link in links if link.state == "broken"), None)


def _totals(tally: dict[tuple[str, bool], dict[str, int]], count: int) -> dict[str, Any]:
    unsigned, signed = (sum(row[name] for row in tally.values()) for name in ("unsigned", "signed"))
    careful = [row for (_, is_careful), row in tally.items() if is_careful]
    careless = [row for (_, is_careful), row in tally.items() if not is_careful]
    return {
        "detected_unsigned": unsigned,
        "detected_unsigned_share": round(unsigned / count, 4),
        "detected_unsigned_careless": f"{sum(r['unsigned'] for r in careless)} of {sum(r['runs'] for r in careless)}",
        "detected_unsigned_careful": f"{sum(r['unsigned'] for r in careful)} of {sum(r['runs'] for r in careful)}",
        "detected_signed": signed,
        "detected_signed_share": round(signed / count, 4),
    }


def _rows(tally: dict[tuple[str, bool], dict[str, int]]) -> list[dict[str, Any]]:
    counts = ("runs", "unsigned", "signed")
    return [
        {"kind": name, "forger": "careful" if careful else "careless", **{key: row[key] for key in counts}}
        for (name, careful), row in tally.items()
    ]


def print_table(rows: list[dict[str, Any]]) -> None:
    """Both columns per kind."""
    print(f"\n{'kind':<46}{'forger':<10}{'runs':>5}{'unsigned':>10}{'signed':>8}")
    for row in rows:
        print(f"{row['kind']:<46}{row['forger']:<10}{row['runs']:>5}{row['unsigned']:>10}{row['signed']:>8}")


if __name__ == "__main__":
    main()
