"""The records that Interlock exchanges and keeps, as frozen strict pydantic models.

Import the module you need (`interlock.contracts.gate`), never a facade: the import closure of a stage is its code
identity, so every extra import would make unrelated changes re-run it.
"""
