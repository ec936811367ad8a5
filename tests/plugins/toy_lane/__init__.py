"""A lane small enough to run in milliseconds: it estimates a mean. Stands for a user's own package in tests."""
