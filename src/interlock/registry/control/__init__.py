"""What goes on now, kept in SQLite: reservations, heartbeats, idempotency keys. Nothing here is history or proof."""
