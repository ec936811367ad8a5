"""What trackers are told of a run. Loaded by name, so that it is no part of any stage's code."""
