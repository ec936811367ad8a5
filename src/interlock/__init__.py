"""Interlock: people and language models propose, proven gates decide.

A declarative framework for machine-learning experiments. The command line is `interlock` (see `interlock.cli`);
the stages that DVC runs live in `interlock.stages`.
"""

__version__ = "0.1.0"
