"""Cells that are none, by their mean colour."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import shapely

from pathopipe.geometry import Frame, Outlines
from pathopipe.instances import Instances
from pathopipe.models.impostors import KINDS, impostors
from pathopipe.models.stain import COLOURS, measure
from pathopipe.synth.block import draw_block
from pathopipe.synth.defects import defects_of
from pathopipe.synth.spec import SynthSpec
from pathopipe.tiling.spec import ArtefactSpec
from pathopipe.tiling.tissue import Tissue

SQUARE = np.array([[4, 4], [12, 4], [12, 12], [4, 12]], float)
SLIDE = Tissue(
    shapely.MultiPolygon(),
    0.0,
    0.0,
    np.zeros((1, 1, 3), np.uint8),
    Frame(1, 1, 8.0, 1.0, 1.0),
    {},
    0.55,
    (240, 240, 240),
)
NUCLEI = {
    "haematoxylin": (120, 90, 160),
    "pale": (190, 170, 205),
    "pale, in eosin": (193, 109, 147),
    "dark": (50, 30, 85),
    "blue, without eosin": (95, 110, 165),
    "dab": (110, 70, 40),
    "dark dab": (45, 25, 15),
    "grey dab on haematoxylin": (70, 65, 68),
}


def cell(colour):
    one = Instances(Outlines.of([SQUARE]), np.ones(1, np.float32), np.zeros(1, np.uint8), ("Nucleus",))
    return measure(np.tile(np.array(colour, np.uint8), (16, 16, 1)), one)


def kind(colour, slide=SLIDE, **settings):
    found = int(impostors(cell(colour), slide, ArtefactSpec(**settings))[0])
    return KINDS[found - 1] if found else None


@pytest.mark.parametrize("name", NUCLEI)
def test_nuclei_stay(name):
    hue = 0.55 if "dab" not in name else 0.95
    assert kind(NUCLEI[name], replace(SLIDE, blue_over_green=hue)) is None


@pytest.mark.parametrize(
    ("colour", "expected"),
    [
        ((25, 24, 24), "black"),
        ((80, 76, 78), "black"),
        ((60, 160, 140), "pen"),
        ((25, 60, 160), "pen"),
        ((205, 75, 85), "red_cell"),
        ((190, 55, 70), "red_cell"),
    ],
)
def test_ink_pigment_and_red_cells_are_told(colour, expected):
    assert kind(colour) == expected


def test_where_there_may_be_dab_only_the_very_dark_is_black():
    for hue in (0.95, None):
        slide = replace(SLIDE, blue_over_green=hue)
        assert kind((80, 76, 78), slide) is None
        assert kind((15, 14, 14), slide) == "black"


def test_densities_are_counted_from_the_slide_s_glass():
    glass = (228, 222, 190)
    pale = tuple(round(value / 240 * level) for value, level in zip(NUCLEI["pale"], glass, strict=True))
    assert kind(pale, replace(SLIDE, glass=glass)) is None
    assert kind(pale) == "black"


@pytest.mark.parametrize(
    ("setting", "colour"),
    [
        ("enabled", (25, 24, 24)),
        ("cells", (205, 75, 85)),
        ("black", (25, 24, 24)),
        ("pen", (60, 160, 140)),
    ],
)
def test_each_can_be_switched_off(setting, colour):
    assert kind(colour) is not None
    assert kind(colour, **{setting: False}) is None


def test_no_cells_need_no_measurements():
    assert impostors(Instances.empty(("Nucleus",)), SLIDE, ArtefactSpec()).shape == (0,)


def test_a_cell_that_covers_no_pixel_is_a_nucleus():
    nothing = Instances(Outlines.of([SQUARE - 40]), np.ones(1, np.float32), np.zeros(1, np.uint8), ("Nucleus",))
    measured = measure(np.zeros((16, 16, 3), np.uint8), nothing)
    assert all(np.isnan(measured.measurements[name]).all() for name in COLOURS)
    assert impostors(measured, SLIDE, ArtefactSpec())[0] == 0


def drawn(seed=4):
    """Return a drawn block (1024, 1024, 3) at 0.5 µm/px, its grains of pigment, clean nuclei and all nuclei."""
    spec = SynthSpec(width=1024, height=1024, mpp=0.5, tissue_fraction=0.95, seed=seed, defects=True)
    block, defects = draw_block(spec, 0, 0), defects_of(spec)
    others = shapely.union_all([each.shape.buffer(20) for each in defects if each.kind != "pigment"])
    pigment = shapely.union_all([each.shape for each in defects if each.kind == "pigment"])
    nuclei = shapely.polygons(block.nuclei.vertices(seed))
    on_slide = shapely.box(8, 8, 1016, 1016)
    grains = [each for each in shapely.get_parts(pigment) if on_slide.contains(each) and not others.intersects(each)]
    free = shapely.within(nuclei, on_slide) & ~shapely.intersects(nuclei, others)
    return block.rgb, grains, nuclei[free & ~shapely.intersects(nuclei, pigment)], shapely.union_all(nuclei)


def found_in(rgb, shapes):
    rings = [shapely.get_coordinates(each.exterior)[:-1] for each in shapes]
    cells = Instances(Outlines.of(rings), np.ones(len(rings), np.float32), np.zeros(len(rings), np.uint8), ("Nucleus",))
    return impostors(measure(rgb, cells), SLIDE, ArtefactSpec())


def test_grains_are_told_though_their_outline_takes_in_tissue_and_nuclei_stay():
    rgb, grains, clean, nuclei = drawn()
    alone = [each for each in grains if each.area > 12 and not shapely.intersects(each, nuclei)]
    assert len(alone) > 30
    found = found_in(rgb, [each.buffer(0.7) for each in alone])
    assert (found == 1 + KINDS.index("black")).mean() > 0.95
    assert len(clean) > 100
    assert np.count_nonzero(found_in(rgb, clean)) == 0


@pytest.mark.parametrize(("rows", "expected"), [(1, None), (2, None), (5, "black")])
def test_a_nucleus_stays_where_a_grain_covers_a_small_part_of_it(rows, expected):
    tile = np.tile(np.array(NUCLEI["haematoxylin"], np.uint8), (16, 16, 1))
    tile[4 : 4 + rows] = 20, 18, 20
    one = Instances(Outlines.of([SQUARE]), np.ones(1, np.float32), np.zeros(1, np.uint8), ("Nucleus",))
    found = int(impostors(measure(tile, one), SLIDE, ArtefactSpec())[0])
    assert (KINDS[found - 1] if found else None) == expected


def test_nuclei_that_are_dark_in_all_colours_are_no_grains_by_their_hue():
    assert kind((22, 8, 38)) is None
    assert kind((34, 8, 30)) == "black"
    assert kind((34, 8, 30), replace(SLIDE, blue_over_green=0.95)) is None
