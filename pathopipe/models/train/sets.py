"""Where training images come from: folders of images and labels, and slides annotated in QuPath."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag

from pathopipe.spec import Spec

REGION_NAMES = ("Region*", "Training region")
"""QuPath's own class for regions, and a name that says what it is for."""
IGNORE_NAMES = ("Ignore*",)
"""QuPath's own class for what is to be left out."""

ClassMap = dict[str, str | None]
"""A class as the data name it, "" for none, to the model's class; None: its nuclei are trained on, their class not."""


class ImageSet(Spec):
    """A folder of training images: ``images/ID.png`` (RGB) and ``labels/ID.png`` (16-bit instance ids).

    Beside them may lie ``classes.csv`` (columns id, instance, class), ``mpp.csv`` (id, mpp) and ``groups.csv`` (id,
    group).
    """

    folder: Path
    """The folder; relative paths start at the configuration file's folder."""
    mpp: float | None = Field(None, gt=0)
    """µm per pixel of the images that ``mpp.csv`` does not list; None scales each by its own median nucleus."""
    class_map: ClassMap = Field(default_factory=dict)
    """Class in ``classes.csv``, "" for nuclei that it does not list, to the model's class; None for an unknown one."""
    weight: float = Field(1.0, gt=0)
    """How often its images are drawn, relative to those of other sets."""
    group_weights: dict[str, float] = Field(default_factory=dict)
    """Factor on the weight of the images of a group in ``groups.csv`` (columns id, group)."""
    held_out: tuple[str, ...] = ()
    """Groups, image ids, or the first eight characters of ids that are not trained on."""
    licence: str = "not stated"
    """Licence of the images, for the model card."""
    title: str = ""
    """What the images are, for the model card."""

    @property
    def shown(self) -> str:
        """What the images are, for the model card: the title, else the folder's name."""
        return self.title or self.folder.name


class AnnotatedSlide(Spec):
    """A slide, and the nuclei that were outlined or corrected on it in QuPath and exported as GeoJSON.

    Trained on is what lies in regions of which the annotator says that every nucleus in them is outlined; see
    ``docs/classes.md``.
    """

    slide: Path
    """The slide; relative paths start at the configuration file's folder."""
    annotations: Path
    """The GeoJSON that QuPath exported: .geojson, .json, .gz or .zip."""
    region: Literal["all"] | tuple[float, float, float, float] | None = None
    """Where every nucleus is outlined. None: in the annotations called ``region_names``; "all": wherever nuclei are
    (the box around them); or a box x0, y0, x1, y1 in the coordinates of the annotations."""
    region_names: tuple[str, ...] = REGION_NAMES
    """Classes or names of annotations inside which every nucleus is outlined; "Training region 2" counts as well."""
    ignore_names: tuple[str, ...] = IGNORE_NAMES
    """Classes or names of annotations, or of single nuclei, inside which nothing is learnt."""
    class_map: ClassMap = Field(default_factory=dict)
    """Class in QuPath, "" for none, to the model's class; None for an unknown one."""
    coords: Literal["qupath", "level0"] = "qupath"
    """Origin of the annotations' coordinates, as ``annotations.coords`` of a run."""
    mpp: float | None = Field(None, gt=0)
    """µm per level-0 pixel, for a slide that does not say it; outranks what the slide says."""
    weight: float = Field(1.0, gt=0)
    """How often its regions are drawn, each, relative to the images of other sets."""
    held_out: tuple[str, ...] = ()
    """Names of regions that are not trained on, or the slide's file name without its ending for all of them."""
    licence: str = "not stated"
    """Licence of the pixels and outlines, for the model card."""
    title: str = ""
    """What the slide is, for the model card."""

    @property
    def shown(self) -> str:
        """What the slide is, for the model card: the title, else the file's name."""
        return self.title or self.slide.name


class UnlabelledSet(Spec):
    """A folder of images without labels, for self-training: a model, the teacher, says what it is sure of.

    Nuclei that it is sure of are trained on; what it is unsure of is left out of the loss. They are never held out.
    """

    unlabelled: Path
    """The folder, searched recursively for PNG, JPEG and TIFF; relative paths start at the configuration file's."""
    mpp: float = Field(gt=0)
    """µm per pixel of all its images."""
    teacher: Path = Path("nuclei")
    """The model that labels: its name, or a model file."""
    sure: float = Field(0.7, gt=0, le=1)
    """Score from which a nucleus of the teacher is taken for one."""
    unsure: float = Field(0.2, gt=0, lt=1)
    """Probability and foreground up to which a pixel is taken for background."""
    leave_out: tuple[str, ...] = ()
    """File names that are not used, such as ``ihc_*``; ``*`` stands for anything."""
    weight: float = Field(1.0, gt=0)
    """How often its images are drawn, each, relative to those of other sets."""
    licence: str = "not stated"
    """Licence of the images, for the model card."""
    title: str = ""
    """What the images are, for the model card."""

    @property
    def shown(self) -> str:
        """What the images are, for the model card: the title, else the folder's name; and who labelled them."""
        return f"{self.title or self.unlabelled.name}, labelled by the model {self.teacher.stem}"


def _kind(given: Any) -> str:
    for kind in ("slide", "unlabelled"):
        if kind in given if isinstance(given, dict) else hasattr(given, kind):
            return kind
    return "folder"


TrainingSet = Annotated[
    Annotated[ImageSet, Tag("folder")]
    | Annotated[AnnotatedSlide, Tag("slide")]
    | Annotated[UnlabelledSet, Tag("unlabelled")],
    Discriminator(_kind),
]
"""Told apart by their key ``folder``, ``slide`` or ``unlabelled``."""
