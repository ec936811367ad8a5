"""Which fault is this, what may be done about it, and how often has it happened: pure functions over evidence."""
