import pytest
from pydantic import ValidationError


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model__heads": 3}, "width 16 cannot be divided among 3 heads"),
        ({"model__kind": "mamba"}, "recurrent"),
        ({"model__encoder": {"kind": "bert"}}, "lsa"),
        ({"trainer__window": 1}, "greater than or equal to 2"),
        ({"data": {"kind": "docstrings"}}, "documentation"),
    ],
)
def test_what_cannot_work_is_refused(tiny, changes, message):
    with pytest.raises(ValidationError, match=message):
        tiny.body("causal_transformer", **changes)


def test_heads_belong_to_the_transformer_alone(tiny):
    with pytest.raises(ValidationError, match="heads"):
        tiny.body("recurrent", model__heads=2)
