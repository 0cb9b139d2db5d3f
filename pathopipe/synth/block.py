"""Drawing one block: maps, fibres, cytoplasm, nuclei, light."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from pathopipe.geometry import Box
from pathopipe.synth.anatomy import Anatomy, Window, anatomy, coarse_px
from pathopipe.synth.defects import spoil
from pathopipe.synth.lattice import Floats
from pathopipe.synth.nuclei import Nuclei, nuclei_in
from pathopipe.synth.shapes import PATCH_PX, UNIT_PX, bank_of
from pathopipe.synth.spec import BLOCK_PX, SynthSpec
from pathopipe.synth.stain import photograph, stain_of
from pathopipe.synth.texture import FIBRE_U_UM, FIBRE_V_UM, PAD_PX, Textures, textures_of


@dataclass(frozen=True)
class Block:
    """A drawn square of ``BLOCK_PX``."""

    box: Box
    rgb: NDArray[np.uint8]
    """(BLOCK_PX, BLOCK_PX, 3)."""
    labels: NDArray[np.int32]
    """(BLOCK_PX, BLOCK_PX) 0, or 1 + the place in ``nuclei``."""
    tissue: NDArray[np.bool_]
    """Where tissue is, one value per map pixel (``anatomy.coarse_px``)."""
    nuclei: Nuclei | None = None
    """Those that reach into the block and some more around it; None on glass without defects."""

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
        glass, labels, tissue = _glass(spec)
        spoilt = spoil(glass, box, spec)
        if spoilt is None:
            return Block(box, glass, labels, tissue)
        return Block(box, spoilt, labels, tissue, Nuclei.none())
    sheet = _Sheet(spec, box, window)
    haematoxylin, eosin, cover = _background(sheet, maps, spec)
    nuclei = nuclei_in(window, maps, spec)
    labels = _stamp(haematoxylin, eosin, nuclei, sheet.padded, spec)
    rgb = photograph(haematoxylin, eosin, cover, stain_of(spec), spec.mpp, PAD_PX)
    spoilt = spoil(rgb, box, spec)
    inner = slice(PAD_PX, -PAD_PX)
    return Block(
        box,
        rgb if spoilt is None else spoilt,
        np.ascontiguousarray(labels[inner, inner]),
        sheet.core(maps.tissue) > 0.5,
        nuclei,
    )


@lru_cache(maxsize=2)
def _glass(spec: SynthSpec) -> tuple[NDArray[np.uint8], NDArray[np.int32], NDArray[np.bool_]]:
    """Return pixels, labels and tissue of an empty block; nobody writes to them."""
    side = BLOCK_PX // coarse_px(spec)
    rgb = np.empty((BLOCK_PX, BLOCK_PX, 3), np.uint8)
    rgb[:] = stain_of(spec).glass
    arrays = rgb, np.zeros((BLOCK_PX, BLOCK_PX), np.int32), np.zeros((side, side), bool)
    for array in arrays:
        array.flags.writeable = False
    return arrays


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


def _background(sheet: _Sheet, maps: Anatomy, spec: SynthSpec) -> tuple[Floats, Floats, Floats]:
    """Return haematoxylin and eosin without nuclei, and the tissue's cover, on the padded block."""
    textures = textures_of(spec.seed)
    tone = 1 + 0.25 * maps.tone
    high = np.clip(maps.basal / 25, 0, 1)
    cells = maps.epithelium * (0.50 + 0.16 * maps.cell_tone) + maps.gland * (0.42 + 0.14 * high)
    blue = maps.epithelium * (0.11 + 0.10 * maps.cell_tone) + maps.gland * (0.19 - 0.12 * high)
    pale = (1 - 0.38 * maps.rim * (1 - maps.fat)) * tone
    stroma = sheet.fine(maps.stroma * tone)
    fibre = _fibres(sheet, maps, textures, stroma) if maps.stroma.max() > 0 else stroma
    cover = sheet.fine(maps.tissue)
    clumps = textures.clumps
    eosin = sheet.fine(cells * pale + (0.5 * maps.rim * (maps.fat > 0) + 0.015 * maps.lumen) * maps.tissue)
    eosin += 0.66 * fibre
    eosin *= 1 + 0.10 * textures.grain + 0.12 * clumps
    haematoxylin = sheet.fine(blue * pale)
    haematoxylin += 0.08 * fibre
    haematoxylin *= 1 + 0.16 * clumps
    np.maximum(eosin, 0, out=eosin)
    np.maximum(haematoxylin, 0, out=haematoxylin)
    return haematoxylin, eosin, cover


def _fibres(sheet: _Sheet, maps: Anatomy, textures: Textures, stroma: Floats) -> Floats:
    """Return the collagen of the padded block: fibres, more or less dense."""
    rows, cols = textures.fibres.shape
    u, v = maps.fibre_u / FIBRE_U_UM, maps.fibre_v / FIBRE_V_UM
    # Whole periods off, so that float32 keeps its precision far from the origin.
    u, v = u - np.floor(u.min() / cols) * cols, v - np.floor(v.min() / rows) * rows
    across, along = sheet.fine(u), sheet.fine(v)
    fibres = cv2.remap(textures.fibres, across, along, cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP)
    strength = sheet.fine(maps.loose)
    strength *= fibres - np.float32(0.66)
    strength += np.float32(0.66)
    strength *= stroma
    return strength


def _stamp(haematoxylin: Floats, eosin: Floats, nuclei: Nuclei, padded: Box, spec: SynthSpec) -> NDArray[np.int32]:
    """Put the nuclei into the dyes (changed in place) and return the labels of the padded block."""
    bank, side = bank_of(spec.seed), padded.width
    cover = np.zeros((side, side), np.float32)
    dark = np.zeros((side, side), np.float32)
    labels = np.zeros((side, side), np.int32)
    corners = nuclei.vertices(spec.seed) - (padded.x0, padded.y0)
    low = np.maximum(np.floor(corners.min(axis=1)).astype(int) - 2, 0)
    high = np.minimum(np.ceil(corners.max(axis=1)).astype(int) + 2, side)
    maps = _patch_maps(nuclei, padded, low)
    for index in np.flatnonzero((low < high).all(axis=1)):
        (left, top), (right, bottom) = low[index].tolist(), high[index].tolist()
        patch = cv2.warpAffine(
            bank.patches[nuclei.shape[index]],
            maps[index],
            (right - left, bottom - top),
            flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        )
        shape = patch[..., 0]
        here = (slice(top, bottom), slice(left, right))
        np.maximum(cover[here], shape, out=cover[here])
        np.maximum(dark[here], patch[..., 1] * nuclei.dark[index], out=dark[here])
        np.copyto(labels[here], index + 1, where=shape > 0.5)
    dark *= 1 + 0.13 * textures_of(spec.seed).grain
    haematoxylin *= 1 - cover
    haematoxylin += dark
    eosin *= 1 - 0.45 * cover
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
