"""Training images from a slide annotated in QuPath."""

from __future__ import annotations

import json

import numpy as np
import pytest

from pathopipe.errors import GeoJSONError, ModelError, SlideError
from pathopipe.models.train import AnnotatedSlide, TrainSpec
from pathopipe.models.train.annotated import _drawing
from pathopipe.models.train.dataset import load_samples
from tests.support.classed import CLASSES, draw_classed
from tests.support.drawn_slides import halved, write_tiff
from tests.support.written import slide_info

MPP = 0.25
SIDE = 600


@pytest.fixture(scope="module")
def drawn():
    """Nuclei at 0.25 µm/px, so that the large ones are about 32 px across."""
    return draw_classed(11, SIDE, pixel=0.5)


@pytest.fixture(scope="module")
def slide(drawn, tmp_path_factory):
    path = tmp_path_factory.mktemp("annotated") / "s.tif"
    return write_tiff(path, [drawn.rgb, halved(drawn.rgb, 4)], mpp=MPP)


def feature(ring, class_name="", kind="detection", name=None, **extra):
    properties = {"objectType": kind}
    if class_name:
        properties["classification"] = {"name": class_name, "color": [1, 2, 3]}
    if name:
        properties["name"] = name
    return {
        "type": "Feature",
        "geometry": {
            "type": "Polygon",
            "coordinates": [[*np.asarray(ring, float).tolist(), list(map(float, ring[0]))]],
        },
        "properties": properties,
        **extra,
    }


def box(x0, y0, x1, y1):
    return [(x0, y0), (x1, y0), (x1, y1), (x0, y1)]


def nuclei(drawn, **given):
    return [feature(drawn.outlines.ring(index), CLASSES[kind], **given) for index, kind in enumerate(drawn.class_id)]


def samples(slide, folder, features, spec=None, **given):
    """Return what is trained on of ``slide`` with ``features``, and what is held out."""
    path = folder / "a.geojson"
    path.write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    sets = (AnnotatedSlide(slide=slide, annotations=path, **given),)
    return load_samples(TrainSpec(sets=sets, **{"classes": CLASSES, **(spec or {})}))


REGION = feature(box(101, 99, 401, 299), "Region*", "annotation")


def test_a_region_gives_pixels_labels_and_classes(slide, drawn, tmp_path):
    ((sample,), _) = samples(slide, tmp_path, [REGION, *nuclei(drawn)])
    assert sample.id == "s/Region* 1"
    assert sample.scale == pytest.approx(0.5)
    known = sample.marks != 255
    # Where the sample lies on the slide: its pixels are found there again.
    height, width = sample.labels.shape
    places = [
        (y, x)
        for y in range(99 - 40, 100)
        for x in range(101 - 40, 102)
        if np.array_equal(sample.rgb, drawn.rgb[y : y + height, x : x + width])
    ]
    ((y, x),) = places
    true = drawn.labels[y : y + height, x : x + width]
    kinds = np.concatenate([[0], drawn.class_id + 1])[true]
    assert ((sample.labels > 0) == (true > 0))[known].mean() > 0.995
    both = known & (sample.labels > 0) & (true > 0)
    assert (sample.marks == kinds)[both].all()
    # One to one: the drawn nuclei with the labels of the sample
    pairs = np.unique(np.stack([sample.labels[both], true[both]]), axis=1)
    assert len(np.unique(pairs[0])) == len(np.unique(pairs[1])) == pairs.shape[1]
    rows, cols = np.mgrid[y : y + height, x : x + width]
    inside = (cols >= 101) & (cols < 401) & (rows >= 99) & (rows < 299)
    assert known[inside].all()
    assert (sample.labels[known & ~inside] > 0).all()


def test_nuclei_on_the_border_of_a_region_are_whole(slide, drawn, tmp_path):
    ((sample,), _) = samples(slide, tmp_path, [REGION, *nuclei(drawn)])
    x0, y0, x1, y1 = drawn.outlines.bounds().T
    reaching = (x1 > 101) & (x0 < 401) & (y1 > 99) & (y0 < 299)
    whole = (x0 > 101) & (x1 < 401) & (y0 > 99) & (y1 < 299)
    assert 0 < whole.sum() < reaching.sum()
    areas = np.sort(np.bincount(sample.labels.ravel())[1:])
    assert reaching.sum() - 2 <= len(areas) <= reaching.sum()  # a box may reach in where the outline does not
    smallest = drawn.outlines.areas()[whole].min()
    assert areas.min() > 0.9 * smallest


@pytest.mark.parametrize(
    ("marker", "name"),
    [
        (feature(box(100, 100, 400, 300), "Region*", "annotation", "left"), "s/left"),
        (feature(box(100, 100, 400, 300), "Training region", "annotation"), "s/Training region 1"),
        (feature(box(100, 100, 400, 300), "", "annotation", "Training region 7"), "s/Training region 7"),
    ],
)
def test_regions_are_known_by_class_or_name(slide, drawn, tmp_path, marker, name):
    ((sample,), _) = samples(slide, tmp_path, [*nuclei(drawn), marker])
    assert sample.id == name


def test_a_region_need_not_be_a_rectangle_and_parts_can_be_ignored(slide, drawn, tmp_path):
    triangle = feature([(100, 100), (500, 100), (100, 500)], "Region*", "annotation")
    ignored = feature(box(100, 100, 200, 200), "Ignore*", "annotation")
    ((sample,), _) = samples(slide, tmp_path, [triangle, ignored, *nuclei(drawn)])
    assert 0.3 < (sample.marks == 255).mean() < 0.65
    assert (sample.marks[-40:, -40:] == 255).all()
    ((without,), _) = samples(slide, tmp_path, [triangle, *nuclei(drawn)])
    assert ((sample.marks == 255) & (without.marks != 255)).sum() == 100 * 100


def test_outside_the_nuclei_of_a_region_is_background(slide, drawn, tmp_path):
    ((sample,), _) = samples(slide, tmp_path, [REGION])
    assert not sample.labels.any()
    assert not sample.marks.any()
    assert sample.labels.shape == (200, 300)


def test_without_a_region_the_user_is_asked(slide, drawn, tmp_path):
    with pytest.raises(ModelError, match=r"draw annotations of the class Region\*.*region: all"):
        samples(slide, tmp_path, nuclei(drawn))
    ((sample,), _) = samples(slide, tmp_path, nuclei(drawn), region="all")
    assert len(np.unique(sample.labels)) - 1 == len(drawn.outlines)
    ((sample,), _) = samples(slide, tmp_path, nuclei(drawn), region=(100, 100, 300, 200))
    assert (sample.marks == 255).any()


@pytest.mark.parametrize(
    ("features", "given", "told"),
    [
        ([REGION, feature(box(390, 200, 500, 300), "Region*", "annotation", "b")], {}, "'Region. 1' and 'b' overlap"),
        ([feature(box(900, 900, 990, 990), "Region*", "annotation", "far")], {}, "'far' lies outside"),
        ([], {}, "has no outlines"),
        ([], {"region": (5, 5, 5, 9)}, "x0 < x1"),
        ([REGION, feature(box(150, 150, 170, 170), "tumour")], {}, "of the classes 'tumour'; the model's are"),
    ],
)
def test_what_cannot_be_trained_on_is_told(slide, tmp_path, features, given, told):
    with pytest.raises(ModelError, match=told):
        samples(slide, tmp_path, features, **given)


def test_classes_outside_the_regions_do_not_matter(slide, tmp_path):
    far = feature(box(500, 500, 520, 520), "whatever")
    assert len(samples(slide, tmp_path, [REGION, far])[0]) == 1


def test_classes_are_mapped(slide, tmp_path):
    features = [
        REGION,
        feature(box(150, 150, 170, 170), "tumour"),
        feature(box(200, 150, 220, 170)),
        feature(box(250, 150, 270, 170), "Immune cells", "annotation"),
        feature(box(300, 150, 320, 170), "odd"),
    ]
    class_map = {"tumour": "Tumor", "": "Immune cells", "odd": None}
    ((sample,), _) = samples(slide, tmp_path, features, class_map=class_map)
    at = [sample.marks[160 - 99, x - 101] for x in (160, 210, 260, 310)]
    assert at == [1, 2, 2, 0]
    assert sample.labels[160 - 99, 310 - 101] > 0


def test_a_cell_is_trained_on_by_its_nucleus(slide, tmp_path):
    nucleus = feature(box(160, 160, 180, 180))["geometry"]
    cell = feature(box(150, 150, 190, 190), "Tumor", "cell", nucleusGeometry=nucleus)
    ((sample,), _) = samples(slide, tmp_path, [REGION, cell])
    assert (sample.labels > 0).sum() == 20 * 20


def test_tissue_is_no_nucleus_and_a_detection_that_is_too_large_is_left_out(slide, tmp_path):
    features = [
        REGION,
        feature(box(50, 50, 550, 550), "Tissue", "annotation"),
        feature(box(120, 120, 320, 270), "Tumor"),
        feature(box(380, 120, 385, 125), "Tumor", "tile"),
    ]
    ((sample,), _) = samples(slide, tmp_path, features)
    assert not sample.labels.any()
    assert (sample.marks == 255).sum() == 200 * 150


def test_a_nucleus_of_the_class_ignore_is_left_out(slide, tmp_path):
    unsure = feature(box(150, 150, 170, 170), "Ignore*")
    ((sample,), _) = samples(slide, tmp_path, [REGION, unsure])
    assert not sample.labels.any()
    assert (sample.marks == 255).sum() == 20 * 20


def test_the_smaller_of_two_lies_on_top(slide, tmp_path):
    large, small = feature(box(150, 150, 190, 190), "Tumor"), feature(box(165, 165, 175, 175), "Immune cells")
    for features in ([REGION, large, small], [REGION, small, large]):
        ((sample,), _) = samples(slide, tmp_path, features)
        assert (sample.marks == 2).sum() == 100
        assert (sample.marks == 1).sum() == 1500


def test_regions_can_be_held_out(slide, drawn, tmp_path):
    features = [
        feature(box(50, 50, 250, 250), "Region*", "annotation", "left"),
        feature(box(300, 50, 500, 250), "Region*", "annotation", "right"),
        *nuclei(drawn),
    ]
    training, held_out = samples(slide, tmp_path, features, held_out=("right",))
    assert [each.id for each in training] == ["s/left"]
    assert [each.id for each in held_out] == ["s/right"]
    training, held_out = samples(slide, tmp_path, features, spec={"hold_out_share": 0.5})
    assert len(training) == len(held_out) == 1


def test_pixels_finer_than_of_use_are_not_read(slide, drawn, tmp_path):
    ((sample,), _) = samples(slide, tmp_path, [REGION, *nuclei(drawn)], spec={"mpp": 2.0})
    assert sample.scale == pytest.approx(0.5)
    assert sample.rgb.shape[1] < 110
    ((sample,), _) = samples(slide, tmp_path, [REGION, *nuclei(drawn)], mpp=0.5)
    assert sample.scale == pytest.approx(1.0)


def test_coordinates_are_counted_as_qupath_does(tmp_path):
    path = tmp_path / "a.geojson"
    path.write_text(json.dumps({"type": "FeatureCollection", "features": [REGION]}))
    info = slide_info(bounds=(1000, 500, 3000, 2500))
    for coords, x in (("qupath", 1101), ("level0", 101)):
        images = AnnotatedSlide(slide=tmp_path / "s.svs", annotations=path, coords=coords)
        assert _drawing(images, info, TrainSpec()).regions[0].area.bounds[0] == x


def test_a_slide_or_file_that_cannot_be_read_is_told(slide, tmp_path):
    with pytest.raises(SlideError, match="does not exist"):
        samples(tmp_path / "none.svs", tmp_path, [REGION])
    (tmp_path / "b.geojson").write_text(
        '{"type": "FeatureCollection", "features": [{"type": "Feature", "geometry": 3}]}'
    )
    sets = (AnnotatedSlide(slide=slide, annotations=tmp_path / "b.geojson"),)
    with pytest.raises(GeoJSONError, match="feature 1 cannot be read"):
        load_samples(TrainSpec(sets=sets))


def test_a_slide_that_says_no_resolution_needs_one(drawn, tmp_path):
    path = write_tiff(tmp_path / "s.tif", [drawn.rgb])
    with pytest.raises(SlideError, match="mpp"):
        samples(path, tmp_path, [REGION])
    ((sample,), _) = samples(path, tmp_path, [REGION], mpp=0.25)
    assert sample.scale == pytest.approx(0.5)
