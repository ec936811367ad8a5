"""Composition: Hydra composes, contracts decide, canonical files carry the result. The only place with Hydra."""
