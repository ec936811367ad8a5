"""The index's schema as numbered steps. A published step is never edited; a change is a new step at the end."""

MIGRATIONS: tuple[tuple[int, str, tuple[str, ...]], ...] = (
    (
        1,
        "models, history of stages, runs, decisions",
        (
            # The first ten columns are the ones that readers of models.db know.
            """CREATE TABLE models (
                id TEXT PRIMARY KEY,
                model_type TEXT NOT NULL,
                dataset TEXT NOT NULL,
                git_commit TEXT NOT NULL,
                run_id TEXT NOT NULL,
                seed INTEGER NOT NULL,
                hyperparameters JSON NOT NULL,
                metrics JSON NOT NULL,
                path TEXT NOT NULL,
                created_at INTEGER NOT NULL,
                sha256 TEXT NOT NULL,
                verdict TEXT,
                stage TEXT NOT NULL
            )""",
            "CREATE INDEX models_by_run ON models (run_id)",
            """CREATE TABLE stage_history (
                event INTEGER PRIMARY KEY,
                model_id TEXT NOT NULL,
                from_stage TEXT NOT NULL,
                to_stage TEXT NOT NULL,
                at TEXT NOT NULL,
                reason TEXT NOT NULL
            )""",
            """CREATE TRIGGER stage_history_no_update BEFORE UPDATE ON stage_history
                BEGIN SELECT RAISE(ABORT, 'stage_history only grows'); END""",
            """CREATE TRIGGER stage_history_no_delete BEFORE DELETE ON stage_history
                BEGIN SELECT RAISE(ABORT, 'stage_history only grows'); END""",
            """CREATE TABLE runs (
                run_id TEXT PRIMARY KEY,
                lane TEXT NOT NULL,
                model_type TEXT NOT NULL,
                dataset TEXT NOT NULL,
                seed INTEGER NOT NULL,
                git_commit TEXT NOT NULL,
                created_at INTEGER NOT NULL,
                export TEXT NOT NULL,
                card_sha256 TEXT NOT NULL,
                model_id TEXT,
                judgement_id TEXT,
                verdict TEXT
            )""",
            """CREATE TABLE decisions (
                run_id TEXT NOT NULL,
                judgement_id TEXT NOT NULL,
                decision_id TEXT NOT NULL,
                action TEXT NOT NULL,
                PRIMARY KEY (run_id, judgement_id)
            )""",
            # How far the events are folded in: the line and its digest.
            "CREATE TABLE folded (one INTEGER PRIMARY KEY CHECK (one = 1), seq INTEGER NOT NULL, sha256 TEXT NOT NULL)",
        ),
    ),
    (
        2,
        "the log's file as it was last verified",
        (
            """CREATE TABLE verified (
                one INTEGER PRIMARY KEY CHECK (one = 1),
                size_bytes INTEGER NOT NULL,
                mtime_ns INTEGER NOT NULL
            )""",
        ),
    ),
    (
        3,
        "logs of several writers, promotions",
        (
            # Folded anew from the logs: every row gets its writer, and the order of the rows may be another.
            "DROP TABLE verified",
            "DROP TABLE stage_history",
            "DELETE FROM folded",
            "DELETE FROM models",
            "DELETE FROM runs",
            "DELETE FROM decisions",
            """CREATE TABLE verified (
                name TEXT PRIMARY KEY,
                size_bytes INTEGER NOT NULL,
                mtime_ns INTEGER NOT NULL
            )""",
            """CREATE TABLE stage_history (
                number INTEGER PRIMARY KEY,
                event INTEGER NOT NULL,
                model_id TEXT NOT NULL,
                from_stage TEXT NOT NULL,
                to_stage TEXT NOT NULL,
                at TEXT NOT NULL,
                reason TEXT NOT NULL,
                changed_by TEXT NOT NULL,
                host TEXT NOT NULL,
                writer TEXT NOT NULL
            )""",
            """CREATE TRIGGER stage_history_no_update BEFORE UPDATE ON stage_history
                BEGIN SELECT RAISE(ABORT, 'stage_history only grows'); END""",
            """CREATE TRIGGER stage_history_no_delete BEFORE DELETE ON stage_history
                BEGIN SELECT RAISE(ABORT, 'stage_history only grows'); END""",
            # Promotions that no later one has answered. More than one model in a stage: the stage is contested.
            """CREATE TABLE holders (
                lane TEXT NOT NULL,
                stage TEXT NOT NULL,
                event INTEGER NOT NULL,
                model_id TEXT NOT NULL,
                sha256 TEXT NOT NULL,
                at TEXT NOT NULL,
                promoted_by TEXT NOT NULL,
                reason TEXT NOT NULL,
                host TEXT NOT NULL,
                writer TEXT NOT NULL,
                seq INTEGER NOT NULL,
                PRIMARY KEY (lane, stage, event)
            )""",
        ),
    ),
    (
        4,
        "canary shares, approvals and waivers",
        (
            # Folded anew from the logs: stages have other names, and more is shown of each change.
            "DROP TABLE stage_history",
            "DROP TABLE holders",
            "DELETE FROM verified",
            "DELETE FROM folded",
            "DELETE FROM models",
            "DELETE FROM runs",
            "DELETE FROM decisions",
            "ALTER TABLE models ADD COLUMN share_percent REAL",
            """CREATE TABLE stage_history (
                number INTEGER PRIMARY KEY,
                event INTEGER NOT NULL,
                model_id TEXT NOT NULL,
                from_stage TEXT NOT NULL,
                to_stage TEXT NOT NULL,
                at TEXT NOT NULL,
                reason TEXT NOT NULL,
                changed_by TEXT NOT NULL,
                host TEXT NOT NULL,
                writer TEXT NOT NULL,
                share_percent REAL,
                approval TEXT
            )""",
            """CREATE TRIGGER stage_history_no_update BEFORE UPDATE ON stage_history
                BEGIN SELECT RAISE(ABORT, 'stage_history only grows'); END""",
            """CREATE TRIGGER stage_history_no_delete BEFORE DELETE ON stage_history
                BEGIN SELECT RAISE(ABORT, 'stage_history only grows'); END""",
            """CREATE TABLE holders (
                lane TEXT NOT NULL,
                stage TEXT NOT NULL,
                event INTEGER NOT NULL,
                model_id TEXT NOT NULL,
                sha256 TEXT NOT NULL,
                at TEXT NOT NULL,
                promoted_by TEXT NOT NULL,
                reason TEXT NOT NULL,
                host TEXT NOT NULL,
                writer TEXT NOT NULL,
                seq INTEGER NOT NULL,
                share_percent REAL,
                approval TEXT,
                rolls_back TEXT NOT NULL,
                PRIMARY KEY (lane, stage, event)
            )""",
            # Requests, grants, denials, waivers and the promotions that used an approval, as they were said: what
            # stands follows from all of them and from the time (interlock.registry.approvals).
            """CREATE TABLE said (
                event INTEGER PRIMARY KEY,
                kind TEXT NOT NULL,
                subject TEXT NOT NULL,
                key TEXT NOT NULL,
                at TEXT NOT NULL,
                host TEXT NOT NULL,
                writer TEXT NOT NULL,
                seq INTEGER NOT NULL,
                seen JSON NOT NULL,
                body JSON NOT NULL
            )""",
        ),
    ),
    (
        5,
        "what language models cost",
        (
            """CREATE TABLE spent (
                run_id TEXT NOT NULL,
                agent TEXT NOT NULL,
                model TEXT NOT NULL,
                key TEXT NOT NULL,
                answer_sha256 TEXT NOT NULL,
                calls INTEGER NOT NULL,
                tokens_in INTEGER NOT NULL,
                tokens_out INTEGER NOT NULL,
                usd REAL NOT NULL,
                seconds REAL NOT NULL,
                PRIMARY KEY (run_id, answer_sha256)
            )""",
        ),
    ),
)
"""`(number, name, statements)`, in order."""
