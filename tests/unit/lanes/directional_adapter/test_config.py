"""What a configuration may not say."""

import pytest
from pydantic import ValidationError


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"inputs": {"tower": "lane:query_tower"}}, "this lane takes no inputs, but tower is set"),
        ({"data__min_words": 200}, "min_words 200 is over max_words 150"),
        ({"data__opening": 1}, "greater than or equal to 2"),
        ({"data__splits": {"train": "a", "validation": "a", "test": "b"}}, "two splits name the same file"),
        ({"data__kind": "docstrings"}, "does not match any of the expected tags"),
        ({"model__dropout": 1.0}, "less than 1"),
        ({"model__encoder": {"kind": "transformer"}}, "hashed"),
    ],
)
def test_what_cannot_work_is_refused(tiny, change, message):
    with pytest.raises(ValidationError, match=message):
        tiny.body(**change)
