"""Sweeps: jobs that are planned first, their progress, the search, the ranking."""
