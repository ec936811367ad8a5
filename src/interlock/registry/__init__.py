"""Archive, event log and index: what was run, what was registered, and where it stands."""
