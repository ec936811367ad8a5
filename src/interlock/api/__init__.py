"""The control API: what managers, workers and people outside this machine may ask and tell. Small, over the same store.

The pipeline works without it. With `control.url` set, heartbeats and reservations go through it; without, they go to
the store directly, and both leave the same records. Needs `pip install interlock[api]`.
"""
