"""Where a run comes from: `lineage.*` of a composed configuration. A file of its own: stages read it, and no more."""

from typing import Annotated

from pydantic import Field

from interlock.contracts.base import Contract


class LineageBlock(Contract):
    """Where a run comes from. Outside every run id: `interlock drive` fills it in, the decide stage reads it."""

    parent_run: Annotated[str, Field(pattern=r"^[0-9a-f]{16}$")] | None = None
    """Run whose decision led to this one."""
    attempt: Annotated[int, Field(ge=1)] = 1
    """Judged runs of this lineage, this one included."""
    drive: Annotated[str, Field(pattern=r"^[0-9a-f]{12}$")] | None = None
    """The drive that it is an attempt of; trackers group by it."""
