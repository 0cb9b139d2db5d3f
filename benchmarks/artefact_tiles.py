"""The pictures that ``artefacts.py`` measures on: which are clean, and where the others are not.

Their resolution is not recorded, so it is judged by the size of the nuclei (µm per pixel). Outlines of ink and folds
were drawn by hand on the pictures, (x, y) in their pixels; a tenth of a millimetre at their border is left out of both
sides. DeepLIIF pictures are non-commercial: looked at, nothing else.
"""

from __future__ import annotations

SPOILT: dict[str, tuple[float, dict[str, list[list[tuple[int, int]]]]]] = {
    "histolab/high-nuclei-score-red-pen-level1.png": (
        1.0,
        {
            "pen": [
                [
                    (210, 0),
                    (290, 0),
                    (285, 60),
                    (272, 100),
                    (300, 150),
                    (345, 180),
                    (360, 215),
                    (320, 240),
                    (270, 210),
                    (240, 165),
                    (220, 115),
                    (208, 45),
                ],
                [(465, 440), (512, 430), (512, 512), (480, 500)],
            ],
            "fold": [
                [
                    (0, 238),
                    (75, 245),
                    (200, 265),
                    (325, 300),
                    (512, 345),
                    (512, 405),
                    (450, 370),
                    (350, 340),
                    (225, 305),
                    (100, 278),
                    (0, 262),
                ]
            ],
        },
    ),
    "histolab/medium-nuclei-score-green-pen-level1.png": (
        0.8,
        {"pen": [[(0, 0), (512, 0), (512, 238), (350, 244), (250, 238), (156, 231), (150, 206), (62, 238), (0, 312)]]},
    ),
    "histolab/very-low-nuclei-score-red-pen-level1.png": (
        1.0,
        {
            "pen": [
                [
                    (350, 200),
                    (400, 150),
                    (512, 110),
                    (512, 300),
                    (400, 330),
                    (330, 420),
                    (320, 512),
                    (60, 512),
                    (100, 400),
                    (150, 350),
                    (330, 330),
                ]
            ]
        },
    ),
    "histolab/no-tissue-green-pen.png": (1.0, {"pen": [[(0, 0), (512, 0), (512, 512), (0, 512)]]}),
    "histolab/no-tissue-red-pen.png": (1.0, {"pen": [[(0, 0), (512, 0), (512, 512), (0, 512)]]}),
    "histolab/no-tissue-line.png": (1.0, {"edge": [[(0, 0), (512, 0), (512, 512), (0, 512)]]}),
}
"""Picture to its resolution and its artefacts by kind."""

CLEAN: dict[str, float] = {
    "histolab/high-nuclei-score-level0.png": 0.3,
    "histolab/low-nuclei-score-level0.png": 0.5,
    "histolab/low-nuclei-score-level1.png": 1.0,
    "histolab/medium-nuclei-score-level0.png": 0.4,
    "histolab/medium-nuclei-score-level1.png": 1.0,
    "histolab/medium-nuclei-score-level1-2.png": 1.0,
    "histolab/tcga-lung-rgb.png": 0.25,
    "histolab/tissue-level0-4302-10273-4814-10785.png": 0.5,
    "histolab/tissue-level0-7352-11762-7864-12274.png": 0.5,
    "histolab/very-low-nuclei-score-level0.png": 0.5,
    "histoqc_artifacts/template1.png": 0.6,
    "histoqc_artifacts/template2.png": 0.6,
    "histoqc_artifacts/template3.png": 0.6,
    "histoqc_artifacts/template4.png": 0.6,
    "misc/instanseg_HE_example.tif": 0.5,
    "misc/stardist_histo.jpg": 0.4,
    "misc/tiatoolbox_target_image.png": 0.3,
    "ihc/skimage_ihc.png": 0.5,
    "ihc/deepliif_ROI_1.png": 0.5,
    "ihc/deepliif_ROI_7.png": 0.5,
    "ihc/deepliif_ROI_127.png": 0.5,
    "ihc/deepliif_test_6_2.png": 0.25,
    "ihc/deepliif_test_22_2.png": 0.25,
    "ihc/deepliif_test_34_3.png": 0.25,
    "ihc/deepliif_test_799_2.png": 0.25,
}
"""Picture without artefacts to its resolution."""

COARSE: dict[str, float] = {
    "histolab/high-nuclei-score-level2.png": 4.0,
    "histolab/medium-nuclei-score-level2.png": 4.0,
    "histolab/tissue-level2-1784-6289-5880-10386.png": 8.0,
    "histolab/tissue-level2-3000-7666-7096-11763.png": 8.0,
    "histolab/tissue-level2-4640-4649-8736-8746.png": 8.0,
    "histoqc_artifacts/coverslip_edge.png": 8.0,
}
"""The same for pictures on which cells cannot be seen; the last one is clean but for the edge and dirt at its left."""

SLIDES: dict[str, float] = {"cmu-1-small-region.svs": 0.499, "tcga-cr-7395-01a-01-ts1.svs": 0.25}
"""Real slides, clean but for the green dye on the first one's margin."""
