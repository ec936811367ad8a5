"""Does a policy decide what really works? Situations from real runs, with what every action in them led to.

    python benchmarks/decision_benchmark.py [--llm anthropic] [--run --folder DIR] [--quick]

The rule policy decides in every stored situation; a configured language model (`--llm`, a choice of `conf/llm`) does
the same through the real policies where its key is in the environment, and is skipped with a word where it is not.
Nothing is trained: outcomes are stored (`decisions/`, see its README). With `--run` the rules' own proposals that were
never tried are really run, and followed until a pass or the end of the attempts; both are stored beside the situations.
`--quick` scores the rules and writes nothing. Results go to `benchmarks/results/decision_benchmark.json`.
"""

import argparse
import json
import sys
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from _machine import write_result
from decisions.paths import follow
from decisions.scoring import Answer, blind, score
from decisions.situations import DATA, Situation, load

ROOT = Path(__file__).resolve().parents[1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--llm", action="append", default=[], help="a choice of conf/llm to be scored beside the rules")
    parser.add_argument("--run", action="store_true", help="really run what the rules propose and nobody tried")
    parser.add_argument("--folder", type=Path, help="where runs and answers are kept; a temporary one by default")
    parser.add_argument("--workspace", type=Path, default=ROOT, help="whose code and conf are run")
    parser.add_argument("--processes", type=int, default=1, help="runs at the same time; one thread each")
    parser.add_argument("--quick", action="store_true", help="the rules alone, and no results file")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="interlock-decisions-") as scratch:
        folder = options.folder or Path(scratch)
        if options.run:
            follow(load(), workspace=options.workspace, folder=folder, processes=options.processes)
            load.cache_clear()
        result = measure(options.llm, folder)
    show(result)
    if not options.quick:
        print("->", write_result("decision_benchmark", result, packages=("pydantic",)))


def measure(models: Iterable[str], folder: Path) -> dict[str, Any]:
    """Score the rules and every model that can be asked."""
    from interlock.decisions.rules.by_kind import Rules

    situations = load()
    policies: dict[str, Any] = {"rules": score(answers(Rules(), situations))}
    skipped = {}
    for name in models:
        policy, why = model_policy(name, folder)
        if policy is None:
            skipped[name] = why
        else:
            policies[name] = score(answers(policy, situations))
    return {
        "what": "share of situations in which a policy decides what really worked",
        "situations": len(situations),
        "lanes": _counted(item.lane for item in situations),
        "kinds": _counted(item.kind for item in situations),
        "verdicts": _counted(item.verdict for item in situations),
        "runs": sum(len(item.outcomes) for item in situations) + len(situations),
        "by_chance": blind(situations),
        "policies": policies,
        "skipped": skipped,
        "rules_followed_to_the_end": _paths(),
    }


def answers(policy: Any, situations: Iterable[Situation]) -> Iterator[Answer]:
    """What a policy decides in each; no decision counts as a wrong one and says why."""
    from interlock.errors import InterlockError

    for situation in situations:
        try:
            decision = policy.decide(situation.context())
        except InterlockError as error:
            yield Answer(situation=situation, action="none", overrides={}, says=str(error))
        else:
            reason = decision.reasons[0].text
            yield Answer(
                situation=situation,
                action=str(decision.action),
                overrides=dict(decision.proposed_overrides),
                says=reason,
            )


def model_policy(name: str, folder: Path) -> tuple[Any, str]:
    """The deciding agent's configured policy with the models of `conf/llm/<name>.yaml`, or why there is none."""
    import os

    from interlock.config.compose import compose_lane
    from interlock.config.validate import validate
    from interlock.contracts.llm import by_model
    from interlock.decisions.answers import Answers, Auto
    from interlock.decisions.budget import Ledger
    from interlock.decisions.context import deciding_agent
    from interlock.decisions.llm.wire import Wire
    from interlock.decisions.policies import build

    experiment = validate(compose_lane(ROOT / "conf", ["lane=query_tower", f"llm={name}"]), subject=name)
    models = getattr(experiment.llm, "models", {})
    keys = {model.key_env for model in models.values() if model.key_env}
    if not models or (absent := sorted(key for key in keys if not os.environ.get(key))):
        return None, f"{' and '.join(absent)} is not set" if models else "conf/llm names no model there"
    agent = deciding_agent(experiment.agents)
    live = Wire(by_model(experiment.prices), Ledger({agent: experiment.agents[agent].budget}, experiment.budget))
    asker = Auto(Answers(folder / "answers" / name), live)
    return build(agent, experiment.agents, experiment.llm, asker), ""


def show(result: dict[str, Any]) -> None:
    """The scores, and every miss in words."""
    print(f"{result['situations']} situations, {result['runs']} runs; by chance {result['by_chance']}")
    for name, found in result["policies"].items():
        for part in ("all", "dev", "test"):
            print(f"{name:12} {part:5} {_told(found[part])}")
        for kind, share in found["by_kind"].items():
            print(f"    {kind:38} {share['hits']:3} of {share['situations']:3}   {found['confusion'][kind]}")
        for miss in found["misses"]:
            print(f"    miss: {miss['situation']}: {miss['why']}; {miss['because']}".rstrip("; "))
    for name, why in result["skipped"].items():
        print(f"{name}: skipped, {why}")
    if told := result["rules_followed_to_the_end"]:
        print(f"rules followed: {told['passed']} of {told['followed']} reach a pass, at run {told['passed_at_run']}")


def _told(share: dict[str, Any]) -> str:
    strict = f"{share['in_one_step']} if only the very next run counts"
    return f"{share['hits']:3} of {share['situations']:3}  {share['share']}  ({share['at_once']} at once; {strict})"


def _counted(names: Iterable[str]) -> dict[str, int]:
    from collections import Counter

    return dict(sorted(Counter(names).items()))


def _paths() -> dict[str, Any]:
    """How far the rules came from every situation in which they retrain, as `--run` found it."""
    path = DATA / "paths.json"
    if not path.is_file():
        return {}
    paths = json.loads(path.read_text())
    passed = [rows for rows in paths.values() if rows[-1]["verdict"] == "pass"]
    at = [rows[-1]["attempt"] for rows in passed]
    return {
        "followed": len(paths),
        "passed": len(passed),
        "passed_at_run": {str(attempt): at.count(attempt) for attempt in sorted(set(at))},
    }


if __name__ == "__main__":
    sys.exit(main())
