"""The name that somebody meant who wrote another one."""

import difflib
from collections.abc import Iterable


def nearest(name: str, names: Iterable[str]) -> str:
    """The most similar of `names`, or an empty string when none is similar."""
    return next(iter(difflib.get_close_matches(name, sorted(names), n=1, cutoff=0.5)), "")
