"""The facts of a slide as ``pathopipe info`` shows them."""

from __future__ import annotations

from typing import Any

from pathopipe.slide.base import SlideInfo


def describe(info: SlideInfo) -> dict[str, Any]:
    """Return the facts as JSON-able values; what is not known is None, with the reason beside it."""
    scale = info.scale_found
    return {
        "path": info.path,
        "reader": info.reader,
        "decoding": info.decoding or None,
        "vendor": info.vendor,
        "width_px": info.width,
        "height_px": info.height,
        "mpp": None if scale is None else {"x": scale.x, "y": scale.y, "source": scale.source},
        "mpp_problem": info.scale_problem or None,
        "objective": info.objective,
        "bounds_px": None if info.bounds is None else list(info.bounds),
        "levels": [
            {
                "width_px": level.width,
                "height_px": level.height,
                "downsample_x": level.downsample_x,
                "downsample_y": level.downsample_y,
                "mpp_x": None if scale is None else scale.x * level.downsample_x,
                "mpp_y": None if scale is None else scale.y * level.downsample_y,
            }
            for level in info.levels
        ],
        "identity": info.identity,
        "unusual": list(info.unusual),
    }


def as_text(info: SlideInfo) -> str:
    """Return the facts as lines to read, without a line break at the end."""
    rows = [
        ("slide", info.path),
        ("reader", info.reader),
        ("pixels", info.decoding or "not told"),
        ("vendor", info.vendor),
        ("size", f"{info.width} × {info.height} px{_millimetres(info)}"),
        ("mpp", _mpp(info)),
        ("objective", "not stated" if info.objective is None else f"{info.objective:g}×"),
        ("bounds", "whole slide" if info.bounds is None else _bounds(info)),
        *(("levels" if index == 0 else "", _level(info, index)) for index in range(len(info.levels))),
        ("identity", info.identity),
        *(("unusual" if index == 0 else "", remark) for index, remark in enumerate(info.unusual)),
    ]
    return "\n".join(f"{name:<10} {value}" for name, value in rows)


def _millimetres(info: SlideInfo) -> str:
    scale = info.scale_found
    return "" if scale is None else f" ({info.width * scale.x / 1000:.2f} × {info.height * scale.y / 1000:.2f} mm)"


def _mpp(info: SlideInfo) -> str:
    scale = info.scale_found
    if scale is None:
        return info.scale_problem
    value = f"{scale.x:.5g}" if scale.x == scale.y else f"{scale.x:.5g} × {scale.y:.5g}"
    return f"{value} µm/px ({scale.source})"


def _bounds(info: SlideInfo) -> str:
    box = info.bounds
    return "" if box is None else f"{box.width} × {box.height} px at ({box.x0}, {box.y0})"


def _level(info: SlideInfo, index: int) -> str:
    level = info.levels[index]
    same = level.downsample_x == level.downsample_y
    factor = f"1/{level.downsample_x:g}" if same else f"1/{level.downsample_x:g} × 1/{level.downsample_y:g}"
    mpp = "" if info.scale_found is None else f", {info.scale_found.x * level.downsample_x:.4g} µm/px"
    return f"{index}: {level.width} × {level.height} px ({factor}{mpp})"
