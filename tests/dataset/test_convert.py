"""Conversions read back by other people's readers: nibabel, pynrrd, tifffile."""

import json
from pathlib import Path

import nibabel
import nrrd
import numpy as np
import pandas as pd
import pytest
import SimpleITK as sitk
import tifffile

from radiomics_npc.cohort.cases import Case, Cohort, ImageFiles
from radiomics_npc.cohort.reading import read_cohort
from radiomics_npc.dataset.convert import convert
from radiomics_npc.errors import CohortError, ConfigError
from radiomics_npc.imaging.checks import check_cohort
from radiomics_npc.imaging.reading import read_image, read_pair
from radiomics_npc.simulate.cohort import simulate_cohort
from radiomics_npc.storage import file_digest, read_table

TURNED = (1.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0, -1.0, 0.0)  # coronal


@pytest.fixture(scope="module")
def simulated(tmp_path_factory) -> Path:
    """Two simulated patients, DICOM and NIfTI masks in the published layout."""
    return simulate_cohort(
        tmp_path_factory.mktemp("convert") / "dicom", patients=2, seed=4, jobs=1, matrix=64
    )


def image_file(path: Path, array, spacing=(0.5, 0.5, 5.0), origin=(-8.0, -4.0, 30.0), direction=None) -> Path:
    image = sitk.GetImageFromArray(np.asarray(array))
    image.SetSpacing(spacing)
    image.SetOrigin(origin)
    if direction is not None:
        image.SetDirection(direction)
    path.parent.mkdir(parents=True, exist_ok=True)
    sitk.WriteImage(image, str(path))
    return path


def drawn(shape=(6, 40, 48)) -> tuple[np.ndarray, np.ndarray]:
    """An image, and a box drawn on it."""
    z, y, x = np.indices(shape)
    image = (200 + 3 * x + 2 * y + 10 * z).astype(np.int16)
    mask = np.zeros(shape, np.uint8)
    mask[2:5, 10:22, 14:30] = 1
    return image, mask


@pytest.fixture
def cohort(tmp_path):
    """One patient of one sequence, from arrays."""

    def make(image=None, mask=None, sequence="t1", patient="7", **geometry):
        image, mask = (
            drawn()[k] if given is None else np.asarray(given) for k, given in enumerate((image, mask))
        )
        folder = tmp_path / "source" / "files"
        files = ImageFiles(
            image_file(folder / f"{sequence}.nii.gz", image, **geometry),
            image_file(folder / f"{sequence}-mask.nii.gz", mask, **geometry),
        )
        return Cohort(cases=(Case(patient, {sequence: files}),), sequences=(sequence,))

    return make


def nibabel_to_lps(image) -> np.ndarray:
    return np.diag([-1.0, -1.0, 1.0, 1.0]) @ image.affine


# -- in step -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("to", ["nifti", "nrrd"])
def test_as_acquired_every_value_and_voxel_stays(simulated, tmp_path, to):
    made = convert(simulated, tmp_path / "out", to=to, jobs=1)
    assert made.failures.empty
    before = read_cohort(simulated)
    after = read_cohort({"layout": "manifest", "path": str(made.out / "manifest.csv"), "clinical": None})
    assert after.simulated
    assert after.patient_ids == before.patient_ids
    for old, new in zip(before.cases, after.cases, strict=True):
        for sequence in ("t1", "t2", "ce_t1"):
            a, b = read_pair(old.images[sequence]), read_pair(new.images[sequence])
            for was, now in zip(a, b, strict=True):
                np.testing.assert_array_equal(was.array, now.array)
                np.testing.assert_allclose(now.spacing_mm, was.spacing_mm, rtol=1e-6)
                np.testing.assert_allclose(now.origin_mm, was.origin_mm, atol=1e-4)
                np.testing.assert_allclose(now.direction, was.direction, atol=1e-6)
    assert check_cohort(after, jobs=1).ok


def test_a_smaller_matrix_read_by_nibabel(simulated, tmp_path):
    made = convert(simulated, tmp_path / "out", size=32, sequences=["t1", "t2"], jobs=1)
    for case in read_cohort(simulated).cases:
        for sequence, name in (("t1", "T1WI"), ("t2", "T2WI")):
            source, mask = read_pair(case.images[sequence])
            image = nibabel.load(made.out / case.patient_id / f"{name}.nii.gz")
            label = nibabel.load(made.out / case.patient_id / f"{name}_mask.nii.gz")
            assert image.shape == label.shape == (32, 32, len(source.array))
            assert (image.get_data_dtype(), label.get_data_dtype()) == (np.float32, np.uint8)
            np.testing.assert_array_equal(image.affine, label.affine)
            # 2 x 2 pixels become one, whose center is theirs
            expected = source.array.reshape(-1, 32, 2, 32, 2).mean(axis=(2, 4))
            np.testing.assert_allclose(image.get_fdata().T, expected, rtol=1e-6, atol=1e-3)
            lps = nibabel_to_lps(image)
            frame = np.array(source.direction).reshape(3, 3)
            wanted = np.array(source.origin_mm) + frame @ (np.array([0.5, 0.5, 0]) * source.spacing_mm)
            np.testing.assert_allclose(lps[:3, 3], wanted, atol=1e-3)
            np.testing.assert_allclose(
                np.linalg.norm(lps[:3, :3], axis=0), np.multiply(source.spacing_mm, [2, 2, 1]), rtol=1e-6
            )
            # the tumor stays where it is
            where = [np.argwhere(a).mean(axis=0) for a in (label.get_fdata().T, mask.array)]
            np.testing.assert_allclose(where[0] * [1, 2, 2] + [0, 0.5, 0.5], where[1], atol=0.5)
            assert set(np.unique(label.get_fdata())) == {0, 1}


def test_pixels_of_one_size_and_slices_as_acquired(cohort, tmp_path):
    made = convert(cohort(), tmp_path / "out", spacing_mm=0.25, jobs=1)
    row = made.table.iloc[0]
    assert [row["columns"], row["rows"], row["slices"]] == [96, 80, 6]
    assert [row["column_mm"], row["row_mm"], row["slice_mm"]] == [0.25, 0.25, 5]
    image, mask = drawn()
    label = nibabel.load(made.out / "7" / "T1WI_mask.nii.gz").get_fdata().T
    np.testing.assert_array_equal(label, mask.repeat(2, axis=1).repeat(2, axis=2))
    assert row["volume_cm3"] == pytest.approx(mask.sum() * 0.5 * 0.5 * 5 / 1000)
    again = nibabel.load(made.out / "7" / "T1WI.nii.gz").get_fdata().T
    # a ramp between the outermost centers
    np.testing.assert_allclose(again[:, 1:-1, 1:-1].mean(axis=(1, 2)), image.mean(axis=(1, 2)), atol=1e-3)
    assert np.ptp(np.diff(again[:, 1:-1, 1:-1], axis=2)) < 1e-3


def test_other_orientations_keep_theirs(cohort, tmp_path):
    made = convert(cohort(direction=TURNED), tmp_path / "out", size=(24, 20), jobs=1)
    image = read_image(made.out / "7" / "T1WI.nii.gz")
    np.testing.assert_allclose(image.direction, TURNED, atol=1e-6)
    # half a pixel along the columns (x) and, of a coronal image, along z
    np.testing.assert_allclose(image.origin_mm, (-7.75, -4.0, 29.75), atol=1e-5)


def test_nrrd_read_by_pynrrd(cohort, tmp_path):
    made = convert(cohort(), tmp_path / "out", to="nrrd", jobs=1)
    values, header = nrrd.read(str(made.out / "7" / "T1WI.nrrd"))
    np.testing.assert_array_equal(values.T, drawn()[0])
    np.testing.assert_allclose(header["space directions"], np.diag([0.5, 0.5, 5.0]), atol=1e-12)
    np.testing.assert_allclose(header["space origin"], [-8, -4, 30], atol=1e-12)


# -- TIFF --------------------------------------------------------------------------------------------


def test_tiff_stack(cohort, tmp_path):
    made = convert(cohort(), tmp_path / "out", to="tiff", jobs=1)
    image, mask = drawn()
    with tifffile.TiffFile(made.out / "7" / "T1WI.tif") as file:
        assert len(file.pages) == 6
        np.testing.assert_array_equal(file.asarray(), image)
        assert file.asarray().dtype == np.int16
        tags = file.pages[0].tags
        assert tags["ResolutionUnit"].value == 3  # centimeter
        top, bottom = tags["XResolution"].value
        assert 10 / (top / bottom) == pytest.approx(0.5, rel=1e-7)
        about = json.loads(tags["ImageDescription"].value)
        assert about["spacing_mm"] == [0.5, 0.5, 5.0]
        assert about["origin_mm"] == [-8, -4, 30]
        assert "DateTime" not in tags
    np.testing.assert_array_equal(tifffile.imread(made.out / "7" / "T1WI_mask.tif"), mask * 255)
    assert sorted(p.name for p in made.out.iterdir()) == [
        "7", "conversion.csv", "dataset.json", "failures.csv",
    ]  # fmt: skip


def test_tiff_slices_are_in_the_order_of_positions(simulated, tmp_path):
    made = convert(
        simulated, tmp_path / "out", to="tiff", slices=True, size=32, bits=8, sequences=["t2"], jobs=1
    )
    volume, mask = read_pair(read_cohort(simulated).cases[0].images["t2"])
    folder = made.out / "001"
    names = sorted(p.name for p in folder.iterdir())
    count = len(volume.array)
    assert names == sorted(f"T2WI_{k:03d}{end}.tif" for k in range(count) for end in ("", "_mask"))
    stack = np.stack([tifffile.imread(folder / f"T2WI_{k:03d}.tif") for k in range(count)])
    labels = np.stack([tifffile.imread(folder / f"T2WI_{k:03d}_mask.tif") for k in range(count)])
    assert stack.dtype == labels.dtype == np.uint8
    assert stack.shape == labels.shape == (count, 32, 32)
    small = volume.array.reshape(-1, 32, 2, 32, 2).mean(axis=(2, 4))
    low, high = np.percentile(small, [1, 99])
    np.testing.assert_allclose(stack, ((small - low) / (high - low)).clip(0, 1) * 255, atol=0.5001)
    row = made.table.iloc[0]
    assert (row["low"], row["high"]) == (pytest.approx(low), pytest.approx(high))
    covered = mask.array.reshape(-1, 32, 2, 32, 2).mean(axis=(2, 4))
    np.testing.assert_array_equal(labels, np.where(covered >= 0.5, 255, 0))
    assert row["image"] == "001/T2WI_000.tif"
    abouts = []
    for k in (2, 3):
        with tifffile.TiffFile(folder / f"T2WI_{k:03d}.tif") as file:
            abouts.append(json.loads(file.pages[0].description))
    assert "never lived" in abouts[0]["note"]
    step = np.subtract(abouts[1]["origin_mm"], abouts[0]["origin_mm"])
    assert np.linalg.norm(step) == pytest.approx(volume.spacing_mm[2], rel=1e-6)


@pytest.mark.parametrize(("bits", "top", "kind"), [(8, 255, np.uint8), (16, 65535, np.uint16)])
def test_a_window_is_scaled_to_whole_numbers(cohort, tmp_path, bits, top, kind):
    image = np.tile(np.linspace(-50, 150, 48), (6, 40, 1))
    made = convert(cohort(image=image), tmp_path / "out", to="tiff", bits=bits, window=(0, 100), jobs=1)
    found = tifffile.imread(made.out / "7" / "T1WI.tif")
    assert found.dtype == kind
    np.testing.assert_array_equal(found, np.rint((image / 100).clip(0, 1) * top))
    assert made.table.loc[0, ["low", "high", "type"]].tolist() == [0, 100, np.dtype(kind).name]
    assert json.loads((made.out / "dataset.json").read_text())["conversion"]["window"] == [0, 100]


def test_values_that_are_no_whole_numbers_stay_as_stored(cohort, tmp_path):
    image = np.random.default_rng(2).normal(size=(6, 40, 48))
    nifti = convert(cohort(image=image), tmp_path / "nifti", jobs=1)
    np.testing.assert_array_equal(nibabel.load(nifti.out / "7" / "T1WI.nii.gz").get_fdata().T, image)
    tiff = convert(cohort(image=image), tmp_path / "tiff", to="tiff", jobs=1)
    np.testing.assert_array_equal(tifffile.imread(tiff.out / "7" / "T1WI.tif"), image.astype(np.float32))


# -- nnU-Net -----------------------------------------------------------------------------------------


def test_nnunet_puts_all_sequences_on_one_grid(simulated, tmp_path):
    made = convert(simulated, tmp_path / "out", to="nnunet", reference="t2", jobs=1)
    assert made.failures.empty
    about = json.loads((made.out / "dataset.json").read_text())
    assert about["channel_names"] == {"0": "t1", "1": "t2", "2": "ce_t1"}
    assert about["labels"] == {"background": 0, "tumor": 1}
    assert (about["numTraining"], about["file_ending"], about["simulated"]) == (2, ".nii.gz", True)
    assert "grid of t2" in about["conversion"]["grid"]
    source = read_cohort(simulated).cases[0].images
    for number, sequence in enumerate(["t1", "t2", "ce_t1"]):
        image = nibabel.load(made.out / "imagesTr" / f"001_{number:04d}.nii.gz")
        label = nibabel.load(made.out / "labelsTr" / "001.nii.gz")
        assert image.shape == label.shape
        np.testing.assert_array_equal(image.affine, label.affine)
        if sequence == "t2":
            volume, mask = read_pair(source["t2"])
            np.testing.assert_array_equal(image.get_fdata().T, volume.array)
            np.testing.assert_array_equal(label.get_fdata().T, mask.array)
    again = read_cohort({"layout": "nnunet", "path": str(made.out), "clinical": None})
    assert again.simulated
    assert again.patient_ids == ["001", "002"]
    assert set(again.cases[0].images) == {"t1", "t2", "ce_t1"}


def test_nnunet_needs_every_channel_and_the_mask(simulated, tmp_path):
    whole = read_cohort(simulated)
    first, second = (dict(case.images) for case in whole.cases)
    del first["t1"]
    second["ce_t1"] = ImageFiles(second["ce_t1"].image)
    cases = (Case("001", first), Case("002", second))
    made = convert(Cohort(cases=cases), tmp_path / "out", to="nnunet", jobs=1)
    assert made.table.empty
    assert made.failures["message"].tolist() == ["there is no t1", "nothing is drawn on ce_t1"]


# -- regions -----------------------------------------------------------------------------------------


def test_several_regions_become_one_label_map(tmp_path):
    image, mask = drawn()
    mask[2:5, 10:22, 34:40] = 2
    files = tmp_path / "source"
    image_file(files / "t1.nii.gz", image)
    image_file(files / "mask.nii.gz", mask)
    pd.DataFrame(
        {"patient_id": ["1"], "sequence": ["t1"], "image": ["t1.nii.gz"], "mask": ["mask.nii.gz"]}
    ).to_csv(files / "manifest.csv", index=False)
    settings = {
        "layout": "manifest", "path": str(files / "manifest.csv"), "sequences": ["t1"], "clinical": None,
        "regions": {"gtvp": [1], "gtvnd": [2]},
    }  # fmt: skip
    made = convert(settings, tmp_path / "out", size=(24, 20), jobs=1)
    assert made.table[["region", "label", "mask"]].to_numpy().tolist() == [
        ["gtvp", 1, "1/T1WI_mask.nii.gz"], ["gtvnd", 2, "1/T1WI_mask.nii.gz"],
    ]  # fmt: skip
    label = nibabel.load(made.out / "1" / "T1WI_mask.nii.gz").get_fdata().T
    np.testing.assert_array_equal(label, mask[:, ::2, ::2])
    assert json.loads((made.out / "dataset.json").read_text())["labels"] == {
        "background": 0, "gtvp": 1, "gtvnd": 2,
    }  # fmt: skip
    again = read_cohort(settings | {"path": str(made.out / "manifest.csv")})
    assert set(again.cases[0].images) == {"t1-gtvp", "t1-gtvnd"}
    assert read_pair(again.cases[0].images["t1-gtvnd"])[1].array.sum() == (label == 2).sum()


def test_regions_that_overlap_are_counted(tmp_path):
    image, mask = drawn()
    shifted = np.roll(mask, 4, axis=2)
    path = image_file(tmp_path / "s" / "t1.nii.gz", image)
    files = {
        "t1-a": ImageFiles(path, image_file(tmp_path / "s" / "a.nii.gz", mask)),
        "t1-b": ImageFiles(path, image_file(tmp_path / "s" / "b.nii.gz", shifted)),
        "t1-c": ImageFiles(path, image_file(tmp_path / "s" / "c.nii.gz", mask), label=9, optional=True),
    }
    source = Cohort(cases=(Case("1", files),), sequences=("t1-a", "t1-b", "t1-c"))
    made = convert(source, tmp_path / "out", jobs=1)
    label = nibabel.load(made.out / "1" / "T1WI_mask.nii.gz").get_fdata().T
    np.testing.assert_array_equal(label, np.where(mask, 1, np.where(shifted, 2, 0)))
    assert (made.table["overlap_voxels"] == (mask & shifted).sum()).all()
    # an optional region that is not drawn is no fault, and has no mask
    assert made.failures.empty
    assert made.table.loc[2, "mask"] == ""
    assert pd.isna(made.table.loc[2, "label"])


# -- failures, folders, bytes ------------------------------------------------------------------------


def test_failures_are_listed_and_the_rest_is_written(tmp_path):
    image, mask = drawn()
    folder = tmp_path / "s"
    good = ImageFiles(image_file(folder / "a.nii", image), image_file(folder / "m.nii", mask))
    moved = ImageFiles(good.image, image_file(folder / "moved.nii", mask, origin=(-7.0, -4.0, 30.0)))
    dot = np.zeros_like(mask)
    dot[3, 20, 20] = 1
    cases = (
        Case("1", {"t1": good, "t2": moved}),
        Case("2", {"t1": ImageFiles(folder / "absent.nii", good.mask), "t2": ImageFiles(good.image)}),
        Case("3", {"t1": ImageFiles(good.image, image_file(folder / "dot.nii", dot))}),
    )
    made = convert(Cohort(cases=cases, sequences=("t1", "t2")), tmp_path / "out", size=(12, 10), jobs=1)
    assert made.failures[["patient_id", "sequence", "error"]].to_numpy().tolist() == [
        ["1", "t2", "MaskError"], ["2", "t1", "ImageError"], ["3", "t1", "MaskError"],
    ]  # fmt: skip
    assert "different grids" in made.failures.loc[0, "message"]
    assert "voxels larger than the tumor" in made.failures.loc[2, "remedy"]
    written = sorted(p.relative_to(made.out).as_posix() for p in made.out.rglob("*.nii.gz"))
    assert written == ["1/T1WI.nii.gz", "1/T1WI_mask.nii.gz", "2/T2WI.nii.gz"]
    assert read_table(made.out / "failures.csv").shape == (3, 6)
    assert repr(made) == "<Converted: 2 patients to nifti, 3 failures>"
    everything = made.failures.to_string() + made.to_frame().to_string() + made._repr_html_()
    assert str(tmp_path) not in everything
    assert str(tmp_path) not in "".join(p.read_text("utf-8") for p in made.out.glob("*.[cj]s*"))


def test_the_same_source_gives_the_same_bytes_for_any_number_of_processes(simulated, tmp_path):
    options = {"size": 32, "bits": 16, "sequences": ["t1", "t2"]}
    one = convert(simulated, tmp_path / "nifti1", jobs=1, **options)
    two = convert(simulated, tmp_path / "nifti2", jobs=2, **options)
    assert file_digest(one.out) == file_digest(two.out)
    one = convert(simulated, tmp_path / "tiff", to="tiff", jobs=1, **options)
    before = file_digest(one.out)
    # again into the same folder: replaced, not added to
    stray = one.out / "001" / "T1.tif"
    stray.write_bytes(b"of an earlier conversion")
    again = convert(simulated, one.out, to="tiff", jobs=1, **options)
    assert file_digest(again.out) == before


def test_simulated_patients_stay_simulated(simulated, tmp_path):
    made = convert(simulated, tmp_path / "out", size=32, sequences=["t1"], jobs=1)
    assert repr(made) == "<Converted: 2 simulated patients to nifti, 0 failures>"
    assert read_table(made.out / "conversion.csv")["simulated"].all()
    header = nibabel.load(made.out / "001" / "T1WI.nii.gz").header
    assert b"Simulated" in header["descrip"].tobytes()


def test_chinese_names(cohort, tmp_path):
    made = convert(cohort(patient="患者/7"), tmp_path / "转换", jobs=1)
    after = read_cohort(
        {"layout": "manifest", "path": str(made.out / "manifest.csv"), "sequences": ["t1"], "clinical": None}
    )
    assert after.patient_ids == ["患者/7"]
    np.testing.assert_array_equal(read_pair(after.cases[0].images["t1"])[1].array, drawn()[1])


def test_nothing_is_overwritten_that_was_not_converted(simulated, cohort, tmp_path):
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "notes.txt").write_text("mine")
    with pytest.raises(ConfigError, match=r"mine holds notes\.txt"):
        convert(simulated, mine, jobs=1)
    with pytest.raises(ConfigError, match=r"notes\.txt is a file"):
        convert(simulated, mine / "notes.txt", jobs=1)
    made = convert(simulated, tmp_path / "once", sequences=["t1"], jobs=1)
    settings = {
        "layout": "manifest", "path": str(made.out / "manifest.csv"), "sequences": ["t1"], "clinical": None,
    }  # fmt: skip
    with pytest.raises(ConfigError, match="holds images of the source"):
        convert(settings, made.out, jobs=1)
    assert (made.out / "001" / "T1WI.nii.gz").is_file()


def test_what_others_put_into_a_conversion_is_not_lost(cohort, tmp_path):
    source = cohort()
    made = convert(source, tmp_path / "out", jobs=1)
    (made.out / "notes.txt").write_text("mine")
    with pytest.raises(ConfigError, match=r"out holds notes\.txt, which no conversion wrote"):
        convert(source, made.out, jobs=1)
    assert (made.out / "notes.txt").is_file()
    (made.out / "notes.txt").unlink()
    (tmp_path / "link").symlink_to(made.out)
    convert(source, tmp_path / "link", size=8, jobs=1)  # the folder behind it is the one written before
    assert nibabel.load(made.out / "7" / "T1WI.nii.gz").shape[:2] == (8, 8)


def test_channels_of_nnunet_are_images_of_one_place(tmp_path):
    """A series half a meter away was a channel of one value, and no failure."""
    image, mask = drawn()
    files = {
        name: ImageFiles(
            image_file(tmp_path / f"{name}.nii", image, origin=origin),
            image_file(tmp_path / f"{name}-mask.nii", mask, origin=origin),
        )
        for name, origin in (("t1", (0.0, 0.0, 0.0)), ("t2", (500.0, 0.0, 0.0)))
    }
    apart = Cohort((Case("1", files),), sequences=("t1", "t2"))
    made = convert(apart, tmp_path / "out", to="nnunet", reference="t1", jobs=1)
    assert made.failures["message"].tolist() == ["nothing of t2 lies on the grid of t1"]
    assert made.table.empty
    once = convert(apart, tmp_path / "once", to="nnunet", sequences=["t1", "t1"], jobs=1)
    assert sorted(p.name for p in (once.out / "imagesTr").iterdir()) == ["1_0000.nii.gz"]


def test_an_interrupted_conversion_leaves_what_was_there(cohort, tmp_path, monkeypatch):
    source = cohort()
    made = convert(source, tmp_path / "out", jobs=1)
    before = file_digest(made.out)

    def interrupt(*args):
        raise KeyboardInterrupt

    monkeypatch.setattr("radiomics_npc.dataset.convert.convert_case", interrupt)
    with pytest.raises(KeyboardInterrupt):
        convert(source, made.out, size=8, jobs=1)
    assert file_digest(made.out) == before
    assert sorted(p.name for p in tmp_path.iterdir()) == ["out", "source"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"to": "png"}, "no format"),
        ({"size": 256, "spacing_mm": 0.5}, "two ways"),
        ({"size": 0}, "out of range"),
        ({"size": (256, 2.5)}, "out of range"),
        ({"spacing_mm": -1}, "out of range"),
        ({"spacing_mm": float("nan")}, "out of range"),
        ({"interpolation": "cubic"}, "no interpolation"),
        ({"bits": 12}, "not offered"),
        ({"window": (0, 100)}, "without bits"),
        ({"bits": 8, "window": (100, 0)}, "empty"),
        ({"bits": 8, "window": (0, 1), "percentiles": (1, 99)}, "two ways"),
        ({"bits": 8, "percentiles": (99, 1)}, "out of order"),
        ({"slices": True}, "only TIFF"),
        ({"sequences": ["t2"]}, "has no t2"),
        ({"to": "nnunet", "reference": "t2"}, "not among"),
        ({"reference": "t1"}, "only nnunet has a reference"),
    ],
)
def test_options_that_contradict_each_other(cohort, tmp_path, options, message):
    with pytest.raises(ConfigError, match=message):
        convert(cohort(), tmp_path / "out", jobs=1, **options)
    assert not (tmp_path / "out").exists()


def test_nobody_to_convert(tmp_path):
    with pytest.raises(CohortError, match="nothing to convert"):
        convert(Cohort(cases=()), tmp_path / "out", jobs=1)


def test_an_image_of_one_intensity_cannot_be_scaled(cohort, tmp_path):
    made = convert(cohort(image=np.full((6, 40, 48), 7, np.int16)), tmp_path / "out", bits=8, jobs=1)
    assert made.failures["message"].tolist() == ["intensities from 7 to 7 cannot be scaled"]


@pytest.mark.shared
def test_real_dicom_with_an_rtstruct_becomes_the_nifti_of_the_same_patient(shared, tmp_path):
    data = shared / "data"
    case = Case("STS_002", {"t1": ImageFiles(
        data / "dicom_rtstruct" / "image", data / "dicom_rtstruct" / "mask" / "RS.dcm",
    )})  # fmt: skip
    made = convert(Cohort(cases=(case,), sequences=("t1",)), tmp_path / "out", jobs=1)
    assert made.failures.empty, made.failures.to_string()
    folder = data / "sts_mr_t1" / "STS_002"
    for mine, theirs in (("T1WI", "MR_T1_image"), ("T1WI_mask", "MR_T1_mask")):
        a = nibabel.load(made.out / "STS_002" / f"{mine}.nii.gz")
        b = nibabel.load(folder / f"{theirs}.nii.gz")
        assert a.shape == b.shape
        np.testing.assert_allclose(a.affine, b.affine, atol=1e-3)
        x, y = a.get_fdata(), b.get_fdata()
        if mine == "T1WI":
            np.testing.assert_array_equal(x, y)
        else:
            assert 2 * ((x > 0) & (y > 0)).sum() / ((x > 0).sum() + (y > 0).sum()) >= 0.98
