import numpy as np
import pytest
import torch

from radiomics_npc.errors import ConfigError
from radiomics_npc.segmentation.deu import DEU, remove_single_slices
from radiomics_npc.segmentation.networks import build_network, parameter_count

SMALL = {"widths": (8, 8, 16, 16), "growth": 8, "layers": 2}


def slabs(b=1, h=32, w=48, seed=0):
    return torch.randn(b, 3, 5, h, w, generator=torch.Generator().manual_seed(seed)), torch.ones(b, 3)


@pytest.mark.parametrize("inputs", [(0,), (1,), (0, 1), (0, 1, 2)])
@pytest.mark.parametrize(("h", "w"), [(32, 48), (30, 41)])
def test_maps_of_the_slice_for_one_to_three_sequences(inputs, h, w):
    logits = DEU(inputs=inputs, **SMALL)(*slabs(2, h, w))
    assert logits.shape == (2, 2, h, w)
    assert torch.isfinite(logits).all()


@pytest.mark.parametrize("normalization", ["minmax", "zscore"])
def test_reads_the_center_slice_of_its_sequences_alone(normalization):
    images, present = slabs()
    images.requires_grad_()
    DEU(inputs=(0, 2), normalization=normalization, **SMALL)(images, present)[:, 0].square().sum().backward()
    seen = images.grad.abs().sum((0, 3, 4)) > 0
    expected = torch.zeros(3, 5, dtype=torch.bool)
    expected[[0, 2], 2] = True
    assert torch.equal(seen, expected)


def test_minmax_makes_scale_and_offset_of_an_image_irrelevant():
    images, present = slabs()
    scaled = images * torch.tensor([2.0, 0.5, 3.0])[None, :, None, None, None] + 7
    network = DEU(**SMALL)
    torch.testing.assert_close(network(scaled, present), network(images, present), rtol=1e-3, atol=1e-3)
    plain = DEU(normalization="zscore", **SMALL)
    assert not torch.allclose(plain(scaled, present), plain(images, present), rtol=1e-3, atol=1e-3)


def test_a_constant_image_is_no_division_by_zero():
    assert torch.isfinite(DEU(**SMALL)(torch.ones(1, 3, 5, 32, 32), torch.ones(1, 3))).all()


def test_paths_of_the_sequences_are_independent_until_the_dense_block():
    one, two = DEU(inputs=(0,)), DEU(inputs=(0, 1))
    assert len(two.paths) == 2
    assert parameter_count(two.paths[0]) == parameter_count(two.paths[1]) == parameter_count(one.paths)
    assert not torch.equal(two.paths[0].halving.weight, two.paths[1].halving.weight)


def test_built_as_the_paper_counts_its_blocks():
    network = DEU()
    modules = list(network.modules())
    groups = {module.num_groups for module in modules if isinstance(module, torch.nn.GroupNorm)}
    slopes = {module.negative_slope for module in modules if isinstance(module, torch.nn.LeakyReLU)}
    halvings = [m for m in modules if isinstance(m, torch.nn.Conv2d) and m.stride == (2, 2)]
    deconvolutions = [m for m in modules if isinstance(m, torch.nn.ConvTranspose2d)]
    assert (groups, slopes) == ({8}, {0.1})
    assert len(halvings) == 4  # one a path, two after the dense block
    assert len(deconvolutions) == 5
    assert len(network.dense.layers) == 4
    assert parameter_count(network) == 3_209_250


def test_built_again_from_its_own_description():
    network = DEU(inputs=(1,), **SMALL)
    again = build_network(network.architecture)
    again.load_state_dict(network.state_dict())
    torch.testing.assert_close(again(*slabs()), network(*slabs()), rtol=0, atol=0)


@pytest.mark.parametrize(
    "wrong",
    [
        {"inputs": ()}, {"inputs": (0, 0)}, {"inputs": (3,)}, {"widths": (8, 8, 8)},
        {"widths": (8, 8, 8, 12)},
        {"growth": 4}, {"layers": 0}, {"normalization": "none"},
    ],
)  # fmt: skip
def test_wrong_arguments_are_refused(wrong):
    with pytest.raises(ConfigError, match="DEU"):
        DEU(**wrong)


def test_components_of_one_slice_go_and_all_others_stay():
    mask = np.zeros((5, 8, 8), dtype=bool)
    mask[1:3, 1:3, 1:3] = True  # two slices
    mask[4, 6, 6] = True  # one
    mask[0, 7, 0] = mask[1, 6, 1] = True  # two that touch by a corner
    expected = mask.copy()
    expected[4] = False
    assert (remove_single_slices(mask) == expected).all()
    assert not remove_single_slices(np.zeros((3, 4, 4), dtype=bool)).any()
    assert not remove_single_slices(np.ones((1, 4, 4), dtype=bool)).any()
