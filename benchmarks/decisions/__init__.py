"""The decision benchmark: situations from real runs, and what really worked in each. See README.md."""
