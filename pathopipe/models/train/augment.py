"""From a training image, or from nothing, to a patch: warped, re-stained, photographed.

Re-staining is what closes the gap between a handful of freely licensed images and slides from elsewhere: the optical
density of an image is taken for an amount of haematoxylin, an eosin field is drawn around it, and both are rendered
with random stain vectors (after Tellez et al. 2018, who perturb stains in the optical density of real H&E).
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from pathopipe.models.train.classes import NOT_ANNOTATED, Marks, tells_classes
from pathopipe.models.train.drawn import draw, interior
from pathopipe.models.train.noise import Field, Rng, bands, eosin, flakes, smooth, smudges
from pathopipe.models.train.sample import Sample
from pathopipe.models.train.spec import AugmentSpec

Labels = NDArray[np.int32]
Image = NDArray[np.integer[Any]] | NDArray[np.floating[Any]]
Rgb = NDArray[np.uint8]


def real_patch(
    rng: Rng, sample: Sample, size: int, spec: AugmentSpec, donor: Sample | None = None
) -> tuple[Rgb, Labels, Marks]:
    """Return a patch of ``sample``: (size, size, 3), its labels and its marks (size, size).

    Some patches get nuclei of ``donor``, or drawn ones, between their own ("copy-paste", Ghiasi et al. 2021, in stain
    amounts).
    """
    map_x, map_y = _warp(rng, sample, size, spec)
    labels = _mirrored_labels(sample.labels, map_x, map_y)
    marks = _mirrored_marks(sample, map_x, map_y)
    if rng.random() < spec.own_colours:
        return _photograph(rng, _look_up(sample.rgb, map_x, map_y)), labels, marks
    amount = _look_up(sample.amount, map_x, map_y)
    ground = sample.ground * rng.uniform(0, 1.2)
    stroma = np.minimum(amount, ground * 1.5)
    amount = np.maximum(amount - ground, 0)
    if not tells_classes(marks):  # a class may show in just what these change
        if rng.random() < spec.paste:
            hidden = 0.35 if rng.random() < spec.overlap else 0.0
            _paste(rng, amount, labels, *_others(rng, size, spec, donor), hidden)
        if rng.random() < spec.uneven:
            amount = _uneven(rng, amount, labels)
        if rng.random() < spec.retexture:
            amount = _retextured(rng, amount, labels)
        if rng.random() < spec.grain:
            amount = _grained(rng, amount)
    return _photograph(rng, _render(rng, amount, stroma, labels, spec)), labels, marks


def drawn_patch(rng: Rng, size: int, spec: AugmentSpec) -> tuple[Rgb, Labels]:
    """Return a patch drawn from nothing: (size, size, 3) and its labels (size, size)."""
    amount, labels = draw(rng, size)
    if rng.random() < spec.flakes:
        return _photograph(rng, _flaked(rng, amount, labels, spec)), labels
    return _photograph(rng, _render(rng, amount, np.zeros_like(amount), labels, spec)), labels


def _warp(rng: Rng, sample: Sample, size: int, spec: AugmentSpec) -> tuple[Field, Field]:
    """Return where in the image every pixel of the patch comes from: rotation, flip, scale, elastic."""
    factor = sample.scale * np.exp(rng.uniform(*np.log(spec.scale)))
    angle, flip = rng.uniform(0, 2 * np.pi), rng.choice([-1.0, 1.0])
    aspect = np.exp(rng.normal(0, 0.08))
    if rng.random() < spec.stretch:  # spindles are rare in the images: others are drawn out to such
        aspect = np.exp(rng.uniform(0.15, 0.5))
    y, x = (np.mgrid[:size, :size] - (size - 1) / 2).astype(np.float32)
    if rng.random() < 0.6:
        bend = rng.uniform(2.5, 4.5) if rng.random() < spec.wrinkle else rng.uniform(0.5, 3.0)
        x = x + smooth(rng, size, 40) * bend
        y = y + smooth(rng, size, 40) * bend
    height, width = sample.labels.shape
    cos, sin = np.cos(angle), np.sin(angle)
    map_x = (x * cos - y * sin) * flip / factor * aspect + rng.uniform(0, width)
    map_y = (x * sin + y * cos) / factor / aspect + rng.uniform(0, height)
    return map_x.astype(np.float32), map_y.astype(np.float32)


def _look_up(image: Image, map_x: Field, map_y: Field) -> Field:
    found = cv2.remap(image, map_x, map_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
    return np.asarray(found, np.float32)


def _mirrored_marks(sample: Sample, map_x: Field, map_y: Field) -> Marks:
    """Return the marks looked up; a nucleus that the image's edge cuts is not known where its mirror image is in sight.

    Half a nucleus and its mirror image look like one nucleus: as two, or as one, they would teach what is not so.
    """
    found = np.asarray(cv2.remap(sample.marks, map_x, map_y, cv2.INTER_NEAREST, borderMode=cv2.BORDER_REFLECT))
    height, width = sample.labels.shape
    if map_x.min() >= -0.5 and map_y.min() >= -0.5 and map_x.max() < width - 0.5 and map_y.max() < height - 0.5:
        return np.asarray(found, np.uint8)
    edge = np.concatenate([sample.labels[[0, -1]].ravel(), sample.labels[:, [0, -1]].ravel()])
    cut = np.isin(sample.labels, edge[edge > 0]).astype(np.uint8)
    halves = cv2.remap(cut, map_x, map_y, cv2.INTER_NEAREST, borderMode=cv2.BORDER_REFLECT)
    return np.asarray(np.where(halves > 0, NOT_ANNOTATED, found), np.uint8)


def _mirrored_labels(labels: Labels, map_x: Field, map_y: Field) -> Labels:
    """Return the labels looked up; a nucleus and its mirror image beyond the image's edge get different ids."""
    height, width = labels.shape
    found = cv2.remap(labels.astype(np.float32), map_x, map_y, cv2.INTER_NEAREST, borderMode=cv2.BORDER_REFLECT).astype(
        np.int32
    )
    cell = np.floor((map_x + 0.5) / width).astype(np.int32) * 31 + np.floor((map_y + 0.5) / height).astype(np.int32)
    ids = (found + (cell - cell.min()) * (int(labels.max()) + 1)) * (found > 0)
    present = np.bincount(ids.ravel()) > 0
    present[0] = False
    return np.asarray((np.cumsum(present) * present)[ids], np.int32)


def _others(rng: Rng, size: int, spec: AugmentSpec, donor: Sample | None) -> tuple[Field, Labels]:
    """Return the haematoxylin amount and the labels of nuclei to be pasted: of ``donor``, or drawn."""
    if donor is None or rng.random() < spec.paste_drawn:
        return draw(rng, size)
    map_x, map_y = _warp(rng, donor, size, spec)
    amount = np.maximum(_look_up(donor.amount, map_x, map_y) - donor.ground, 0)
    return amount, _mirrored_labels(donor.labels, map_x, map_y)


def _paste(rng: Rng, amount: Field, labels: Labels, pasted: Field, others: Labels, hidden: float) -> None:
    """Put nuclei of ``others`` where ``amount`` and ``labels`` have none, or over a share ``hidden`` of one (in place).

    Where two nuclei lie over each other both take light away, and the one on top has the outline.
    """
    count = int(others.max())
    taken = _hiding(labels, others, hidden) if hidden else _touching(labels, others)
    chosen = ~taken & (rng.random(count + 1) < rng.uniform(0.2, 1.0))
    chosen[0] = False
    here = chosen[others]
    if here.any() and (labels > 0).any():  # two images differ in how dark they are: brought to one
        darker = float(np.median(amount[labels > 0])) / max(float(np.median(pasted[here])), 0.02)
        pasted = pasted * np.float32(darker * rng.uniform(0.6, 1.4))
    if hidden:
        pasted = pasted + np.where(labels > 0, amount * np.float32(rng.uniform(0, 0.7)), np.float32(0))
    soft = cv2.GaussianBlur(here.astype(np.float32), (0, 0), 0.7)
    amount += soft * (pasted - amount)
    labels[here] = others[here] + int(labels.max())


def _touching(labels: Labels, others: Labels) -> NDArray[np.bool_]:
    """Return (n,) for every id of ``others`` whether it lies on one of ``labels``, or on its rim."""
    taken = np.zeros(int(others.max()) + 1, bool)
    taken[np.unique(others[cv2.dilate((labels > 0).astype(np.uint8), np.ones((3, 3), np.uint8)) > 0])] = True
    return taken


def _hiding(labels: Labels, others: Labels, share: float) -> NDArray[np.bool_]:
    """Return (n,) for every id of ``others`` whether more than ``share`` of it, or of one of ``labels``, is in both."""
    width = int(labels.max()) + 1
    both = np.bincount((others * width + labels).ravel(), minlength=(int(others.max()) + 1) * width).reshape(-1, width)
    shared = both.astype(np.float64)
    shared[:, 0] = 0
    smaller = np.minimum(both.sum(axis=1)[:, None], both.sum(axis=0)[None])
    return np.asarray((shared > share * smaller).any(axis=1), np.bool_)


def _uneven(rng: Rng, amount: Field, labels: Labels) -> Field:
    """Return ``amount`` with every nucleus darker or paler by a factor of its own."""
    factors = np.exp(rng.normal(0, rng.uniform(0.1, 0.5), int(labels.max()) + 1)).astype(np.float32)
    factors[0] = 1
    return np.asarray(amount * cv2.GaussianBlur(factors[labels], (0, 0), 0.7), np.float32)


def _grained(rng: Rng, amount: Field) -> Field:
    """Return ``amount`` with chromatin of several sizes, as sharp slides show it and enlarged images do not."""
    size = len(amount)
    field = np.zeros((size, size), np.float32)
    for grain in (1.5, 2.5, 4.0, 6.0):
        field += smooth(rng, size, grain) * rng.uniform(0, 0.22)
    return np.asarray(amount * np.exp(np.clip(field, -1.2, 1.0)), np.float32)


def _retextured(rng: Rng, amount: Field, labels: Labels) -> Field:
    """Return ``amount`` with half of the nuclei given another interior, such as pale with a dark rim."""
    amount = amount.copy()
    for number in range(1, int(labels.max()) + 1):
        if rng.random() < 0.5:
            continue
        rows, cols = np.nonzero(labels == number)
        if len(rows) < 20:
            continue
        y0, y1, x0, x1 = rows.min(), rows.max() + 1, cols.min(), cols.max() + 1
        mask = np.pad((labels[y0:y1, x0:x1] == number).astype(np.uint8) * 255, 1)
        texture = interior(rng, mask)[1:-1, 1:-1]
        inside = mask[1:-1, 1:-1] > 0
        here = amount[y0:y1, x0:x1]
        here[inside] = float(np.median(here[inside])) * texture[inside]
    return np.asarray(cv2.GaussianBlur(amount, (0, 0), 0.6), np.float32)


def _render(rng: Rng, amount: Field, stroma: Field, labels: Labels, spec: AugmentSpec) -> Field:
    """Return RGB (size, size, 3), 0 to 255: haematoxylin ``amount`` and eosin rendered with random stains."""
    size = len(amount)
    h = _vector(rng, (0.48, 0.78), (0.55, 0.80), (0.18, 0.50))
    e = _vector(rng, (0.02, 0.28), (0.75, 1.0), (0.08, 0.50))
    top = max(float(np.percentile(amount, 99)), 0.15)
    nuclear = amount / top * rng.uniform(0.55, 1.6)
    plasma = eosin(rng, size) * rng.uniform(0.2, 1.3) + stroma * rng.uniform(0, 2.0)
    plasma *= 1 - np.clip(nuclear * rng.uniform(0.3, 1.0), 0, 0.9)
    if rng.random() < 0.5:  # haze: haematoxylin that lies everywhere, or basophilic plasma
        nuclear = nuclear + np.maximum(smooth(rng, size, rng.uniform(4, 50)) * 0.06 + rng.uniform(0, 0.2), 0)
    if rng.random() < spec.dark_stroma:
        nuclear = nuclear + stroma * rng.uniform(0, 0.8)
    if rng.random() < spec.bands:  # dark like nuclei, but none: keratin, folds, smears
        nuclear = nuclear + bands(rng, size) * rng.uniform(0.15, 1.1) * (labels == 0)
    if rng.random() < spec.smudges:
        nuclear = nuclear + smudges(rng, size) * rng.uniform(0.15, 0.8) * (labels == 0)
    if rng.random() < spec.veil:  # what lies above and below the focus, and basophilic plasma around the nuclei
        veil = np.asarray(cv2.GaussianBlur(nuclear, (0, 0), rng.uniform(3, 12)), np.float64)
        nuclear = nuclear + veil * rng.uniform(0.1, 0.7)
    immune = rng.random() < spec.immune
    other = _immunostain(rng, nuclear, plasma, labels, h) if immune else plasma[..., None] * e
    density = nuclear[..., None] * h + other
    glass = rng.uniform(225, 255) * (1 + rng.normal(0, 0.012, 3))
    return np.asarray(np.minimum(glass, 255) * 10 ** (-density), np.float32)


def _immunostain(rng: Rng, nuclear: Image, plasma: Field, labels: Labels, h: Field) -> Field:
    """Return the density (size, size, 3) to add to haematoxylin alone: DAB in some nuclei, or around them."""
    brown = _vector(rng, (0.20, 0.40), (0.45, 0.65), (0.65, 0.90))
    if rng.random() < 0.5:
        positive = rng.random(int(labels.max()) + 1) < rng.uniform(0.1, 0.9)
        positive[0] = False
        stained = cv2.GaussianBlur(positive[labels].astype(np.float32), (0, 0), 0.7) * nuclear
        return np.asarray(stained[..., None] * (brown * rng.uniform(0.6, 1.4) - h * rng.uniform(0.5, 1.0)), np.float32)
    return np.asarray(plasma[..., None] * brown * rng.uniform(0.1, 1.5), np.float32)


def _flaked(rng: Rng, amount: Field, labels: Labels, spec: AugmentSpec) -> Field:
    """Return RGB as :func:`_render`, a part of it covered by keratin; the nuclei below lose their ``labels``."""
    size = len(amount)
    cover = np.clip((smooth(rng, size, rng.uniform(60, 200)) + rng.uniform(-0.8, 1.2)) * rng.uniform(3, 20), 0, 1)
    hidden = np.unique(labels[cover > 0.1])
    below = np.isin(labels, hidden)
    labels[below] = 0
    rgb = _render(rng, amount * ~below, np.zeros_like(amount), labels, spec)
    layers = (flakes(rng, size) * cover)[..., None]
    h = _vector(rng, (0.48, 0.78), (0.55, 0.80), (0.18, 0.50))
    e = _vector(rng, (0.02, 0.28), (0.75, 1.0), (0.08, 0.50))
    density = layers * (h * rng.uniform(0.0, 1.1) + e * rng.uniform(0.2, 1.6))
    return np.asarray(rgb * 10 ** (-density), np.float32)


def _vector(rng: Rng, *spans: tuple[float, float]) -> Field:
    vector = np.array([rng.uniform(*span) for span in spans], np.float32)
    return np.asarray(vector / np.linalg.norm(vector), np.float32)


def _photograph(rng: Rng, rgb: Field) -> Rgb:
    """Return ``rgb`` as a scanner might give it: brightness, contrast, gamma, focus, noise, compression."""
    if rng.random() < 0.7:
        tone = (rgb - 128) * rng.uniform(0.8, 1.2) + 128 + rng.uniform(-15, 15)
        rgb = np.asarray(255 * np.clip(tone / 255, 0, 1) ** rng.uniform(0.8, 1.25), np.float32)
    kind = rng.random()
    if kind < 0.35:
        rgb = np.asarray(cv2.GaussianBlur(rgb, (0, 0), rng.uniform(0.3, 1.5)), np.float32)
    elif kind < 0.55:
        rgb = np.asarray(rgb + (rgb - cv2.GaussianBlur(rgb, (0, 0), 1.2)) * rng.uniform(0.2, 1.5), np.float32)
    if rng.random() < 0.6:
        rgb = rgb + rng.standard_normal(rgb.shape, np.float32) * rng.uniform(1, 8)
    image = np.clip(rgb, 0, 255).astype(np.uint8)
    if rng.random() < 0.6:
        quality = int(rng.integers(35, 96))
        encoded = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
        image = np.asarray(cv2.imdecode(encoded, cv2.IMREAD_COLOR), np.uint8)
    return image
