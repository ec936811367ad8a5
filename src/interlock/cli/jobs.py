"""Commands about job cards: job submit, status, cancel, report."""

from pathlib import Path
from typing import Annotated

import typer

from interlock.cli.options import Json, new_app, workspace

PANEL = "Job cards"
app = new_app()
job = new_app(help="Job cards: submit one, watch its managers, cancel it, read the lane report.")
app.add_typer(job, name="job", rich_help_panel=PANEL)

JobId = Annotated[str, typer.Argument(help="Id of the job card.")]


@job.command("submit", epilog="Example: interlock job submit examples/cards/query_tower.yaml --dry-run")
def submit(
    card: Annotated[Path, typer.Argument(help="The job card, a YAML file.")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check it and show the plan; run nothing.")] = False,
    wait: Annotated[bool, typer.Option("--wait", help="Wait for approvals, resources and other directors.")] = False,
    detach: Annotated[bool, typer.Option("--detach", help="Run it in the background, waiting as needed.")] = False,
    as_json: Json = False,
) -> None:
    """Check a card, split it into manager cards, run it, answer with a lane report; the same card is the same job."""
    from interlock.commands import job as command

    code = command.submit(workspace(), card, dry_run=dry_run, wait=wait, detach=detach, as_json=as_json)
    raise typer.Exit(code)


@job.command("status", epilog="Example: interlock job status jc-query-tower-001 --watch")
def status(
    job_id: Annotated[str | None, typer.Argument(metavar="[ID]", help="Id of the job; all of them by default.")] = None,
    watch: Annotated[bool, typer.Option("--watch", help="Redraw it until the job ends or waits.")] = False,
    as_json: Json = False,
) -> None:
    """Show what every manager does: epoch, step, loss, time left, processor, memory; exits with the verdict's code."""
    from interlock.commands import job as command

    raise typer.Exit(command.status(workspace(), job_id, watch=watch, as_json=as_json))


@job.command("cancel", epilog="Example: interlock job cancel jc-query-tower-001")
def cancel(job_id: JobId, as_json: Json = False) -> None:
    """End a job's work at the next step; submitting the same card again resumes there."""
    from interlock.commands import job as command

    raise typer.Exit(command.cancel(workspace(), job_id, as_json=as_json))


@job.command("report", epilog="Example: interlock job report jc-query-tower-001")
def report(job_id: JobId, as_json: Json = False) -> None:
    """Print the lane report that answers the card; exits with the verdict's code."""
    from interlock.commands import job as command

    raise typer.Exit(command.report(workspace(), job_id, as_json=as_json))
