"""The control store's schema as numbered steps. A published step is never edited; a change is a new step at the end."""

MIGRATIONS: tuple[tuple[int, str, tuple[str, ...]], ...] = (
    (
        1,
        "reservations and those who wait for one",
        (
            # Amounts are whole thousandths, so that sums are exact. The ticket is the place in the queue.
            """CREATE TABLE reservations (
                ticket INTEGER PRIMARY KEY AUTOINCREMENT,
                id TEXT NOT NULL UNIQUE,
                state TEXT NOT NULL CHECK (state IN ('waiting', 'granted', 'released', 'expired', 'withdrawn')),
                job TEXT NOT NULL,
                run TEXT NOT NULL,
                pid INTEGER NOT NULL,
                process_started_s REAL NOT NULL,
                host TEXT NOT NULL,
                boot_id TEXT NOT NULL,
                lease_s REAL NOT NULL,
                asked_at_s REAL NOT NULL,
                granted_at_s REAL,
                expires_at_s REAL NOT NULL,
                ended_at_s REAL
            )""",
            "CREATE INDEX reservations_by_state ON reservations (state)",
            """CREATE TABLE reserved_amounts (
                ticket INTEGER NOT NULL REFERENCES reservations (ticket) ON DELETE CASCADE,
                resource TEXT NOT NULL,
                thousandths INTEGER NOT NULL CHECK (thousandths > 0),
                PRIMARY KEY (ticket, resource)
            )""",
        ),
    ),
    (
        2,
        "answers given under an idempotency key",
        (
            # Without an answer: the request is being worked on, by a server that runs since `owner`.
            """CREATE TABLE answers (
                key TEXT PRIMARY KEY,
                request_sha256 TEXT NOT NULL,
                owner TEXT NOT NULL,
                asked_at_s REAL NOT NULL,
                status INTEGER,
                body BLOB
            )""",
            "CREATE INDEX answers_by_time ON answers (asked_at_s)",
        ),
    ),
    (
        3,
        "heartbeats",
        (
            """CREATE TABLE heartbeats (
                number INTEGER PRIMARY KEY AUTOINCREMENT,
                at_s REAL NOT NULL,
                agent TEXT NOT NULL,
                job TEXT,
                run TEXT,
                lane TEXT NOT NULL,
                stage TEXT,
                body TEXT NOT NULL
            )""",
            "CREATE INDEX heartbeats_by_job ON heartbeats (job, number)",
            "CREATE INDEX heartbeats_by_run ON heartbeats (run, number)",
            "CREATE INDEX heartbeats_by_time ON heartbeats (at_s)",
        ),
    ),
)
"""`(number, name, statements)`, in order."""
