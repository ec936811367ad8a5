"""Read YAML such that a plain scalar means what it means in a Hydra override and to DVC.

PyYAML follows YAML 1.1, where `yes` is a boolean, `1:30` is 90 and `010` is 8. Hydra's override grammar knows none of
these, and DVC, which writes `params.yaml` for `dvc exp run -S`, follows YAML 1.2 and leaves such words unquoted: a note
`yes` that was given there would come back as a boolean. So `true`, `false`, `null`, `~`, decimal integers and floats
(`1e-4` included) are values here, and every other word is text. Does not read the files of `conf/`; Hydra does.
"""

import re
from collections.abc import Hashable
from functools import cache
from typing import Any

import yaml

_TAG = "tag:yaml.org,2002:"
_UNSIGNED = r"(?:0|[1-9](?:_?[0-9])*)"
_POINT = rf"(?:{_UNSIGNED}\.|{_UNSIGNED}?\.[0-9](?:_?[0-9])*)"
_SCALARS = (
    # As in Hydra's OverrideLexer.g4, with YAML's own spellings of null and of what is not finite.
    ("null", r"(?:~|null|Null|NULL|)", ["~", "n", "N", ""]),
    ("bool", r"(?:true|True|TRUE|false|False|FALSE)", list("tTfF")),
    ("int", rf"[-+]?{_UNSIGNED}", list("-+0123456789")),
    (
        "float",
        rf"(?:[-+]?(?:{_POINT}|(?:{_UNSIGNED}|{_POINT})[eE][-+]?[0-9](?:_?[0-9])*|\.(?:inf|Inf|INF))|\.(?:nan|NaN|NAN))",
        list("-+0123456789."),
    ),
    ("merge", r"<<", ["<"]),
)
_BUILT = ("null", "bool", "int", "float", "str", "seq", "map")


def read_yaml(text: str) -> Any:
    """The one document in `text`. Raises yaml.YAMLError, also for a key that stands twice and for tags."""
    return yaml.load(text, Loader=_loader())


@cache
def _loader() -> type[yaml.SafeLoader]:
    class Loader(yaml.SafeLoader):
        """Plain scalars by `_SCALARS`, nothing but plain types."""

        yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012
        yaml_constructors = {  # noqa: RUF012
            tag: build
            for tag, build in yaml.SafeLoader.yaml_constructors.items()
            if tag is None or tag.removeprefix(_TAG) in _BUILT
        }

        def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
            """Refuse a key that stands twice: YAML would let the last one win unseen."""
            names = [key.value for key, _ in node.value if isinstance(key.value, str) and key.tag != f"{_TAG}merge"]
            twice = next((name for name in names if names.count(name) > 1), None)
            if twice is not None:
                raise yaml.constructor.ConstructorError(None, None, f"found duplicate key {twice}", node.start_mark)
            return super().construct_mapping(node, deep)

    for name, pattern, first in _SCALARS:
        Loader.add_implicit_resolver(f"{_TAG}{name}", re.compile(rf"^{pattern}$"), first)
    return Loader
