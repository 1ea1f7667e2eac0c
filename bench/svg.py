"""SVG by hand: a canvas of rectangles, lines, dots and text on white, which reads the same in light and dark pages."""

from __future__ import annotations

from collections.abc import Sequence
from xml.sax.saxutils import escape

FONT = "-apple-system, BlinkMacSystemFont, 'Segoe UI', Helvetica, Arial, sans-serif"
MONO = "ui-monospace, SFMono-Regular, Menlo, Consolas, 'DejaVu Sans Mono', monospace"
INK, PALE, RULE = "#1f2328", "#59636e", "#d1d9e0"
Point = tuple[float, float]


class Canvas:
    """canvas = Canvas(800, 400, "what it shows"); canvas.text(...); canvas.rendered()"""

    def __init__(self, width: float, height: float, title: str, font: str = FONT) -> None:
        size, kind = f'width="{width:g}" height="{height:g}"', f'role="img" font-family="{font}"'
        self._parts = [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}" {size} {kind}>',
            f"<title>{escape(title)}</title>",
            f'<rect width="{width:g}" height="{height:g}" rx="6" fill="#ffffff"/>',
        ]

    def rect(self, x: float, y: float, width: float, height: float, fill: str) -> None:
        self._parts.append(
            f'<rect x="{x:.1f}" y="{y:.1f}" width="{max(width, 0):.1f}" height="{height:.1f}" rx="2" fill="{fill}"/>'
        )

    def line(self, points: Sequence[Point], stroke: str, width: float = 1.0, dash: str = "") -> None:
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        dashed = f' stroke-dasharray="{dash}"' if dash else ""
        self._parts.append(
            f'<polyline points="{path}" fill="none" stroke="{stroke}" stroke-width="{width:g}" '
            f'stroke-linejoin="round"{dashed}/>'
        )

    def dots(self, points: Sequence[Point], fill: str, radius: float = 2.2) -> None:
        """Lines without a length and with round ends: a tenth of the circles' bytes."""
        dots = "".join(f"M{x:.1f} {y:.1f}h0" for x, y in points)
        self._parts.append(
            f'<path d="{dots}" fill="none" stroke="{fill}" stroke-width="{2 * radius:g}" stroke-linecap="round"/>'
        )

    def text(
        self,
        x: float,
        y: float,
        words: str,
        *,
        size: float = 12,
        fill: str = INK,
        anchor: str = "start",
        bold: bool = False,
    ) -> None:
        weight = ' font-weight="600"' if bold else ""
        self._parts.append(
            f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size:g}" fill="{fill}" text-anchor="{anchor}"{weight}>'
            f"{escape(words)}</text>"
        )

    def rendered(self) -> str:
        return "\n".join((*self._parts, "</svg>\n"))
