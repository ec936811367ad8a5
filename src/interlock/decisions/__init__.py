"""Decisions: the closed set of actions a verdict allows, and the rules that choose inside it."""
