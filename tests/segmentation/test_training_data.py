"""Heads and cases as they lie on disk, and the slabs drawn from them."""

import json

import numpy as np
import pytest
import torch

from radiomics_npc.errors import ConfigError
from radiomics_npc.segmentation.slabs import NetworkGrid
from radiomics_npc.segmentation.training_data import CaseStore, HeadStore
from radiomics_npc.simulate.tissue import Tissue

GRID = NetworkGrid(window=64, neighbors=3)
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def heads(tmp_path_factory):
    """Three heads of a ball in a cylinder; the last has no tumor."""
    folder = tmp_path_factory.mktemp("heads")
    z, y, x = np.meshgrid(np.arange(50) * 1.4 - 35, np.arange(-50, 51), np.arange(-50, 51), indexing="ij")
    body = np.where(np.hypot(y, x) < 45, Tissue.MUSCLE, Tissue.AIR).astype(np.uint8)
    ball = z**2 + y**2 + x**2 < 14**2
    tissue = np.stack([np.where(ball, Tissue.TUMOR, body), np.where(ball, Tissue.TUMOR, body), body])
    target = np.stack([ball, ball, np.zeros_like(ball)]).astype(np.uint8)
    np.save(folder / "tissue.npy", tissue.astype(np.uint8))
    np.save(folder / "target.npy", target)
    about = {
        "spacing_mm": [1.4, 1.0, 1.0],
        "first_mm": [-35.0, -50.0, -50.0],
        "heads": [{"name": f"head-{i}", "t_stage": t} for i, t in enumerate(("T1", "T2", "none"))],
    }
    (folder / "heads.json").write_text(json.dumps(about))
    return folder


@pytest.fixture(scope="module")
def cases(tmp_path_factory):
    """One patient with T2 and CE-T1 alone, and no contour of nodes."""
    folder = tmp_path_factory.mktemp("cases")
    rng = np.random.default_rng(0)
    images = rng.uniform(100, 300, (3, 8, 96, 96)).astype(np.float16)
    images[0] = 0
    target = np.zeros((2, 8, 96, 96), dtype=np.uint8)
    target[0, 3:5, 40:56, 40:56] = 1
    images[1:, 3:5, 40:56, 40:56] = 900
    np.save(folder / "images-0.npy", images)
    np.save(folder / "target-0.npy", target)
    case = {"name": "0", "present": [0, 1, 1], "known": [1, 0], "spacing_mm": [5.5, 0.86, 0.86]}
    (folder / "cases.json").write_text(json.dumps({"cases": [case]}))
    return folder


def test_a_batch_of_heads(heads):
    batch = HeadStore(heads, GRID).draw(np.random.default_rng(0), 20, CPU)
    assert batch.images.shape == (20, 3, 3, 64, 64)
    assert batch.target.shape == (20, 2, 64, 64)
    assert set(batch.target.unique().tolist()) <= {0.0, 1.0}
    assert bool((batch.known == 1).all())
    absent = batch.present == 0
    assert bool(absent.any())
    assert float(batch.images[absent].abs().max()) == 0
    assert float(batch.images[~absent].abs().max()) > 0


def test_the_same_state_gives_the_same_batch(heads):
    store = HeadStore(heads, GRID)
    first, second, other = (store.draw(np.random.default_rng(s), 8, CPU) for s in (5, 5, 6))
    assert torch.equal(first.images, second.images)
    assert torch.equal(first.target, second.target)
    assert not torch.equal(first.images, other.images)


def test_slabs_through_the_tumor_are_six_in_ten(heads):
    store = HeadStore(heads, GRID).subset([0, 1])
    through = [
        (store.draw(np.random.default_rng(s), 8, CPU).target[:, 0].sum(dim=(1, 2)) > 0).float().mean()
        for s in range(20)
    ]
    assert float(np.mean(through)) == pytest.approx(0.6, abs=0.12)


def test_a_head_without_tumor_gives_empty_labels(heads):
    batch = HeadStore(heads, GRID).subset([2]).draw(np.random.default_rng(1), 8, CPU)
    assert float(batch.target.sum()) == 0


def test_a_quarter_of_the_heads_drawn_has_no_tumor(heads):
    store = HeadStore(heads, GRID)
    np.testing.assert_allclose(store.chances, [0.375, 0.375, 0.25], rtol=1e-15, atol=0)
    np.testing.assert_allclose(store.subset([2, 0]).chances, [0.25, 0.75], rtol=1e-15, atol=0)
    np.testing.assert_allclose(store.subset([0, 1]).chances, [0.5, 0.5], rtol=1e-15, atol=0)
    np.testing.assert_allclose(store.subset([2]).chances, [1.0], rtol=1e-15, atol=0)


def test_a_subset_knows_its_names(heads):
    store = HeadStore(heads, GRID)
    assert store.subset([2, 0]).names == ["head-2", "head-0"]
    assert store.subset([2, 0]).subset([1]).names == ["head-0"]


def test_the_tumor_is_brighter_where_it_was_drawn_so(cases):
    batch = CaseStore(cases, GRID).draw(np.random.default_rng(3), 16, CPU)
    assert bool((batch.present[:, 0] == 0).all())
    assert batch.known.tolist() == [[1.0, 0.0]] * 16
    inside = batch.target[:, 0] > 0
    assert int(inside.any(dim=2).any(dim=1).sum()) > 4
    for slab in range(16):
        if inside[slab].any():
            seen = int(batch.present[slab].argmax())
            middle = batch.images[slab, seen, 1]
            assert float(middle[inside[slab]].median()) > float(middle[~inside[slab]].median())


def test_a_whole_case_is_the_middle_window(cases):
    case = CaseStore(cases, GRID).case(0)
    assert case.images.shape == (3, 8, 64, 64)
    assert case.target.shape == (2, 8, 64, 64)
    assert int(case.target.sum()) == 2 * 16 * 16
    assert float(case.images[0].abs().max()) == 0
    assert case.spacing_mm == (5.5, 0.86, 0.86)


def test_a_folder_without_data_is_named_with_a_remedy(tmp_path):
    with pytest.raises(ConfigError, match=r"holds no readable heads\.json"):
        HeadStore(tmp_path)
    with pytest.raises(ConfigError, match=r"holds no readable cases\.json"):
        CaseStore(tmp_path)
    (tmp_path / "heads.json").write_text('{"heads": []}')
    with pytest.raises(ConfigError, match=r"holds no readable tissue\.npy"):
        HeadStore(tmp_path)


def test_easy_heads_have_every_sequence_and_other_images(heads):
    store = HeadStore(heads, GRID)
    easy, hard = (store.draw(np.random.default_rng(9), 24, CPU, ease=ease) for ease in (1.0, 0.0))
    assert bool((easy.present == 1).all())
    assert bool((hard.present == 0).any())
    assert not torch.equal(easy.images, hard.images)
