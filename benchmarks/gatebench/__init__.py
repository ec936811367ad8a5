"""GateBench: does a gate let through what it must not, and does it let through what it must?

    kinds.py      healthy worlds, one per kind of gate
    faults.py     what can be wrong with numbers and their labels     baselines.py    with comparisons
    samples.py    with samples                                        leaks.py        with test sets
    records.py    with the files of a finished run                    readings.py     with what is read and written
    peers.py      the published rules of other systems, on the same worlds
    scoring.py    exact verdicts, wrong passes, wrong stops           tables.py       for people

Every case has a healthy twin, the same world without the fault, which must pass. Expected verdicts follow the rule that
gates state for themselves: missing, not a number, too few, unknown, another split or another evaluator is `blocked`; a
bound on both sides of the target is `inconclusive`; nothing but evidence of success is a `pass`.

Does not measure how well an interval covers (the unit tests of the statistics do), and holds no fault that cannot be
seen from what a run leaves behind, such as seconds labelled as milliseconds.
"""
