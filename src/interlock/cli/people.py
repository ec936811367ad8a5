"""Commands in which a person says yes or no: approve, deny, waive, approvals; and resources, which jobs wait for."""

from pathlib import Path
from typing import Annotated

import typer

from interlock.cli.options import Json, Run, new_app, workspace

PANEL = "People and resources"
app = new_app()
approvals = new_app(help="What waits for a person, what was approved or denied, and waivers.")
app.add_typer(approvals, name="approvals", rich_help_panel=PANEL)
resources = new_app(help="Quotas, reservations and who waits for one.")
app.add_typer(resources, name="resources", rich_help_panel=PANEL)

Subject = Annotated[str, typer.Argument(help="Model, run id, a unique beginning of either, or a model file's digest.")]
Purpose = Annotated[
    str, typer.Option("--for", help="deployment, first_release, production_data, cluster_time or more_attempts.")
]
By = Annotated[str, typer.Option("--by", help="A person's name; kept.")]
Reason = Annotated[str, typer.Option("--reason", help="Why; kept.")]
Expires = Annotated[str, typer.Option("--expires", help="90m, 24h, 7d, or a time as 2026-01-31T18:00+00:00.")]


@app.command(
    rich_help_panel=PANEL, epilog='Example: interlock approve MODEL --for deployment --by Ada --reason "seen in shadow"'
)
def approve(
    subject: Subject,
    purpose: Purpose,
    by: By,
    reason: Reason,
    expires: Expires = "24h",
    digest: Annotated[str, typer.Option("--digest", help="Digest that you looked at; refused when it differs.")] = "",
    attempts: Annotated[
        int | None, typer.Option("--attempts", min=1, max=100, help="With more_attempts: how many in all.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Say yes: bound to this run or these bytes, until it expires; any change voids it."""
    from interlock.commands import approvals as command

    command.approve(
        workspace(),
        subject,
        purpose=purpose,
        by=by,
        reason=reason,
        expires=expires,
        digest=digest,
        attempts=attempts,
        as_json=as_json,
    )


@app.command(
    rich_help_panel=PANEL, epilog='Example: interlock deny MODEL --for deployment --by Ada --reason "too slow"'
)
def deny(subject: Subject, purpose: Purpose, by: By, reason: Reason, as_json: Json = False) -> None:
    """Say no to what was asked for, or take an approval back."""
    from interlock.commands import approvals as command

    command.deny(workspace(), subject, purpose=purpose, by=by, reason=reason, as_json=as_json)


@app.command(rich_help_panel=PANEL, epilog='Example: interlock waive 3f2a --by Ada --reason "shadow traffic will tell"')
def waive(run: Run, by: By, reason: Reason, expires: Expires = "24h", as_json: Json = False) -> None:
    """Go on after an inconclusive verdict, which stays inconclusive; a fail or a block cannot be waived."""
    from interlock.commands import approvals as command

    command.waive(workspace(), run, by=by, reason=reason, expires=expires, as_json=as_json)


@approvals.command("list", epilog="Example: interlock approvals list")
def approvals_list(
    key: Annotated[
        Path | None, typer.Option("--key", help="Public key: say of each signature whether it is this key's.")
    ] = None,
    as_json: Json = False,
) -> None:
    """List what waits for a person, what was said and until when, and every waiver."""
    from interlock.commands import approvals as command

    command.list_approvals(workspace(), key=key, as_json=as_json)


@resources.command("list", epilog="Example: interlock resources list")
def resources_list(as_json: Json = False) -> None:
    """List quotas, what is free, who holds what, and who waits."""
    from interlock.commands import resources as command

    command.resources(workspace(), as_json=as_json)


@resources.command("release", epilog="Example: interlock resources release 1f6d0c9a2b3e4f50")
def resources_release(
    reservation: Annotated[str, typer.Argument(help="Id of the reservation.")], as_json: Json = False
) -> None:
    """Give a reservation back for a holder who will not; nothing happens to one that has ended."""
    from interlock.commands import resources as command

    command.release(workspace(), reservation, as_json=as_json)
