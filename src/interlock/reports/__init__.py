"""Tables, Markdown and figures for people."""
