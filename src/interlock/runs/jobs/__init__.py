"""Jobs: a card is read and planned, split into manager cards, run by worker processes that are watched, and answered.

    accept.accept_job -> runner.run_job -> report.lane_report        states.py: what a job can be, as a table

Managers have no records of their own: `view` reads stage records, attempts and heartbeats. Composing is handed in by
the caller (`plan.Compose`), because this package lies below `interlock.config`.
"""
