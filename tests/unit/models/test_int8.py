"""The network in 8-bit integers beside the same network in float32."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch

from pathopipe.errors import ConfigError
from pathopipe.models import precision
from pathopipe.models.base import ModelSpec
from pathopipe.models.inference import infer
from pathopipe.models.int8 import Int8Net
from pathopipe.models.load import load_predictor
from pathopipe.models.network import STRIDE, NetSpec, StarNet, folded, normalised, reach_px
from pathopipe.models.precision import takes_int8
from pathopipe.models.ranges import activation_tops

needs_int8 = pytest.mark.skipif(
    not takes_int8("auto", "auto", "cpu"), reason="this processor has no products of bytes that are summed in 32 bits"
)


def picture(height, width, seed=0):
    """Return dark blobs on pink, (height, width, 3) uint8."""
    rng = np.random.default_rng(seed)
    rows, cols = np.mgrid[:height, :width]
    dark = np.zeros((height, width))
    for _ in range(height * width // 800):
        y, x, radius = rng.uniform(0, height), rng.uniform(0, width), rng.uniform(4, 9)
        dark = np.maximum(dark, 1 / (1 + np.exp(np.hypot(rows - y, cols - x) - radius)))
    image = (1 - dark[..., None]) * (228, 180, 205) + dark[..., None] * (95, 60, 130)
    return np.clip(image + rng.normal(0, 4, image.shape), 0, 255).astype(np.uint8)


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def net():
    """Return a small network whose batch normalisation knows its activations, as after training."""
    torch.manual_seed(3)
    net = StarNet(NetSpec(widths=(16, 16, 32), head=16, rays=8, classes=3))
    for module in net.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(module.weight, 0.5, 1.5)
            torch.nn.init.uniform_(module.bias, -0.5, 0.5)
            module.momentum = None
    images = np.stack([picture(128, 128, seed) for seed in range(4)])
    with torch.no_grad():
        net(normalised(torch.from_numpy(images).permute(0, 3, 1, 2)))
    return net.eval().requires_grad_(False)


@needs_int8
@pytest.mark.parametrize("where", ["inside", "border"])
def test_maps_and_distances_are_those_of_float32_to_a_few_levels(net, where):
    image = picture(160, 192, 9)[np.newaxis]
    exact, bytes_ = (
        infer(folded(copy.deepcopy(net)), image, False)[0],
        infer(Int8Net(copy.deepcopy(net)), image, False)[0],
    )
    border = np.ones((80, 96), bool)
    border[4:-4, 4:-4] = False
    chosen = border if where == "border" else ~border
    assert bytes_.maps.shape == exact.maps.shape == (5, 80, 96)
    assert np.abs(bytes_.maps - exact.maps)[:, chosen].mean() < 0.006
    at = np.flatnonzero(chosen)
    spread = exact.distances(at).std()
    assert np.abs(bytes_.distances(at) - exact.distances(at)).mean() < 0.1 * spread


@needs_int8
def test_tiles_agree_at_their_seams(net):
    bytes_ = Int8Net(copy.deepcopy(net))
    halo = reach_px(net.spec) + -reach_px(net.spec) % STRIDE
    core = 64
    image = picture(core + 2 * halo, 2 * core + 2 * halo, 4)

    def features(part):
        with torch.inference_mode():
            return bytes_.features_of(torch.from_numpy(part[np.newaxis].copy()).permute(0, 3, 1, 2))[0].numpy()

    whole = features(image)
    for x in (0, core):
        tile = features(image[:, x : x + core + 2 * halo])
        inner, outer = slice(halo // 2, (halo + core) // 2), slice((x + halo) // 2, (x + halo + core) // 2)
        np.testing.assert_array_equal(tile[:, inner, inner], whole[:, inner, outer])


@needs_int8
def test_shipped_model_finds_the_same_nuclei_as_in_float32():
    image = picture(384, 384, 2)[np.newaxis]
    exact, bytes_ = (load_predictor(ModelSpec(device="cpu", int8=int8)).predict(image)[0] for int8 in ("off", "on"))
    assert len(exact) > 100
    gaps = np.hypot(*(exact.outlines.centroids()[:, None] - bytes_.outlines.centroids()[None]).transpose(2, 0, 1))
    assert (gaps.min(axis=1) < 1).mean() > 0.98
    assert (gaps.min(axis=0) < 1).mean() > 0.98


def test_hardly_any_activation_is_beyond_its_range(net):
    tops = activation_tops(net)
    with torch.inference_mode():
        plain = folded(copy.deepcopy(net))
        stem = plain.stem(normalised(torch.from_numpy(picture(128, 128, 7)[np.newaxis]).permute(0, 3, 1, 2))).relu()
        x2 = plain.at2(stem)
        features = plain.features_of(torch.from_numpy(picture(128, 128, 7)[np.newaxis]).permute(0, 3, 1, 2))
    for found, top in ((stem, tops.stem), (x2, tops.at2[-1][1]), (features, tops.up2)):
        assert (found > top).float().mean() < 0.001
        assert found.max() > 0.2 * top


def test_int8_only_where_a_cpu_has_it(monkeypatch):
    for flags, wanted, bf16, taken in [
        ({"avx512_vnni"}, "auto", "auto", True),
        ({"avx_vnni"}, "on", "off", True),
        ({"avx512_vnni", "avx512_bf16"}, "auto", "on", False),
        ({"amx_int8"}, "off", "auto", False),
        ({"avx512f"}, "auto", "auto", False),
    ]:
        monkeypatch.setattr(precision, "_cpu_flags", lambda flags=flags: frozenset(flags))
        assert takes_int8(wanted, bf16, "cpu") is taken
    with pytest.raises(ConfigError, match="this processor has no instructions"):
        takes_int8("on", "auto", "cpu")
    with pytest.raises(ConfigError, match="exclude each other"):
        takes_int8("on", "on", "cpu")
    assert not takes_int8("auto", "auto", "cuda")
    with pytest.raises(ConfigError, match="GPU"):
        takes_int8("on", "auto", "cuda")
