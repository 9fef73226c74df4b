"""A cohort with contours as arrays to train on."""

import json

import numpy as np
import pytest
import SimpleITK as sitk

from radiomics_npc.cohort.cases import Case, Cohort, ImageFiles
from radiomics_npc.imaging.reading import read_image
from radiomics_npc.segmentation.cases import write_cases
from radiomics_npc.segmentation.network_grid import find_frame, to_network
from radiomics_npc.segmentation.slabs import NetworkGrid
from radiomics_npc.segmentation.training_data import CaseStore
from tests.segmentation.phantoms import Geometry, head, truth

GRID = NetworkGrid(window=64)
SMALL = Geometry((64, 64, 10), (3.0, 3.0, 8.0))
TILTED = Geometry((72, 64, 12), (2.7, 3.0, 7.0), (-1.0, 0, 0, 0, 0.96, -0.28, 0, 0.28, 0.96))
SPHERE = ((3.0, -2.0, 1.0), 16.0)


def write(volume, path):
    path.parent.mkdir(parents=True, exist_ok=True)
    sitk.WriteImage(volume.to_sitk(), str(path))
    return path


@pytest.fixture
def cohort(tmp_path):
    """Patients 1 and 3 are sound, 2 has no mask, 4 an image that is none, 5 T2 alone."""
    cases = []
    for k in range(1, 6):
        images = {}
        for name, geometry in (("t1", TILTED), ("t2", SMALL)) if k != 5 else (("t2", SMALL),):
            image = head(geometry, spheres=(((3.0, -2.0, 1.0 + k), 16.0),))
            mask = None if k == 2 else write(truth(image), tmp_path / f"p{k}" / f"{name}-mask.nii.gz")
            images[name] = ImageFiles(write(image, tmp_path / f"p{k}" / f"{name}.nii.gz"), mask)
        cases.append(Case(f"patient-{k}", images))
    cases[3].images["t2"].image.write_bytes(b"no image")
    return Cohort(tuple(cases), sequences=("t1", "t2"))


def make(cohort, out, **options):
    return write_cases(cohort, out, grid=GRID, jobs=1, progress=False, **options)


def test_the_store_reads_them(cohort, tmp_path):
    found = make(cohort, tmp_path / "out")
    assert found.patient_ids == ["patient-1", "patient-3", "patient-5"]
    store = CaseStore(tmp_path / "out", GRID)
    assert store.names == ["0000", "0001", "0002"]
    for number in range(3):
        case = store.case(number)
        assert tuple(case.images.shape) == (3, 10, 64, 64)
        assert case.present.tolist() == ([1, 1, 0] if number < 2 else [0, 1, 0])
        assert case.known.tolist() == [1, 0]
        assert case.spacing_mm == (8.0, 0.86, 0.86)
        tumor = case.target[0].numpy() > 0
        assert tumor.sum() * 8.0 * 0.86**2 == pytest.approx(4 / 3 * np.pi * 16**3, rel=0.1)
        # the phantom's tumor is its brightest part: image and target lie on the same voxels
        t2 = np.load(tmp_path / "out" / f"images-{number}.npy")[1, :, 32:-32, 32:-32]
        assert t2[tumor].mean() > 900
        assert t2[~tumor].mean() < 500
    batch = store.draw(np.random.default_rng(0), 3, "cpu")
    assert tuple(batch.images.shape) == (3, 3, 5, 64, 64)


def test_validation_sees_what_prediction_sees(cohort, tmp_path):
    """The images of a whole case are those of the prediction, but for the half precision they are kept in."""
    make(cohort, tmp_path / "out")
    case = CaseStore(tmp_path / "out", GRID).case(0)
    images = {name: read_image(files.image) for name, files in cohort.cases[0].images.items()}
    frame = find_frame(images, GRID)
    seen, present = to_network(images, frame)
    assert case.spacing_mm == frame.spacing_zyx
    np.testing.assert_array_equal(case.present.numpy(), present)
    # steps of half precision below 1024 are up to 0.5, rounding is half of that; a z-score is of many units
    np.testing.assert_allclose(case.images.numpy(), seen, rtol=0, atol=0.005)
    assert seen[0].std() > 0.3


def test_files_are_as_described(cohort, tmp_path):
    make(cohort, tmp_path / "out")
    names = sorted(p.name for p in (tmp_path / "out").iterdir() if p.is_file())
    assert names == ["cases.json", *(f"{kind}-{k}.npy" for kind in ("images", "target") for k in range(3))]
    images, target = (np.load(tmp_path / "out" / f"{kind}-0.npy") for kind in ("images", "target"))
    assert (images.dtype, images.shape) == (np.float16, (3, 10, 128, 128))
    assert (target.dtype, target.shape) == (np.uint8, (2, 10, 128, 128))
    assert not target[1].any()
    assert not images[2].any()
    assert 0 <= images.min() <= images.max() < 2000


def test_no_patient_is_named(cohort, tmp_path):
    make(cohort, tmp_path / "out")
    text = (tmp_path / "out" / "cases.json").read_text()
    assert "patient" not in text
    assert not any("patient" in p.name for p in (tmp_path / "out").rglob("*"))


def test_failures_are_listed(cohort, tmp_path):
    found = make(cohort, tmp_path / "out")
    assert found.failures["patient_id"].tolist() == ["patient-2", "patient-4"]
    assert found.failures["error"].tolist() == ["MaskError", "ImageError"]
    assert found.failures["remedy"].str.len().min() > 10
    assert repr(found) == "<WrittenCases: 3 patients, 2 failed>"


def test_done_work_is_found_again(cohort, tmp_path):
    out = tmp_path / "out"
    make(cohort, out)
    before = {p.name: (p.read_bytes(), p.stat().st_mtime_ns) for p in out.glob("*.npy")}
    found = make(cohort, out)
    assert found.reused == 3
    assert {p.name: (p.read_bytes(), p.stat().st_mtime_ns) for p in out.glob("*.npy")} == before


def test_numbers_follow_the_cohort(cohort, tmp_path):
    """A patient who can now be read takes his place; the arrays of the others are not made again."""
    out = tmp_path / "out"
    make(cohort, out)
    third = np.load(out / "images-1.npy")
    case = cohort.cases[1]
    mask = write(truth(head(SMALL)), tmp_path / "p2" / "t2-mask.nii.gz")
    mended = Case(case.patient_id, {"t2": ImageFiles(case.images["t2"].image, mask)})
    found = make(Cohort((cohort.cases[0], mended, *cohort.cases[2:])), out)
    assert found.patient_ids == ["patient-1", "patient-2", "patient-3", "patient-5"]
    assert found.reused == 3
    np.testing.assert_array_equal(np.load(out / "images-2.npy"), third)
    fewer = make(Cohort(cohort.cases[2:3]), out)
    assert (fewer.reused, len(json.loads((out / "cases.json").read_text())["cases"])) == (1, 1)
    assert sorted(p.name for p in out.glob("*.npy")) == ["images-0.npy", "target-0.npy"]


@pytest.mark.parametrize("killed", ["while moving", "and an array was lost"])
def test_a_killed_run_goes_on(cohort, tmp_path, killed):
    out = tmp_path / "out"
    make(cohort, out)
    if killed == "while moving":
        about = json.loads((out / "cases.json").read_text())["cases"][0]
        (out / "parts").mkdir()
        (out / "images-0.npy").rename(out / "parts" / f"images-{about['key']}.npy")
    else:
        (out / "target-1.npy").unlink()
    assert make(cohort, out).patient_ids == ["patient-1", "patient-3", "patient-5"]
    assert CaseStore(out, GRID).case(1).target[0].any()


def test_another_mask_makes_it_new(cohort, tmp_path):
    out = tmp_path / "out"
    make(cohort, out)
    write(truth(head(SMALL, spheres=(((0.0, 0, 0), 24.0),))), cohort.cases[4].images["t2"].mask)
    assert make(cohort, out).reused == 2
    assert CaseStore(out, GRID).case(2).target[0].sum() > 1.5 * CaseStore(out, GRID).case(0).target[0].sum()


def test_half_of_the_contours_decide(tmp_path):
    """Three sequences on one grid: two agree, the third drew something else as well."""
    image = head(SMALL, spheres=(SPHERE,))
    other = head(SMALL, spheres=(SPHERE, ((-20.0, 10.0, 1.0), 12.0)))
    images = {
        name: ImageFiles(
            write(image, tmp_path / f"{name}.nii.gz"), write(truth(drawn), tmp_path / f"{name}-m.nii.gz")
        )
        for name, drawn in (("t1", image), ("t2", image), ("ce_t1", other))
    }
    make(Cohort((Case("a", images),)), tmp_path / "three")
    make(Cohort((Case("a", {"t2": images["t2"]}),)), tmp_path / "one")
    three, one = (np.load(tmp_path / n / "target-0.npy") for n in ("three", "one"))
    np.testing.assert_array_equal(three, one)


@pytest.mark.slow
def test_processes_give_the_same(cohort, tmp_path):
    two = Cohort(cohort.cases[::4], sequences=cohort.sequences)
    make(two, tmp_path / "a")
    write_cases(two, tmp_path / "b", grid=GRID, jobs=2, progress=False)
    for a in sorted((tmp_path / "a").glob("*.npy")):
        assert a.read_bytes() == (tmp_path / "b" / a.name).read_bytes()


def test_nothing_within_the_window(tmp_path):
    image = head(SMALL, body=(90.0, 90.0, 200.0), spheres=(((85.0, 0.0, 0.0), 6.0),))
    files = ImageFiles(write(image, tmp_path / "t2.nii.gz"), write(truth(image), tmp_path / "m.nii.gz"))
    small = NetworkGrid(window=32)
    found = write_cases(
        Cohort((Case("a", {"t2": files}),)), tmp_path / "o", grid=small, jobs=1, progress=False
    )
    assert found.failures["message"].tolist() == [
        "nothing of the masks lies within the window of the network"
    ]


def test_a_copy_of_a_patient_is_listed(cohort, tmp_path):
    """The same files under two identifiers: one of them would be trained on and tested on."""
    copied = Case("patient-9", cohort.cases[0].images)
    for _ in range(2):
        found = make(Cohort((*cohort.cases[:1], copied, *cohort.cases[4:])), tmp_path / "out")
        assert found.patient_ids == ["patient-1", "patient-5"]
        assert found.failures["patient_id"].tolist() == ["patient-9"]
        assert "another patient" in found.failures["message"][0]
        assert len(CaseStore(tmp_path / "out", GRID)) == 2


def test_voxels_in_a_file_beside_the_header_count(tmp_path):
    image = head(SMALL, spheres=(SPHERE,))
    files = ImageFiles(write(image, tmp_path / "t2.mhd"), write(truth(image), tmp_path / "m.nii.gz"))
    one = Cohort((Case("a", {"t2": files}),))
    make(one, tmp_path / "out")
    write(head(SMALL, spheres=(SPHERE, ((-20.0, 10.0, 1.0), 12.0))), tmp_path / "t2.mhd")
    assert make(one, tmp_path / "out").reused == 0


def test_an_image_that_is_not_finite_is_listed(tmp_path):
    """A NaN in T1 alone would become an image that is absent, or arrays of NaN that training takes in."""
    image = head(SMALL, spheres=(SPHERE,))
    broken = head(SMALL, spheres=(SPHERE,))
    broken.array[3, 4, 5] = np.nan
    images = {
        "t2": ImageFiles(write(image, tmp_path / "t2.nrrd"), write(truth(image), tmp_path / "m.nrrd")),
        "t1": ImageFiles(write(broken, tmp_path / "t1.nrrd")),
    }
    found = make(Cohort((Case("a", images),)), tmp_path / "out")
    assert found.failures["message"].tolist() == ["image t1 holds intensities that are not finite"]


def test_a_contour_counts_where_its_sequence_has_slices(tmp_path):
    """T1 and CE-T1 end below the tumor's middle; above it T2 alone was taken, and its contour alone says."""
    low = Geometry((64, 64, 6), (3.0, 3.0, 8.0), middle=(0.0, 0.0, -24.0))
    images = {}
    for name, geometry in (("t1", low), ("t2", SMALL), ("ce_t1", low)):
        image = head(geometry, spheres=((SPHERE[0], 24.0),))
        images[name] = ImageFiles(
            write(image, tmp_path / f"{name}.nii.gz"), write(truth(image), tmp_path / f"{name}-m.nii.gz")
        )
    make(Cohort((Case("a", images),)), tmp_path / "three")
    make(Cohort((Case("a", {"t2": images["t2"]}),)), tmp_path / "one")
    three, one = (np.load(tmp_path / n / "target-0.npy")[0] for n in ("three", "one"))
    assert one[6].any()  # no slice of T1 lies here
    np.testing.assert_array_equal(three[6:], one[6:])


def test_a_copy_with_another_contour_is_listed(cohort, tmp_path):
    """A second rater's row: the images would be trained on in one fold and tested on in another."""
    first = cohort.cases[0]
    image = first.images["t2"].image
    mask = write(truth(head(SMALL, spheres=(((0.0, 0, 0), 20.0),))), tmp_path / "second-rater.nii.gz")
    for copied in (
        Case("patient-9", {**first.images, "t2": ImageFiles(image, mask)}),
        Case("patient-9", {"t2": ImageFiles(image, mask)}),
    ):
        found = make(Cohort((first, copied, cohort.cases[4])), tmp_path / "out")
        assert found.patient_ids == ["patient-1", "patient-5"]
        assert found.failures["patient_id"].tolist() == ["patient-9"]
