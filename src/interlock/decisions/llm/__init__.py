"""Language models over the wire: the only place that knows instructor, the vendors' SDKs and HTTP to them.

    asker = Wire(by_model(experiment.prices), Ledger({"dir_models": agent.budget}, experiment.budget))
    given = asker.ask(question)             # always an answer; what went wrong is its outcome

    wire       one question: budget, request, corrections, retries
    providers  the real instructor clients, by provider and mode
    exchange   one HTTP request with a deadline and a limit of size
    readings   what a provider's body says besides the form: how it ended, what it took
    failures   which failure is corrected, which tried again, and what is said of it

Imported where a question is really asked, never by a stage: stages replay what is recorded. Nothing here decides, and
nothing here believes an answer: the question's own check and the guard look at it.
"""
