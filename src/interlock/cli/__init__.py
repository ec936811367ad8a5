"""The command line, `interlock COMMAND`: one module per panel of the help; `main` puts them together."""
