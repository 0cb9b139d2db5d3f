"""Training images from a slide that was annotated in QuPath: the regions in which every nucleus is outlined."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import NamedTuple

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely.affinity import translate

from pathopipe.annotations.objects import Drawn, read_objects
from pathopipe.annotations.spec import AnnotationSpec, origin
from pathopipe.errors import ModelError
from pathopipe.geometry import Box, Frame
from pathopipe.models.train.classes import NOT_ANNOTATED, ClassTable
from pathopipe.models.train.sample import FINEST, Listed, sample_of
from pathopipe.models.train.sets import AnnotatedSlide
from pathopipe.models.train.spec import TrainSpec
from pathopipe.slide.base import Slide, SlideInfo, SlideSpec
from pathopipe.slide.open import open_slide

_LARGEST_PX = 64_000_000
"""Pixels of a region: a sample of that many takes 0.8 GB of memory."""
_ROWS = 256
"""Rows of pixels that are tested at once."""


class _Region(NamedTuple):
    name: str
    area: shapely.Geometry
    """Level-0 pixels, inside the slide."""


@dataclass(frozen=True)
class _Drawing:
    """What was drawn on a slide, in level-0 pixels, by what it means for training."""

    regions: tuple[_Region, ...]
    nuclei: tuple[Drawn, ...]
    ignored: shapely.Geometry
    """Where nothing is learnt."""


def annotated_samples(images: AnnotatedSlide, spec: TrainSpec) -> Iterator[Listed]:
    """Yield the regions of an annotated slide in the order of the file, each a group of its own.

    Pixels are read at the working resolution, or at twice that where the slide is so fine.

    Raises
    ------
    ModelError
        If there is no region, regions overlap or are too large, or a class is unknown.
    SlideError, GeoJSONError
        If the slide or the annotations cannot be read.
    """
    with open_slide(images.slide, SlideSpec(mpp=images.mpp)) as slide:
        drawing = _drawing(images, slide.info, spec)
        classes = ClassTable(spec.class_names, images.class_map, str(images.annotations))
        mpp = max((slide.info.scale.x + slide.info.scale.y) / 2, spec.mpp / FINEST)
        for region in drawing.regions:
            yield _listed(region, drawing, slide, classes, mpp, images, spec)


def _drawing(images: AnnotatedSlide, info: SlideInfo, spec: TrainSpec) -> _Drawing:
    shift = origin(info, AnnotationSpec(coords=images.coords))
    drawn = list(read_objects(images.annotations))
    if any(shift):
        drawn = [each._replace(shape=translate(each.shape, *shift)) for each in drawn]
    longest = spec.max_diameter_um / ((info.scale.x + info.scale.y) / 2)
    regions: list[_Region] = []
    nuclei: list[Drawn] = []
    ignored: list[shapely.Geometry] = []
    for each in drawn:
        if _called(each, images.ignore_names):
            ignored.append(each.shape)
        elif each.kind == "annotation" and _called(each, images.region_names):
            regions.append(_Region(each.name or f"{each.class_name} {len(regions) + 1}", each.shape))
        elif _extent(each.shape) <= longest and each.kind != "tile":
            nuclei.append(each)
        elif each.kind in ("detection", "cell"):  # the model reports none so large: neither nucleus nor background
            ignored.append(each.shape)
    return _Drawing(tuple(_regions(images, info, regions, nuclei, shift)), tuple(nuclei), shapely.union_all(ignored))


def _called(drawn: Drawn, names: Sequence[str]) -> bool:
    """Return whether an object has one of ``names`` as its class or its name, numbered or not."""
    return any(drawn.class_name == name or drawn.name == name or drawn.name.startswith(f"{name} ") for name in names)


def _extent(shape: shapely.Geometry) -> float:
    x0, y0, x1, y1 = shape.bounds
    return float(max(x1 - x0, y1 - y0))


def _regions(
    images: AnnotatedSlide,
    info: SlideInfo,
    marked: list[_Region],
    nuclei: Sequence[Drawn],
    shift: tuple[int, int],
) -> Iterator[_Region]:
    """Yield where every nucleus is outlined: as the settings say, else the regions ``marked`` in QuPath."""
    if images.region == "all":
        marked = [_Region("all", shapely.box(*shapely.total_bounds([each.shape for each in nuclei])))] if nuclei else []
    elif images.region is not None:
        x0, y0, x1, y1 = images.region
        if not (x0 < x1 and y0 < y1):
            raise ModelError(
                f"region of {images.slide}: [x0, y0, x1, y1] with x0 < x1 and y0 < y1, not {[x0, y0, x1, y1]}"
            )
        marked = [_Region("region", translate(shapely.box(x0, y0, x1, y1), *shift))]
    if not marked:
        raise ModelError(_no_region(images, nuclei))
    for one, other in combinations(marked, 2):
        if one.area.intersection(other.area).area > 1:
            raise ModelError(f"{images.annotations}: the regions {one.name!r} and {other.name!r} overlap; unite them")
    slide = shapely.box(0, 0, info.width, info.height)
    for region in marked:
        inside = region.area.intersection(slide)
        if inside.area < 1:
            raise ModelError(
                f"{images.annotations}: the region {region.name!r} lies outside of {images.slide}; is it of this slide?"
            )
        yield region._replace(area=inside)


def _no_region(images: AnnotatedSlide, nuclei: Sequence[Drawn]) -> str:
    if not nuclei:
        return f"{images.annotations} has no outlines of nuclei"
    return (
        f"{images.annotations} does not say where every nucleus is outlined: draw annotations of the class "
        f"{images.region_names[0] if images.region_names else 'Region*'} around such areas in QuPath and export "
        "again, give region: [x0, y0, x1, y1], or region: all if no nucleus is missing between the outlined ones"
    )


def _listed(
    region: _Region,
    drawing: _Drawing,
    slide: Slide,
    classes: ClassTable,
    mpp: float,
    images: AnnotatedSlide,
    spec: TrainSpec,
) -> Listed:
    shapely.prepare(region.area)
    reaching = shapely.intersects(region.area, np.array([each.shape for each in drawing.nuclei], object))
    nuclei = [drawing.nuclei[index] for index in np.flatnonzero(reaching)]
    frame = slide.info.frame(mpp)
    # Nuclei that the region's border cuts are shown whole; around them nothing is learnt.
    bounds = shapely.total_bounds([region.area, *(each.shape for each in nuclei)])
    box = Box(
        int(np.floor(bounds[0] / frame.scale_x)),
        int(np.floor(bounds[1] / frame.scale_y)),
        int(np.ceil(bounds[2] / frame.scale_x)),
        int(np.ceil(bounds[3] / frame.scale_y)),
    ).clipped(frame.box)
    if box.area > _LARGEST_PX:
        raise ModelError(
            f"{images.annotations}: the region {region.name!r} of {box.width} × {box.height} px at {mpp:g} µm/px is "
            "too large to train on at once; draw several smaller ones"
        )
    # The larger first: what lies on top of another is the smaller.
    nuclei.sort(key=lambda each: -each.shape.area)
    labels = _labels([each.shape for each in nuclei], box, frame)
    mark_of = np.concatenate([[0], classes.marks([each.class_name for each in nuclei])]).astype(np.uint8)
    marks = mark_of[labels]
    marks[~_inside(region.area, box, frame) & (labels == 0)] = NOT_ANNOTATED
    marks[_inside(drawing.ignored, box, frame)] = NOT_ANNOTATED
    rgb = slide.read(frame.to_level0(box), box.width, box.height)
    name = f"{images.slide.stem}/{region.name}"
    sample = sample_of(name, rgb, labels, marks, mpp / spec.mpp, images.weight)
    return Listed(sample, name, bool({region.name, images.slide.stem} & set(images.held_out)))


def _labels(shapes: Sequence[shapely.Geometry], box: Box, frame: Frame) -> NDArray[np.int32]:
    """Return the pixels of ``box`` whose centres lie in one of ``shapes``, numbered from 1; the last ones on top."""
    labels = np.zeros((box.height, box.width), np.int32)
    for number, shape in enumerate(shapes, 1):
        x0, y0, x1, y1 = shape.bounds
        part = Box(
            int(x0 / frame.scale_x), int(y0 / frame.scale_y), int(x1 / frame.scale_x) + 1, int(y1 / frame.scale_y) + 1
        ).clipped(box)
        here = labels[part.y0 - box.y0 : part.y1 - box.y0, part.x0 - box.x0 : part.x1 - box.x0]
        here[_inside(shape, part, frame)] = number
    return labels


def _inside(shape: shapely.Geometry, box: Box, frame: Frame) -> NDArray[np.bool_]:
    """Return (h, w) whether the centre of each pixel of ``box`` lies in ``shape`` (level-0 pixels)."""
    x = (np.arange(box.x0, box.x1) + 0.5) * frame.scale_x
    y = (np.arange(box.y0, box.y1) + 0.5) * frame.scale_y
    inside = np.zeros((box.height, box.width), bool)
    if shapely.is_empty(shape):
        return inside
    shapely.prepare(shape)
    for top in range(0, box.height, _ROWS):  # the coordinates of all pixels would take more memory than the pixels
        inside[top : top + _ROWS] = shapely.contains_xy(shape, *np.meshgrid(x, y[top : top + _ROWS]))
    return inside
