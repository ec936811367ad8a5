"""The base of every contract: frozen, strict, closed, finite.

Validate with `Model.model_validate_json(text)`: strict mode accepts lists for tuples and strings for paths only from
JSON text. Does not cover where a value came from; `interlock.config` names files in its errors.
"""

from pydantic import BaseModel, ConfigDict


class Contract(BaseModel):
    """A frozen record. Unknown keys, wrong types, NaN and infinities are refused."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        strict=True,
        allow_inf_nan=False,
        use_attribute_docstrings=True,
        validate_default=True,
    )
