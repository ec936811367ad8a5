"""Elements of SVG as text, escaped, with places in percent of the drawing's size.

    svg = drawing([dot(x=40.0, y=50.0, title="0.66")], height_px=44, label="r_at_5 is 0.66")

Paths live in a nested drawing that is stretched (`preserveAspectRatio="none"`); their strokes do not scale.
"""

from collections.abc import Iterable, Sequence
from html import escape

Point = tuple[float, float]
"""x and y in percent of the drawing, y downwards."""


class Svg(str):
    """Markup that is safe to show as it stands: Jinja asks for `__html__` before it escapes."""

    __slots__ = ()

    def __html__(self) -> str:
        """The markup itself."""
        return str(self)


def element(name: str, *children: str, text: str = "", title: str = "", **attributes: object) -> Svg:
    """An element; `klass` is `class`, underscores are dashes, None leaves an attribute out, `text` is escaped."""
    inner = (f"<title>{escape(title)}</title>" if title else "") + "".join(children) + escape(text)
    named = "".join(
        f' {_attribute(key)}="{escape(str(value))}"' for key, value in attributes.items() if value is not None
    )
    return Svg(f"<{name}{named}>{inner}</{name}>" if inner else f"<{name}{named}/>")


def drawing(children: Iterable[str], *, height_px: int, label: str, klass: str = "chart") -> Svg:
    """A whole drawing. `label` says in words what it shows."""
    return element(
        "svg", *children, klass=klass, width="100%", height=height_px, role="img", aria_label=label,
        xmlns="http://www.w3.org/2000/svg",
    )  # fmt: skip


def stretched(children: Iterable[str]) -> Svg:
    """Room for paths, 100 x 100 stretched over the drawing."""
    return element("svg", *children, viewBox="0 0 100 100", preserveAspectRatio="none", width="100%", height="100%",
                   klass="stretched")  # fmt: skip


def path(points: Sequence[Point], *, klass: str, color: str | None = None, title: str = "") -> Svg:
    """A line through points, inside `stretched`."""
    steps = "".join(f"{'L' if index else 'M'}{_short(x)} {_short(y)}" for index, (x, y) in enumerate(points))
    return element("path", d=steps, klass=klass, style=_color(color), title=title)


def dot(
    *, x: float, y: float, radius_px: float = 4.5, klass: str = "dot", color: str | None = None, title: str = ""
) -> Svg:
    """A dot."""
    return element("circle", cx=percent(x), cy=percent(y), r=radius_px, klass=klass, style=_color(color), title=title)


def line(start: Point, end: Point, *, klass: str, color: str | None = None, title: str = "") -> Svg:
    """A straight line."""
    (x1, y1), (x2, y2) = start, end
    return element("line", x1=percent(x1), y1=percent(y1), x2=percent(x2), y2=percent(y2), klass=klass,
                   style=_color(color), title=title)  # fmt: skip


def label(
    text: str, *, x: float, y: float, anchor: str = "middle", dx: float = 0, dy: float = 0, klass: str = "label"
) -> Svg:
    """Text; `dx` and `dy` are pixels."""
    return element("text", text=text, x=percent(x), y=percent(y), dx=_short(dx), dy=_short(dy), text_anchor=anchor,
                   klass=klass)  # fmt: skip


def percent(value: float) -> str:
    """A place, with two decimals: a hundredth of a percent is less than a pixel."""
    return f"{_short(value)}%"


def _short(value: float) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".") or "0"


def _color(color: str | None) -> str | None:
    return f"--series: var(--{color})" if color else None


def _attribute(key: str) -> str:
    special = {"klass": "class", "viewBox": "viewBox", "preserveAspectRatio": "preserveAspectRatio"}
    return special.get(key, key.replace("_", "-"))
