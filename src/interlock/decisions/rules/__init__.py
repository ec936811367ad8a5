"""The rule policy: what to do about a verdict when nobody else is asked. One file for each kind of decision."""
