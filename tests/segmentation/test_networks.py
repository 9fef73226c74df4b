import pytest
import torch

from radiomics_npc.errors import ConfigError
from radiomics_npc.segmentation.networks import (
    SlabUNet,
    build_network,
    pad_to_multiple,
    parameter_count,
)


def network(seed=0, **arguments):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return SlabUNet(**{"widths": (8, 16, 16), **arguments})


def slabs(b=2, s=3, k=5, h=32, w=32, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(b, s, k, h, w, generator=generator), torch.ones(b, s)


@pytest.mark.parametrize(("h", "w"), [(32, 32), (33, 47), (8, 100), (1, 1)])
@pytest.mark.parametrize("fold", [1, 2])
def test_logits_have_the_size_of_the_slice(h, w, fold):
    logits = network(fold=fold)(*slabs(h=h, w=w))
    assert logits.shape == (2, 2, h, w)
    assert torch.isfinite(logits).all()


@pytest.mark.parametrize(("sequences", "neighbors"), [(1, 1), (2, 3), (3, 7)])
def test_any_number_of_sequences_and_neighbors(sequences, neighbors):
    net = network(sequences=sequences, neighbors=neighbors)
    assert net(*slabs(s=sequences, k=neighbors)).shape == (2, 2, 32, 32)


def test_default_has_the_stated_number_of_parameters():
    assert parameter_count(SlabUNet()) == 1_385_090


def test_slabs_of_a_batch_do_not_see_each_other():
    net, (images, present) = network(), slabs(b=3)
    together = net(images, present)
    alone = torch.cat([net(images[i : i + 1], present[i : i + 1]) for i in range(3)])
    torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-4)


def test_presence_and_every_neighbor_and_sequence_reach_the_output():
    net, (images, present) = network(), slabs(b=1)
    images.requires_grad_()
    reference = net(images, present)
    reference[:, 0].square().sum().backward()
    assert (images.grad.abs().sum((0, 3, 4)) > 0).all()
    other = net(images, torch.tensor([[1.0, 0.0, 1.0]]))
    assert not torch.allclose(reference, other)


def test_both_labels_are_drawn_by_weights_of_their_own():
    logits = network()(*slabs())
    assert not torch.allclose(logits[:, 0], logits[:, 1])


def test_padding_repeats_the_border_and_keeps_the_rest():
    image = torch.arange(6.0).reshape(1, 1, 2, 3)
    padded = pad_to_multiple(image, 4)
    assert padded.shape == (1, 1, 8, 8)
    torch.testing.assert_close(padded[..., :2, :3], image)
    assert (padded[..., 1:, 2:] == 5).all()
    assert pad_to_multiple(torch.zeros(1, 1, 8, 8), 4).shape == (1, 1, 8, 8)


def test_built_again_from_its_own_description():
    net = network(sequences=2, fold=1)
    again = build_network(net.architecture)
    assert again.architecture == net.architecture
    again.load_state_dict(net.state_dict())
    images, present = slabs(s=2)
    torch.testing.assert_close(again(images, present), net(images, present), rtol=0, atol=0)


def test_every_parameter_gets_a_gradient():
    net = network()
    net(*slabs()).square().mean().backward()
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in net.parameters())


@pytest.mark.parametrize(
    ("architecture", "says"),
    [
        ({"name": "resnet"}, "no network resnet"),
        ({"name": "slab_unet", "width": [8, 8]}, "unexpected keyword argument 'width'"),
        ({"name": "slab_unet", "widths": [8]}, "two or more widths"),
        ({"name": "slab_unet", "fold": 3}, "fold of 1 or 2"),
    ],
)
def test_a_wrong_description_is_a_config_error(architecture, says):
    with pytest.raises(ConfigError, match=says):
        build_network(architecture)
