"""The lane `reranker`: puts the first stage's candidates into a better order."""
