"""The lane's YAML groups."""
