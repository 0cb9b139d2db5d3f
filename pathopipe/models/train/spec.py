"""What to train: images, sizes and lengths. The file that ``pathopipe train --config`` reads."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from pathopipe.models.base import Switch
from pathopipe.models.network import NetSpec
from pathopipe.models.train.sets import TrainingSet
from pathopipe.spec import Spec

Share = Annotated[float, Field(ge=0, le=1)]
Scale = Annotated[float, Field(gt=0)]


class LossSpec(Spec):
    """What the network is told off for, and how much; a weight of 0 leaves a part out."""

    kind: Literal["bce", "focal"] = "bce"
    """For the probability: cross-entropy, or quality focal loss (Li et al. 2020), which spares what is nearly right."""
    focal_gamma: float = Field(2.0, ge=0)
    """How much focal loss spares it; 0 is cross-entropy."""
    probability: float = Field(1.0, ge=0)
    """Weight of the probability."""
    foreground: float = Field(0.5, ge=0)
    """Weight of the cross-entropy of the foreground."""
    dice: float = Field(0.0, ge=0)
    """Weight of the Dice loss of the foreground (Milletari et al. 2016), over the pixels of the whole batch."""
    boundary: float = Field(0.5, ge=0)
    """Weight of the cross-entropy of the boundary."""
    distances: float = Field(0.3, ge=0)
    """Weight of the error of the radial distances."""
    classes: float = Field(0.5, ge=0)
    """Weight of the cross-entropy of the classes, over the pixels of nuclei whose class is known."""


class AugmentSpec(Spec):
    """How far patches go from the images: shares of the patches that something is done to."""

    scale: tuple[Scale, Scale] = (0.72, 2.0)
    """Least and largest factor that a patch is scaled by, beyond what brings it to the working resolution."""
    own_colours: Share = 0.12
    """Keep the image's own colours; all others are stained anew."""
    stretch: Share = 0.1
    """Nuclei drawn out to spindles."""
    wrinkle: Share = 0.1
    """Bent more than others."""
    paste: Share = 0.1
    """Nuclei of another image, or drawn ones, between their own."""
    paste_drawn: Share = 0.4
    """Of those: drawn ones."""
    overlap: Share = 0.3
    """Of patches with pasted nuclei: those where they may lie over others in part."""
    uneven: Share = 0.1
    """Every nucleus darker or paler by a factor of its own."""
    retexture: Share = 0.1
    """Half of the nuclei with another interior, such as pale with a dark rim."""
    grain: Share = 0.3
    """Chromatin of several sizes, as sharp slides show it and enlarged images do not."""
    dark_stroma: Share = 0.1
    """What lies between the nuclei takes haematoxylin too."""
    bands: Share = 0.05
    """Long dark bands that are no nuclei, as keratin and folds."""
    smudges: Share = 0.05
    """Soft dark blobs that are no nuclei, as what lies out of focus."""
    veil: Share = 0.1
    """A blurred shadow of the nuclei around them."""
    immune: Share = 0.05
    """DAB in some nuclei, or around them, instead of eosin."""
    flakes: Share = 0.4
    """Of drawn patches: partly covered by keratin."""

    @model_validator(mode="after")
    def _scale_rises(self) -> Self:
        if self.scale[0] > self.scale[1]:
            raise ValueError(f"augment.scale: the least factor comes first, not {self.scale}")
        return self


class TeachingSpec(Spec):
    """Other models that the network learns from beside the labels; see :mod:`pathopipe.models.train.teachers`."""

    models: tuple[str, ...] = ()
    """Model files, or names of models such as nuclei; of the working resolution of the one that is trained."""
    views: int = Field(4, ge=1, le=8)
    """Turned and mirrored views of each patch that each of them looks at; their mean is learnt."""
    weight: float = Field(1.0, ge=0)
    """Of their word beside the labels, whose weight is 1."""


class ValidationSpec(Spec):
    """How the held-out images are used during training; without held-out images nothing of it happens."""

    every: int = Field(250, ge=0)
    """Steps between validations; one more follows the last step. 0 for none."""
    keep: Literal["last", "best"] = "last"
    """Which averaged weights become the model: those after the last step, or those of the highest F1."""
    patience: int | None = Field(None, ge=1)
    """Training stops after so many validations without a higher F1; None goes on to the last step."""


class TrainSpec(Spec):
    """One training run; equal specs on equal images start from the same random numbers."""

    out: Path = Path("model.safetensors")
    """The model file to write; checkpoints lie beside it as ``<out>.checkpoint``."""
    sets: tuple[TrainingSet, ...] = ()
    """Folders of images and annotated slides; without any only drawn images are trained on."""
    start: Path | None = None
    """A model file, or the name of a model such as nuclei, whose weights to begin from; ``net``, ``mpp``,
    ``max_diameter_um``, ``threshold`` and ``foreground`` are then its own unless they are given. A larger ``net`` grows
    out of it. None begins from random weights."""
    name: str = "nuclei"
    """Name on the model card."""
    version: str = "1"
    """Version on the model card."""
    class_name: str = "Nucleus"
    """The class that the model finds; QuPath shows it."""
    classes: tuple[str, ...] = ()
    """Names of several classes that the model tells apart; without any it has the one of ``class_name``."""
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
    foreground: float = Field(0.5, gt=0, lt=1)
    """Foreground level along which outlines run."""
    iterations: int = Field(3000, ge=1)
    """Steps of the optimiser."""
    batch: int = Field(8, ge=1)
    """Patches a step."""
    patch_px: int = Field(192, ge=64, multiple_of=8)
    """Side of a patch in working pixels."""
    hold_out_share: float = Field(0.0, ge=0, lt=1)
    """Share of each set's images that is held out besides ``held_out``, whole groups at a time, chosen by the seed."""
    validation: ValidationSpec = ValidationSpec()
    """Measuring on the held-out images."""
    loss: LossSpec = LossSpec()
    """What is minimised."""
    augment: AugmentSpec = AugmentSpec()
    """How patches are altered."""
    teaching: TeachingSpec = TeachingSpec()
    """Models to learn from beside the labels."""
    learning_rate: float = Field(2e-3, gt=0)
    """Peak of the schedule."""
    schedule: Literal["cosine", "constant"] = "cosine"
    """Whether the rate falls to 0 along half a cosine, or stays."""
    warm_up: int = Field(50, ge=0)
    """Steps over which the rate rises from 0."""
    weight_decay: float = Field(1e-2, ge=0)
    """Of AdamW, on the convolutions' weights."""
    ema_decay: float = Field(0.997, ge=0, lt=1)
    """How much of the averaged weights a step keeps; they become the model."""
    drawn: float = Field(0.25, ge=0, le=1)
    """Share of patches that are drawn from nothing."""
    seed: int = 1
    """Of everything random."""
    workers: int = Field(1, ge=0)
    """Processes that prepare patches."""
    threads: int = Field(1, ge=1)
    """Threads of the network on a CPU."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where the network is trained; "auto" takes CUDA where there is one."""
    processes: int | None = Field(None, ge=1)
    """Processes that share each batch; None takes one a GPU, one on a CPU. ``batch`` must be a multiple of it."""
    bf16: Switch = "auto"
    """Convolutions in bfloat16: "auto" on a GPU, and on a CPU that has instructions for it."""
    checkpoint_every: int = Field(200, ge=1)
    """Steps between checkpoints; an interrupted run goes on from the last."""
    checkpoint_minutes: float = Field(3.0, gt=0)
    """A checkpoint is written too when the last is so old."""

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names of the model's classes, in the order of ``Instances.class_id``."""
        return self.classes or (self.class_name,)

    @model_validator(mode="before")
    @classmethod
    def _net_tells_classes_apart(cls, given: Any) -> Any:
        """Size the network's class head by the names, so that nobody has to count them."""
        if not isinstance(given, dict) or not given.get("classes"):
            return given
        net, count = given.get("net") or {}, len(given["classes"])
        if isinstance(net, NetSpec):
            return {**given, "net": net.model_copy(update={"classes": count})}
        return {**given, "net": {"classes": count, **net}} if isinstance(net, dict) else given

    @model_validator(mode="after")
    def _classes_fit(self) -> Self:
        names = self.class_names
        if len(set(names)) < len(names) or not all(name.strip() and name == " ".join(name.split()) for name in names):
            raise ValueError(f"class names must be different, not empty, and on one line, not {names}")
        if self.net.classes != len(names):
            raise ValueError(f"net.classes is {self.net.classes}, but the classes are {', '.join(names)}: leave it out")
        return self
