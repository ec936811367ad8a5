"""The decision on a release: what code finds for each executive, as evidence of its own, and what follows from it."""
