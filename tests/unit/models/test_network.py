"""The network's receptive field, and that tiles agree at their seams."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from pathopipe.models.network import OUTPUT_STRIDE, STRIDE, NetSpec, StarNet, folded, normalised, reach_px

SMALL = NetSpec(widths=(8, 8, 8), head=8, rays=8)


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


def make(spec):
    torch.manual_seed(3)
    net = StarNet(spec)
    for module in net.modules():  # batch statistics as after training, not the identity
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(module.running_mean, -0.5, 0.5)
            torch.nn.init.uniform_(module.running_var, 0.5, 1.5)
    return net.eval()


def run(net, rgb):
    with torch.inference_mode():
        return net(normalised(torch.from_numpy(rgb.transpose(2, 0, 1).copy())[None]))[0].numpy()


def test_default_reaches_no_further_than_64_px():
    assert reach_px(NetSpec()) <= 64


@pytest.mark.parametrize("blocks", [(1, 1, 2), (1, 0, 1), (0, 2, 0)])
@pytest.mark.parametrize("phase", [0, 2, 4, 6])
def test_pixels_beyond_the_reach_do_not_matter_and_the_bound_is_tight(blocks, phase):
    spec = SMALL.model_copy(update={"blocks": blocks})
    net, reach, size = make(spec).double(), reach_px(spec), 320
    image = torch.rand(1, 3, size, size, dtype=torch.float64, requires_grad=True)
    centre = size // 2 + phase
    net(image)[0, :, centre // OUTPUT_STRIDE, centre // OUTPUT_STRIDE].sum().backward()
    rows, cols = np.nonzero(image.grad.abs().sum(dim=(0, 1)).numpy())
    own = (centre, centre + OUTPUT_STRIDE - 1)
    assert centre - reach <= min(rows.min(), cols.min())
    assert max(rows.max(), cols.max()) <= own[1] + reach


def test_the_reach_is_attained():
    spec, size = SMALL, 320
    net = make(spec).double()
    furthest = 0
    for phase in range(0, STRIDE, OUTPUT_STRIDE):
        image = torch.rand(1, 3, size, size, dtype=torch.float64, requires_grad=True)
        centre = size // 2 + phase
        net(image)[0, :, centre // OUTPUT_STRIDE, centre // OUTPUT_STRIDE].sum().backward()
        rows = np.nonzero(image.grad.abs().sum(dim=(0, 1, 3)).numpy())[0]
        furthest = max(furthest, centre - rows.min(), rows.max() - centre - OUTPUT_STRIDE + 1)
    assert furthest == reach_px(spec)


@pytest.mark.parametrize("core", [64, 104])
def test_cores_of_tiles_agree_with_the_whole_image(core):
    spec = SMALL
    net = folded(make(spec))
    halo = reach_px(spec) + -reach_px(spec) % STRIDE
    rng = np.random.default_rng(5)
    height, width = 2 * core, 3 * core
    image = rng.integers(0, 256, (height, width, 3), np.uint8)
    padded = np.pad(image, ((halo, halo + core), (halo, halo + core), (0, 0)), constant_values=255)
    whole = run(net, padded)
    for y in range(0, height, core):
        for x in range(0, width, core):
            tile = run(net, padded[y : y + core + 2 * halo, x : x + core + 2 * halo])
            inner = slice(halo // 2, (halo + core) // 2)
            expected = whole[:, (y + halo) // 2 : (y + halo + core) // 2, (x + halo) // 2 : (x + halo + core) // 2]
            np.testing.assert_allclose(tile[:, inner, inner], expected, atol=1e-5)


def test_folding_batch_normalisation_changes_nothing():
    rgb = np.random.default_rng(1).integers(0, 256, (64, 64, 3), np.uint8)
    np.testing.assert_allclose(run(make(SMALL), rgb), run(folded(make(SMALL)), rgb), atol=1e-4)
