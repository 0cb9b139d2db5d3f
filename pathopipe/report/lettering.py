"""Words on pictures, with a font that travels with Pillow: the same pixels on every machine."""

from __future__ import annotations

from functools import cache

from PIL import ImageDraw, ImageFont

Colour = tuple[int, int, int]


@cache
def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)


def write(draw: ImageDraw.ImageDraw, xy: tuple[float, float], text: str, size: int, colour: Colour) -> float:
    """Write ``text`` with its top left at ``xy`` and return the x where it ends.

    The font knows ASCII alone. The two signs of our units that it lacks are put together: "µ" is a u with a longer
    left stem, "²" a small raised 2; any other sign beyond ASCII becomes "?".
    """
    x, y = xy
    for piece in _pieces(text):
        if piece == "²":
            draw.text((x, y), "2", font=_font(round(size * 0.62)), fill=colour)
            x += draw.textlength("2", font=_font(round(size * 0.62)))
            continue
        letters = "u" if piece == "µ" else piece
        draw.text((x, y), letters, font=_font(size), fill=colour)
        if piece == "µ":
            left, _, _, bottom = draw.textbbox((x, y), "u", font=_font(size))
            stem = max(1, round(size / 11))
            draw.rectangle((left, bottom - 0.3 * size, left + stem - 1, bottom + 0.2 * size), fill=colour)
        x += draw.textlength(letters, font=_font(size))
    return x


def width_of(draw: ImageDraw.ImageDraw, text: str, size: int) -> float:
    """Return how many pixels wide :func:`write` makes ``text``."""
    return sum(
        draw.textlength("2", font=_font(round(size * 0.62)))
        if piece == "²"
        else draw.textlength("u" if piece == "µ" else piece, font=_font(size))
        for piece in _pieces(text)
    )


def _pieces(text: str) -> list[str]:
    pieces = [""]
    for letter in text:
        if letter in "µ²":
            pieces += [letter, ""]
        else:
            pieces[-1] += letter if " " <= letter <= "~" else "?"
    return [piece for piece in pieces if piece]
