"""Commands that prove runs: verify, reproduce, sign, keygen, statement."""

from pathlib import Path
from typing import Annotated

import typer

from interlock.cli.options import Json, Run, new_app, workspace

PANEL = "Prove"
app = new_app()


@app.command(rich_help_panel=PANEL, epilog="Example: interlock verify 3f2a --key team.pub")
def verify(
    run_id: Annotated[str | None, typer.Argument(help="Run id or a unique beginning of it.")] = None,
    every: Annotated[bool, typer.Option("--all", help="Every run, and the registry itself.")] = False,
    key: Annotated[Path | None, typer.Option("--key", help="Public key that must have signed it.")] = None,
    as_json: Json = False,
) -> None:
    """Check a run from the registry's entry down to its data and name the first broken link; 0 fine, 1 broken."""
    from interlock.commands import proof

    raise typer.Exit(proof.verify(workspace(), run_id, every=every, key=key, as_json=as_json))


@app.command(rich_help_panel=PANEL, epilog="Example: interlock reproduce 3f2a --stage train")
def reproduce(
    run_id: Run,
    stage: Annotated[str, typer.Option(help="Last stage to run: prepare, train, evaluate or export.")] = "export",
    keep: Annotated[bool, typer.Option("--keep", help="Keep the temporary folder and print its name.")] = False,
    with_current_code: Annotated[
        bool, typer.Option("--with-current-code", help="Run the workspace's code; the result says so.")
    ] = False,
    weights_tolerance: Annotated[
        float, typer.Option(min=0.0, help="Largest difference of a weight, as a share of its tensor's largest.")
    ] = 1e-3,
    metrics_tolerance: Annotated[
        float, typer.Option(min=0.0, help="Largest difference of a metric: absolute below 1, a share above.")
    ] = 1e-3,
    as_json: Json = False,
) -> None:
    """Run an archived run again from its card; say bit-exact, within tolerance (exit 0) or differs (exit 3)."""
    from interlock.commands.reproduce import reproduce as command
    from interlock.contracts.reproduction import Tolerances

    tolerances = Tolerances(weights=weights_tolerance, metrics=metrics_tolerance)
    raise typer.Exit(
        command(
            workspace(),
            run_id,
            stage=stage,
            keep=keep,
            with_current_code=with_current_code,
            tolerances=tolerances,
            as_json=as_json,
        )
    )


@app.command(rich_help_panel=PANEL, epilog="Example: interlock sign 3f2a --key ~/.config/interlock/key.pem")
def sign(
    run_id: Run,
    key: Annotated[
        Path | None, typer.Option("--key", help="Private key; by default the one in INTERLOCK_SIGNING_KEY.")
    ] = None,
) -> None:
    """Verify a run and sign it as it stands (Ed25519); a broken run is not signed."""
    from interlock.commands import proof

    raise typer.Exit(proof.sign(workspace(), run_id, key))


@app.command(rich_help_panel=PANEL, epilog="Example: interlock keygen ~/.config/interlock/key.pem")
def keygen(file: Annotated[Path, typer.Argument(help="New file for the private key; FILE.pub beside it.")]) -> None:
    """Make a key pair to sign runs with; never overwrites a file."""
    from interlock.commands import proof

    raise typer.Exit(proof.keygen(file))


@app.command(rich_help_panel=PANEL, epilog="Example: interlock statement 3f2a --out run.intoto.json")
def statement(
    run_id: Run,
    out: Annotated[Path | None, typer.Option("--out", help="Write it to this file.")] = None,
    signed: Annotated[bool, typer.Option("--signed", help="The signed DSSE envelope instead.")] = False,
    key: Annotated[Path | None, typer.Option("--key", help="Public key, where several have signed.")] = None,
) -> None:
    """Print the in-toto statement of a run: digests of its model and card, verdict, and place in the event log."""
    from interlock.commands import proof

    raise typer.Exit(proof.statement(workspace(), run_id, out=out, envelope=signed, key=key))
