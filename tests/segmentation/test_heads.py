"""Heads for training: what is written, and that labels agree with tissues."""

import json

import numpy as np
import pytest

from radiomics_npc.errors import ConfigError
from radiomics_npc.segmentation.heads import SPACING_MM, draw_head, write_heads
from radiomics_npc.simulate.tissue import Tissue
from radiomics_npc.simulate.tumor import INNER


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_heads(tmp_path_factory.mktemp("heads"), heads=4, seed=3, jobs=1)


def test_arrays_and_description_agree(folder):
    description = json.loads((folder / "heads.json").read_text())
    tissue, target = (np.load(folder / f"{n}.npy", mmap_mode="r") for n in ("tissue", "target"))
    assert tissue.shape == target.shape == (4, 93, 181, 169)
    assert tissue.dtype == target.dtype == np.uint8
    assert description["spacing_mm"] == list(SPACING_MM)
    assert description["first_mm"] == [-60, -100, -84]
    assert description["simulated"] is True
    assert [row["name"] for row in description["heads"]] == [f"head-{i:05d}" for i in range(4)]
    for row, labels in zip(description["heads"], target, strict=True):
        volume = (labels == 1).sum() * np.prod(SPACING_MM) / 1000
        assert row["volume_cm3"] == pytest.approx(volume, abs=1e-4)
        assert (row["t_stage"] == "none") == (volume == 0)


def test_the_nasopharynx_lies_where_the_description_says(folder):
    tissue = np.load(folder / "tissue.npy", mmap_mode="r")
    z, y, x = (round(-low / step) for low, step in zip((-60, -100, -84), SPACING_MM, strict=True))
    near = tissue[:, z - 12 : z + 12, y - 15 : y + 15, x - 15 : x + 15]
    assert np.isin(near, [Tissue.AIR, Tissue.MUCOSA, Tissue.LYMPHOID, Tissue.TUMOR]).mean() > 0.3
    assert np.isin(tissue[:, 70:, 70:110, 60:110], [Tissue.GRAY, Tissue.WHITE, Tissue.CSF]).mean() > 0.5


def test_fewer_heads_are_the_first_of_many(folder, tmp_path):
    two = write_heads(tmp_path, heads=2, seed=3, jobs=2)
    for name in ("tissue.npy", "target.npy"):
        np.testing.assert_array_equal(np.load(two / name), np.load(folder / name)[:2])
    other = write_heads(tmp_path, heads=1, seed=4, jobs=1)
    assert (np.load(other / "tissue.npy")[0] != np.load(folder / "tissue.npy")[0]).any()


@pytest.mark.parametrize("seed", range(3))
def test_the_contour_is_the_inner_part_of_the_lesion(seed):
    tissue, target, row = draw_head(np.random.default_rng([seed, 7]))
    lesion = tissue == Tissue.TUMOR
    inside = target == 1
    assert np.isin(tissue[inside], [Tissue.TUMOR, Tissue.NECROSIS]).all()
    assert np.isin(tissue[target == 2], [Tissue.METASTASIS, Tissue.NECROSIS]).all()
    assert not np.isin(tissue[target == 0], Tissue.METASTASIS).any()
    if row["t_stage"] != "none":
        cores = (tissue == Tissue.NECROSIS) & (target != 2)
        assert (lesion | cores).sum() / inside.sum() == pytest.approx(INNER, rel=0.06)


def test_numbers_out_of_range_are_refused(tmp_path):
    with pytest.raises(ConfigError, match="heads must be at least 1"):
        write_heads(tmp_path, heads=0, seed=1)


def test_a_relative_folder_is_of_this_process_not_of_its_workers(tmp_path, monkeypatch):
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        monkeypatch.chdir(tmp_path / name)
        write_heads("out", heads=2, seed=1, jobs=2)
        assert (tmp_path / name / "out" / "heads.json").exists()
