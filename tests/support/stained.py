"""Draws what a slide looks like from afar: stained pieces with texture on glass. Level 0 is at 8 µm per pixel."""

from __future__ import annotations

import cv2
import numpy as np

HE = (205, 140, 180)
PALE_HE = (236, 218, 229)
HAEMATOXYLIN = (222, 226, 236)
DAB = (150, 105, 70)
WHITE = (243, 243, 243)
GREY = (205, 206, 206)
YELLOW = (228, 222, 204)


def glass(height=300, width=400, colour=WHITE, noise=0.8, seed=0):
    rng = np.random.default_rng(seed)
    picture = np.asarray(colour, float) + rng.normal(0, noise, (height, width, 3))
    return np.clip(np.round(picture), 0, 255).astype(np.uint8)


def piece(height, width, centre, axes, angle=20.0):
    """Return (height, width) where a piece of tissue with a wavy outline is."""
    mask = np.zeros((height, width), np.uint8)
    cv2.ellipse(mask, centre, axes, angle, 0, 360, 1, -1)
    return mask.astype(bool)


def stained(picture, where, colour, on=WHITE, texture=0.2, seed=1):
    """Return ``picture`` with ``where`` stained: ``colour`` as it would be on ``on`` glass, uneven by ``texture``."""
    rng = np.random.default_rng(seed)
    amount = 1 + texture * cv2.GaussianBlur(rng.normal(0, 2, where.shape), (0, 0), 0.7)
    density = np.log(np.asarray(on) / np.asarray(colour, float))
    seen = picture * np.exp(-amount[..., None].clip(0) * density)
    return np.where(where[..., None], np.clip(np.round(seen), 0, 255), picture).astype(np.uint8)
