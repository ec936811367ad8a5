"""What retrieval lanes share: datasets, text features, exact search, baselines, metrics, the frozen reference."""
