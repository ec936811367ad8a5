"""Canonical JSON, digests, hash chains, code closures, identities, attempts: what makes a run checkable."""
