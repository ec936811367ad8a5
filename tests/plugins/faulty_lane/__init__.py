"""A lane that trains a tiny real network through `loop.fit` and fails on command. For fault injection in tests."""
