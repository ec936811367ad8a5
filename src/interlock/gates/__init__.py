"""The judge: pure functions from gate specifications and measurements to a verdict with reasons."""
