"""Run an archived run again from its card and say where it first differs."""
