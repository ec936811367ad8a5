"""Hardware targets: where a run executes. The device class and the thread count are part of a run's identity."""

from typing import Annotated, Literal

from pydantic import Field

from interlock.contracts.base import Contract


class CpuTarget(Contract):
    """The machine's own processor."""

    kind: Literal["cpu"]
    threads: Annotated[int, Field(ge=1, le=1024)] = 1
    """Threads of one tensor operation. Another count gives other bits, so it is part of the run id."""
    deterministic: bool = True
    """Refuse operations that are not reproducible."""


class CudaTarget(Contract):
    """One NVIDIA GPU of this machine."""

    kind: Literal["cuda"]
    device_index: Annotated[int, Field(ge=0)] = 0
    """Which GPU, as torch counts them; not part of the run id."""
    threads: Annotated[int, Field(ge=1, le=1024)] = 1
    """CPU threads beside the GPU."""
    deterministic: bool = True
    """Use deterministic kernels (slower, needed for bit-exact resume)."""


class MpsTarget(Contract):
    """Apple's Metal device."""

    kind: Literal["mps"]
    threads: Annotated[int, Field(ge=1, le=1024)] = 1
    """CPU threads beside the device."""
    deterministic: bool = True
    """Refuse operations that are not reproducible."""


Hardware = Annotated[CpuTarget | CudaTarget | MpsTarget, Field(discriminator="kind")]
