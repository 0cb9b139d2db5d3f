"""Drawing one block: maps, fibres, cytoplasm, nuclei, light."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from pathopipe.geometry import Box
from pathopipe.synth.anatomy import Anatomy, Window, anatomy, coarse_px
from pathopipe.synth.lattice import Floats
from pathopipe.synth.nuclei import Nuclei, nuclei_in
from pathopipe.synth.shapes import PATCH_PX, UNIT_PX, bank_of
from pathopipe.synth.spec import BLOCK_PX, SynthSpec
from pathopipe.synth.stain import photograph, stain_of

PAD_PX = 8
"""Context of a block in level-0 pixels, for the blur; a whole number of map pixels."""


@dataclass(frozen=True)
class Block:
    """A drawn square of ``BLOCK_PX``."""

    box: Box
    rgb: NDArray[np.uint8]
    """(BLOCK_PX, BLOCK_PX, 3)."""
    labels: NDArray[np.int32]
    """(BLOCK_PX, BLOCK_PX) 0, or 1 + the place in ``nuclei``."""
    nuclei: Nuclei | None
    """Those that reach into the block and some more around it; None on glass."""
    tissue: NDArray[np.bool_]
    """Where tissue is, one value per map pixel (``anatomy.coarse_px``)."""

    def own_nuclei(self) -> Nuclei | None:
        """Return the nuclei whose middle lies in the block: every nucleus of a slide belongs to one block."""
        if self.nuclei is None:
            return None
        x, y, box = self.nuclei.x, self.nuclei.y, self.box
        return self.nuclei.take((x >= box.x0) & (x < box.x1) & (y >= box.y0) & (y < box.y1))


def draw_block(spec: SynthSpec, row: int, col: int) -> Block:
    """Draw the block at ``row``, ``col`` of the grid of ``BLOCK_PX`` squares; may reach beyond the slide."""
    box = Box(col * BLOCK_PX, row * BLOCK_PX, (col + 1) * BLOCK_PX, (row + 1) * BLOCK_PX)
    window = Window.around(box, spec)
    maps = anatomy(window, spec)
    if maps is None:
        side = BLOCK_PX // coarse_px(spec)
        blank = np.empty((BLOCK_PX, BLOCK_PX, 3), np.uint8)
        blank[:] = stain_of(spec).glass
        empty = np.zeros((BLOCK_PX, BLOCK_PX), np.int32)
        return Block(box, blank, empty, None, np.zeros((side, side), bool))
    sheet = _Sheet(spec, box, window)
    dyes, cover = _background(sheet, maps, spec)
    nuclei = nuclei_in(window, maps, spec)
    labels = _stamp(dyes, nuclei, sheet.padded, spec)
    rgb = photograph(dyes, cover, stain_of(spec), spec.mpp, PAD_PX)
    inner = slice(PAD_PX, -PAD_PX)
    return Block(box, rgb, np.ascontiguousarray(labels[inner, inner]), nuclei, sheet.core(maps.tissue) > 0.5)


class _Sheet:
    """Brings maps to the block's pixels."""

    def __init__(self, spec: SynthSpec, box: Box, window: Window) -> None:
        self.step = coarse_px(spec)
        self.padded = box.grown(PAD_PX)
        self._x = box.x0 // self.step - window.i0
        self._y = box.y0 // self.step - window.j0

    def core(self, field: Floats) -> Floats:
        """Return the part of ``field`` that the block covers, at the map's resolution."""
        side = BLOCK_PX // self.step
        return field[self._y : self._y + side, self._x : self._x + side]

    def fine(self, field: NDArray[np.floating]) -> Floats:
        """Return ``field`` on every pixel of ``padded``, interpolated between the map's."""
        pad, spare = PAD_PX // self.step, 2
        side = BLOCK_PX // self.step + 2 * (pad + spare)
        top, left = self._y - pad - spare, self._x - pad - spare
        part = np.ascontiguousarray(field[top : top + side, left : left + side], np.float32)
        fine = cv2.resize(part, None, fx=self.step, fy=self.step, interpolation=cv2.INTER_LINEAR)
        inner = slice(spare * self.step, -spare * self.step)
        return np.ascontiguousarray(fine[inner, inner])


@dataclass(frozen=True)
class _Textures:
    """Periodic noise that every block shares, so that it is made once."""

    fibres: Floats
    """(512, 1024) fibre strength over (along, across); 3 µm and 0.4 µm a pixel."""
    grain: Floats
    """(BLOCK_PX + 2 PAD_PX,) squared, standard deviation 1: fine grain, of period BLOCK_PX."""
    clumps: Floats
    """The same, coarser."""


FIBRE_U_UM, FIBRE_V_UM = 0.4, 3.0


def _periodic(
    random: np.random.Generator, shape: tuple[int, int], sigma_y: float, sigma_x: float
) -> NDArray[np.float64]:
    """Return Gaussian noise of period ``shape``, smoothed, with mean 0 and standard deviation 1."""
    fy = np.fft.fftfreq(shape[0])[:, None]
    fx = np.fft.rfftfreq(shape[1])[None, :]
    keep = np.exp(-2 * np.pi**2 * ((fy * sigma_y) ** 2 + (fx * sigma_x) ** 2))
    noise = np.fft.irfft2(np.fft.rfft2(random.standard_normal(shape)) * keep, s=shape)
    noise -= noise.mean()
    return np.asarray(noise / noise.std())


@lru_cache(maxsize=2)
def _textures(seed: int) -> _Textures:
    random = np.random.Generator(np.random.Philox(key=[seed, 4]))
    shape = (512, 1024)
    bundle = _periodic(random, shape, 14, 12)
    strand = _periodic(random, shape, 9, 4)
    thread = _periodic(random, shape, 5, 1.6)
    fibres = 0.62 + 0.34 * bundle + 0.30 * strand + 0.16 * thread
    gaps = np.clip((bundle + 0.8 * strand + 1.55) / 0.5, 0.08, 1)
    fibres = np.clip(fibres, 0.12, 1.6) * gaps
    square = (BLOCK_PX, BLOCK_PX)
    grain, clumps = (np.pad(_periodic(random, square, s, s), PAD_PX, mode="wrap") for s in (0.9, 2.6))
    return _Textures(*(texture.astype(np.float32) for texture in (fibres, grain, clumps)))


def _background(sheet: _Sheet, maps: Anatomy, spec: SynthSpec) -> tuple[Floats, Floats]:
    """Return the dyes (h, w, 2) without nuclei, and the tissue's cover, on the padded block."""
    textures = _textures(spec.seed)
    tone = 1 + 0.22 * maps.tone
    height = np.clip(maps.basal / 25, 0, 1)
    eosin = 0.40 * maps.epithelium * (0.85 + 0.3 * maps.cell_tone) + maps.gland * (0.34 + 0.16 * height)
    blue = maps.epithelium * (0.13 + 0.10 * maps.cell_tone) + maps.gland * (0.20 - 0.12 * height)
    stroma = maps.stroma
    side = sheet.padded.width
    dyes = np.empty((side, side, 2), np.float32)
    fibre = sheet.fine(stroma * tone) * _fibres(sheet, maps, textures)
    pale = sheet.fine(1 - 0.45 * maps.rim * (1 - maps.fat))
    inner = sheet.fine(eosin * tone) * pale
    mottle = 1 + 0.10 * textures.grain + 0.10 * textures.clumps
    cover = sheet.fine(maps.tissue)
    walls = sheet.fine(0.5 * maps.rim * (maps.fat > 0) + 0.015 * maps.lumen)
    dyes[..., 1] = (0.62 * fibre + inner + walls * cover) * mottle
    dyes[..., 0] = (0.07 * fibre + sheet.fine(blue * tone) * pale) * (1 + 0.16 * textures.clumps)
    np.maximum(dyes, 0, out=dyes)
    return dyes, cover


def _fibres(sheet: _Sheet, maps: Anatomy, textures: _Textures) -> Floats:
    """Return the strength of the collagen fibres on the padded block."""
    rows, cols = textures.fibres.shape
    u, v = maps.fibre_u / FIBRE_U_UM, maps.fibre_v / FIBRE_V_UM
    # Whole periods off, so that float32 keeps its precision far from the origin.
    u, v = u - np.floor(u.min() / cols) * cols, v - np.floor(v.min() / rows) * rows
    return np.asarray(
        cv2.remap(textures.fibres, sheet.fine(u), sheet.fine(v), cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP)
    )


def _stamp(dyes: Floats, nuclei: Nuclei, padded: Box, spec: SynthSpec) -> NDArray[np.int32]:
    """Put the nuclei into ``dyes`` (changed in place) and return the labels of the padded block."""
    bank, textures = bank_of(spec.seed), _textures(spec.seed)
    side = padded.width
    cover = np.zeros((side, side), np.float32)
    dark = np.zeros_like(cover)
    labels = np.zeros((side, side), np.int32)
    corners = nuclei.vertices(spec.seed) - (padded.x0, padded.y0)
    low = np.maximum(np.floor(corners.min(axis=1)).astype(int) - 2, 0)
    high = np.minimum(np.ceil(corners.max(axis=1)).astype(int) + 2, side)
    maps = _patch_maps(nuclei, padded, low)
    for index in np.flatnonzero((low < high).all(axis=1)):
        (left, top), (right, bottom) = low[index], high[index]
        patch = cv2.warpAffine(
            bank.patches[nuclei.shape[index]],
            maps[index],
            (int(right - left), int(bottom - top)),
            flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        )
        here = (slice(top, bottom), slice(left, right))
        np.maximum(cover[here], patch[..., 0], out=cover[here])
        np.maximum(dark[here], patch[..., 1] * nuclei.dark[index], out=dark[here])
        labels[here][patch[..., 0] > 0.5] = index + 1
    dyes[..., 0] = dyes[..., 0] * (1 - cover) + dark * (1 + 0.13 * textures.grain)
    dyes[..., 1] *= 1 - 0.55 * cover
    return labels


def _patch_maps(nuclei: Nuclei, padded: Box, low: NDArray[np.integer]) -> NDArray[np.float64]:
    """Return for every nucleus the affine map (2, 3) from pixels of its stamp to pixels of its patch."""
    cos, sin = np.cos(nuclei.angle), np.sin(nuclei.angle)
    linear = np.empty((len(nuclei), 2, 2))
    linear[:, 0, 0], linear[:, 0, 1] = cos / nuclei.long, sin / nuclei.long
    linear[:, 1, 0], linear[:, 1, 1] = -sin / nuclei.short, cos / nuclei.short
    linear *= UNIT_PX
    # cv2 counts from pixel middles: pixel k of the stamp is at low + k + 0.5 in the block.
    from_middle = low + 0.5 + (padded.x0, padded.y0) - np.stack([nuclei.x, nuclei.y], axis=1)
    shift = (linear @ from_middle[:, :, None])[..., 0] + PATCH_PX / 2 - 0.5
    return np.concatenate([linear, shift[:, :, None]], axis=2)
