"""Healing a training that fails: what is read of the fault, what is changed, and the record of both."""
