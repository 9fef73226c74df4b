import pytest
import torch

from radiomics_npc.segmentation.losses import NODE_WEIGHT, dice_losses, segmentation_loss


def random_batch(b=4, seed=0):
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(b, 2, 6, 7, generator=generator)
    target = (torch.rand(b, 2, 6, 7, generator=generator) < 0.3).float()
    return logits, target, torch.ones(b, 2)


def test_closed_form_of_one_pixel_in_four():
    logits = torch.zeros(1, 2, 2, 2)  # probability one half everywhere
    target = torch.zeros(1, 2, 2, 2)
    target[0, 0, 0, 0] = 1.0
    parts = segmentation_loss(logits, target, torch.ones(1, 2))
    # primary: shared 0.5, both 2 + 1; nodes: shared 0, both 2 + 0
    dice = torch.tensor([1 - 2 / 4, 1 - 1 / 3])
    log_two = torch.log(torch.tensor(2.0))
    torch.testing.assert_close(parts.dice, dice)
    torch.testing.assert_close(parts.cross_entropy, log_two.repeat(2))
    torch.testing.assert_close(parts.total, dice[0] + log_two + NODE_WEIGHT * (dice[1] + log_two))
    torch.testing.assert_close(
        segmentation_loss(logits, target, torch.ones(1, 2), loss="dice").total,
        dice[0] + NODE_WEIGHT * dice[1],
    )


def test_dice_is_of_the_batch_not_the_mean_of_slabs():
    target = torch.zeros(2, 1, 4, 4)
    target[0] = 1.0
    probability = target.clone()
    probability[1, 0, 0, 0] = 1.0  # one false pixel in the empty slab
    loss = dice_losses(probability, target, torch.ones(2, 1))
    torch.testing.assert_close(loss, torch.tensor([1 - (2 * 16 + 1) / (16 + 17 + 1)]))
    assert loss.item() < 0.04  # the mean over slabs would be about a quarter


def test_what_is_not_known_adds_nothing_and_has_no_gradient():
    logits, target, known = random_batch()
    known[1, 0] = known[:, 1] = 0.0
    logits.requires_grad_()
    parts = segmentation_loss(logits, target, known)
    parts.total.backward()
    assert (logits.grad[:, 1] == 0).all()
    assert (logits.grad[1] == 0).all()
    assert (logits.grad[0, 0] != 0).all()
    changed = target.clone()
    changed[1, 0] = 1 - changed[1, 0]
    changed[:, 1] = 1 - changed[:, 1]
    torch.testing.assert_close(segmentation_loss(logits, changed, known).total, parts.total)
    kept = [0, 2, 3]
    without = segmentation_loss(logits[kept], target[kept], known[kept])
    torch.testing.assert_close(without.total, parts.total)


def test_gradient_lowers_the_loss_also_of_an_empty_batch():
    logits = torch.zeros(1, 2, 8, 8, requires_grad=True)
    empty = torch.zeros(1, 2, 8, 8)
    for loss in ("dice", "dice_bce"):
        (gradient,) = torch.autograd.grad(
            segmentation_loss(logits, empty, torch.ones(1, 2), loss=loss).total, logits
        )
        assert (gradient > 0).all()  # less probability everywhere


def test_half_precision_logits_are_summed_in_full_precision():
    logits, target, known = random_batch(b=64)
    full = segmentation_loss(logits.bfloat16().float(), target, known).total
    half = segmentation_loss(logits.bfloat16(), target, known).total
    assert half.dtype == torch.float32
    torch.testing.assert_close(half, full, rtol=0, atol=0)


@pytest.mark.parametrize("loss", ["dice", "dice_bce"])
def test_order_of_slabs_does_not_matter(loss):
    logits, target, known = random_batch()
    order = [2, 0, 3, 1]
    torch.testing.assert_close(
        segmentation_loss(logits, target, known, loss=loss).total,
        segmentation_loss(logits[order], target[order], known[order], loss=loss).total,
    )
