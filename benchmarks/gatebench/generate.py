"""All cases, from the tables of faults and kinds. The same arguments give the same cases, bit for bit."""

from collections.abc import Iterator
from functools import partial

from gatebench import baselines, faults, samples
from gatebench.cases import Case, Fault, World, seed_of_case
from gatebench.kinds import build

JUDGE_FAULTS: tuple[Fault, ...] = (*faults.FAULTS, *baselines.FAULTS, *samples.FAULTS)


def judge_cases(*, repetitions: int = 2) -> Iterator[Case]:
    """Cases for the pure judge: every fault with every kind of gate it can befall, `repetitions` times."""
    for fault in JUDGE_FAULTS:
        for kind in fault.kinds:
            for number in range(repetitions):
                yield Case(
                    fault=fault.name,
                    kind=kind,
                    number=number,
                    expected=fault.expected_of(kind),
                    after=fault.after,
                    world=partial(_faulty, fault, kind, number),
                    twin=partial(_healthy, fault, kind, number),
                )


def _faulty(fault: Fault, kind: str, number: int) -> World:
    rng = seed_of_case(fault.name, kind, number)
    world = build(kind, rng, fault.quality)
    fault.apply(world, rng)
    return world


def _healthy(fault: Fault, kind: str, number: int) -> World:
    return build(kind, seed_of_case(fault.name, kind, number))
