"""Deciding upon archived runs: asking outside of DVC, recording, doing it again, and showing what it rests on.

configured.py   agents, models, prices and ceilings of one decision
archived.py     an archived run's evidence, its files by the names of the stage folders, its context
deciding.py     ask(home, run_id, configured, ledger=...) -> Decided; the answers are recorded, nothing else is
recording.py    record(home, decided, ...): archive, event log, journal, index
replaying.py    the same decision from its own context and the answers that it cites
checking.py     a decision against its context, its answers and its evidence
chain.py        from a decision down to what it rests on, as a tree
"""
