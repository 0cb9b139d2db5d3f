"""What to train: images, sizes and lengths. The file that ``pathopipe train --config`` reads."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from pathopipe.models.network import NetSpec
from pathopipe.spec import Spec


class ImageSet(Spec):
    """A folder of training images: ``images/ID.png`` (RGB) and ``labels/ID.png`` (16-bit instance ids)."""

    folder: Path
    """The folder; relative paths start at the configuration file's folder."""
    mpp: float | None = Field(None, gt=0)
    """µm per pixel of all its images; None scales each image by its own median nucleus."""
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


class TrainSpec(Spec):
    """One training run; equal specs on equal images start from the same random numbers."""

    out: Path = Path("model.safetensors")
    """The model file to write; checkpoints lie beside it as ``<out>.checkpoint``."""
    sets: tuple[ImageSet, ...] = ()
    """Folders of images; without any only drawn images are trained on."""
    start: Path | None = None
    """A model file whose weights to begin from, of the same ``net``; None begins from random ones."""
    name: str = "nuclei"
    """Name on the model card."""
    version: str = "1"
    """Version on the model card."""
    class_name: str = "Nucleus"
    """The class that the model finds; QuPath shows it."""
    licence: str = "Apache-2.0"
    """Licence of the weights."""
    accuracy: tuple[str, ...] = ()
    """Measured accuracy for the card, one line each."""
    limits: tuple[str, ...] = ()
    """What the model was not tested on and where it fails, one line each."""
    net: NetSpec = NetSpec()
    """The network."""
    mpp: float = Field(0.5, gt=0)
    """Working resolution in µm per pixel."""
    median_nucleus_px: float = Field(12.5, gt=0)
    """Diameter in working pixels that the median nucleus of an image without mpp is brought to."""
    max_diameter_um: float = Field(32.0, gt=0)
    """Larger instances are not reported."""
    threshold: float = Field(0.4, gt=0, lt=1)
    """Probability from which a peak is a nucleus."""
    iterations: int = Field(3000, ge=1)
    """Steps of the optimiser."""
    batch: int = Field(8, ge=1)
    """Patches a step."""
    patch_px: int = Field(192, ge=64, multiple_of=8)
    """Side of a patch in working pixels."""
    learning_rate: float = Field(2e-3, gt=0)
    """Peak of the cosine schedule."""
    drawn: float = Field(0.25, ge=0, le=1)
    """Share of patches that are drawn from nothing."""
    seed: int = 1
    """Of everything random."""
    workers: int = Field(1, ge=0)
    """Processes that prepare patches."""
    threads: int = Field(1, ge=1)
    """Threads of the network on a CPU."""
    checkpoint_every: int = Field(200, ge=1)
    """Steps between checkpoints; an interrupted run goes on from the last."""
