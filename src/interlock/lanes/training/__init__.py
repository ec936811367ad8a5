"""What trained lanes share: exact resume, logs, checkpoints, convergence."""
