"""What the commands of the command line do; `interlock.cli` names them and imports them when they run."""
