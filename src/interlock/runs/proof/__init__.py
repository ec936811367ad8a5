"""Check an archived run from the registry down to its data, and judge it again."""
