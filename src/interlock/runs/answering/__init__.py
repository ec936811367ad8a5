"""The architect's answer to a job: several lanes' judgements into one verdict, one decision, one file."""
