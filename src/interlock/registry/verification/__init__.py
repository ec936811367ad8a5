"""The parts of `interlock.registry.verify`, one per part of the chain; each gives links and raises nothing for data."""
