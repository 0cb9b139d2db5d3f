"""A larger network that begins as a smaller one."""

from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pathopipe.models.card import read_model_file
from pathopipe.models.grown import can_grow, grown
from pathopipe.models.net_file import begun_from, told_of_start
from pathopipe.models.network import NetSpec, StarNet
from pathopipe.models.train.spec import TrainSpec
from pathopipe.models.train.write import write_model

SMALL = NetSpec(widths=(8, 8, 16), blocks=(1, 0, 1), head=8, rays=8)


def trained(spec: NetSpec) -> StarNet:
    """Return a network whose weights and normalisation are none of the values that they begin with."""
    torch.manual_seed(1)
    net = StarNet(spec)
    for _ in range(3):
        net(torch.randn(2, 3, 64, 64))
    for value in net.parameters():
        value.data.add_(torch.randn_like(value) * 0.05)
    return net.eval()


@settings(deadline=None, max_examples=15)
@given(
    widths=st.tuples(st.integers(8, 12), st.integers(8, 12), st.integers(16, 20)),
    blocks=st.tuples(st.integers(1, 2), st.integers(0, 2), st.integers(1, 3)),
    head=st.integers(8, 12),
    classes=st.sampled_from([1, 3]),
)
def test_it_says_what_the_smaller_one_says(
    widths: tuple[int, int, int], blocks: tuple[int, int, int], head: int, classes: int
) -> None:
    small = trained(SMALL.model_copy(update={"classes": classes}))
    spec = NetSpec(widths=widths, blocks=blocks, head=head, rays=8, classes=classes)
    assert can_grow(small.spec, spec)
    large = grown(small, spec).eval()
    image = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        torch.testing.assert_close(large(image), small(image), rtol=1e-4, atol=1e-4)


def test_what_is_new_can_learn() -> None:
    large = grown(trained(SMALL), NetSpec(widths=(8, 8, 20), blocks=(1, 0, 2), head=12, rays=8)).train()
    optimiser = torch.optim.SGD(large.parameters(), 0.1)
    before = {name: value.clone() for name, value in large.named_parameters()}
    for _ in range(2):  # with the first step the new block begins to count, with the second it learns
        optimiser.zero_grad()
        large(torch.randn(2, 3, 64, 64)).square().mean().backward()
        optimiser.step()
    still = [name for name, value in large.named_parameters() if torch.equal(value, before[name])]
    assert not still


@pytest.mark.parametrize(
    "other",
    [
        {"widths": (8, 8, 15)},
        {"blocks": (0, 0, 1)},
        {"head": 32, "rays": 16},
        {"head": 32, "classes": 2},
    ],
)
def test_what_does_not_fit_cannot_grow(other: dict[str, object]) -> None:
    assert not can_grow(SMALL, SMALL.model_copy(update=other))


def test_a_training_goes_on_with_a_larger_network_and_says_so(tmp_path: Path) -> None:
    first = TrainSpec(name="small", out=tmp_path / "small.safetensors", net=SMALL, drawn=1.0, iterations=1, batch=1)
    small = trained(SMALL)
    write_model(first, small, 1)
    larger = SMALL.model_copy(update={"head": 16})
    assert told_of_start(read_model_file(first.out), larger, ("Nucleus",)) == (
        "Started from small 1, made larger: all weights are kept."
    )
    image = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        torch.testing.assert_close(begun_from(first.out, larger).eval()(image), small(image), rtol=1e-4, atol=1e-4)
