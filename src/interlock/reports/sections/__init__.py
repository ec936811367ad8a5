"""Sections of the page, each from the facts of one run: a template and the values it shows, or nothing at all."""
