"""Drives: run, judge, decide, change what the decision proposes inside its bounds, run again, stop.

states.py      what a drive can be, as a table
begin.py       the drive that a configuration is, begun or found again
folder.py      a drive on disk: what was asked for, and its journal
path.py        the journal folded into attempts
following.py   what follows from a decision; pure
attempt.py     one attempt: its configuration, its stages, its verdict, its decision
reuse.py       finished stages of the same run from another folder
asking.py      asking the configured models, within the budget of the whole drive
person.py      asking a person, and what the person said
driver.py      the loop
"""
