"""Read archived runs for people: facts for the page, differences between two runs."""
