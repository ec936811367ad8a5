"""What is done with whole runs: run all stages, archive, sweep, prove, reproduce, compare, hand on to trackers."""
