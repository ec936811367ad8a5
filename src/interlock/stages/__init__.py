"""Stages: the same six for every lane, run alike by DVC and by the sweep runner."""
