"""Agent ids in their two spellings: snake_case in `conf/`, the source's `Dir-Models` in cards, reports and heartbeats.

    spelled("mgr_models_01")   -> "Mgr-Models-01"
    agent_id("Mgr-Models-01")  -> "mgr_models_01"

The two undo each other for every id made of lower-case words. Does not know which agents exist.
"""

_WORDS = {"devsecops": "DevSecOps", "sre": "SRE", "llm": "LLM", "qa": "QA"}
"""Words that are not just capitalised."""


def spelled(agent: str) -> str:
    """The source's spelling of an agent's id: `dir_devsecops` -> `Dir-DevSecOps`."""
    return "-".join(_WORDS.get(part, part.capitalize()) for part in agent.split("_"))


def agent_id(spelling: str) -> str:
    """The id behind a spelling; letter case and the two kinds of dashes do not matter, an id is its own spelling."""
    return spelling.strip().replace("-", "_").lower()
