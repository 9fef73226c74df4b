"""Regions of a mask through the whole way: names, check, features, perturbation, pictures, report."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from radiomics_npc.cohort.cases import Case, Cohort, ImageFiles
from radiomics_npc.cohort.reading import read_cohort
from radiomics_npc.cohort.regions import FoundCase, FoundImage, Structures, assign_regions
from radiomics_npc.errors import MaskError, RegionAbsentError
from radiomics_npc.features.extraction import extract_features
from radiomics_npc.features.perturbed import extract_perturbed
from radiomics_npc.features.table import FeatureTable
from radiomics_npc.imaging.checks import check_cohort
from radiomics_npc.imaging.mask_folders import read_structures
from radiomics_npc.imaging.perturbation import Perturbation
from radiomics_npc.imaging.reading import read_mask, read_pair
from radiomics_npc.report.montage import cohort_montage
from radiomics_npc.report.quality_page import write_quality_page
from radiomics_npc.settings import FeatureSettings
from radiomics_npc.storage import read_table
from radiomics_npc.study import Study

nibabel = pytest.importorskip("nibabel")

SPACING = (1.2, 1.2, 4.0)
PYRADIOMICS = {
    "imageType": {"Original": {}},
    "featureClass": {"firstorder": ["Mean", "Entropy"], "glcm": ["Contrast"], "shape": ["MeshVolume"]},
    "setting": {"binCount": 8, "label": 1},
}
BOTH = {"gtvp": ["GTVp"], "gtvnd": ["GTVnd"]}


def save(path: Path, array: np.ndarray) -> None:
    """Write (slices, rows, columns) as NIfTI whose axes run as in DICOM."""
    path.parent.mkdir(parents=True, exist_ok=True)
    affine = np.diag([-SPACING[0], -SPACING[1], SPACING[2], 1.0])
    nibabel.save(nibabel.Nifti1Image(np.ascontiguousarray(array.transpose(2, 1, 0)), affine), path)


def head(seed: int, nodes: bool, size: float = 8.0) -> tuple[list[np.ndarray], np.ndarray]:
    """T1 and CE-T1 of a head, and where primary tumor (1) and nodes (2) are."""
    rng = np.random.default_rng(seed)
    z, y, x = np.ogrid[:9, :40, :40]
    labels = np.zeros((9, 40, 40), np.uint8)
    labels[((z - 4) * 4 / 9) ** 2 + ((y - 16) * 1.2 / size) ** 2 + ((x - 20) * 1.2 / size) ** 2 < 1] = 1
    if nodes:
        labels[((z - 3) * 4 / 6) ** 2 + ((y - 31) * 1.2 / 4) ** 2 + ((x - 27) * 1.2 / 4) ** 2 < 1] = 2
    body = np.broadcast_to(((y - 20) / 18) ** 2 + ((x - 20) / 17) ** 2 < 1, labels.shape)
    made = []
    for tumor, node in ((420, 360), (640, 560)):
        signal = np.select([labels == 1, labels == 2, body], [tumor, node, 260.0], 0.0)
        made.append(np.abs(signal + rng.normal(0, 30, labels.shape)).astype(np.int16))
    return made, labels


def write_dataset(folder: Path, nodes: list[bool], sizes: np.ndarray | None = None) -> list[str]:
    """A data set of nnU-Net."""
    names = [f"病人 {k:02d}" for k in range(len(nodes))]
    for k, (name, has) in enumerate(zip(names, nodes, strict=True)):
        images, labels = head(k, has, 8.0 if sizes is None else float(sizes[k]))
        for channel, image in enumerate(images):
            save(folder / "imagesTr" / f"{name}_{channel:04d}.nii.gz", image)
        save(folder / "labelsTr" / f"{name}.nii.gz", labels)
    about = {"channel_names": {"0": "T1", "1": "CE-T1"}, "labels": {"background": 0, "GTVp": 1, "GTVnd": 2},
             "file_ending": ".nii.gz", "simulated": True}  # fmt: skip
    (folder / "dataset.json").write_text(json.dumps(about))
    return names


@pytest.fixture(scope="module")
def dataset(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("区 域") / "Dataset007_NPC"
    write_dataset(folder, [True, False, True, False])
    return folder


@pytest.fixture(scope="module")
def quick(tmp_path_factory) -> FeatureSettings:
    file = tmp_path_factory.mktemp("settings") / "few.yaml"
    file.write_text(yaml.safe_dump(PYRADIOMICS))
    return FeatureSettings(settings=dict.fromkeys(("t1", "ce_t1"), file))


def cohort_of(dataset: Path, regions=BOTH, optional=("gtvnd",), sequences=("t1", "ce_t1")) -> Cohort:
    return read_cohort({
        "layout": "nnunet", "path": str(dataset), "sequences": list(sequences), "regions": regions,
        "optional_regions": list(optional), "clinical": None,
    })  # fmt: skip


@pytest.fixture(scope="module")
def table(dataset, quick) -> FeatureTable:
    return extract_features(cohort_of(dataset), quick, jobs=1)


def test_several_regions_are_parts_of_the_names(dataset):
    cohort = cohort_of(dataset)
    names = ("t1-gtvp", "t1-gtvnd", "ce_t1-gtvp", "ce_t1-gtvnd")
    assert cohort.sequences == tuple(cohort.cases[0].images) == names
    assert cohort.simulated
    assert cohort_of(dataset, {"all": ["GTVp", "GTVnd?"]}, ()).sequences == ("t1", "ce_t1")


def test_the_check_counts_who_lacks_an_optional_region(dataset):
    report = check_cohort(cohort_of(dataset), jobs=1)
    assert report.ok
    said = [(f.severity, f.sequence, f.problem) for f in report.findings if "region" in f.problem]
    assert said == [
        ("info", name, "2 of 4 patients do not have this region") for name in ("ce_t1-gtvnd", "t1-gtvnd")
    ]


def test_a_structure_is_found_by_another_name_of_the_same_volume():
    files = {"GTVp": Path("GTVp.nii"), "GTV_LN": Path("ln.nii")}
    one = FoundCase("1", {"t1": FoundImage(Path("t1.nii"), Structures(files=files))})
    wanted = {"primary": ["gtv-nx"], "nodes": ["GTVnd?"]}
    (case,), findings = assign_regions([one], wanted)
    assert [pair.mask.name for pair in case.images.values()] == ["GTVp.nii", "ln.nii"]
    assert not findings
    files["GTVnx"] = Path("nx.nii")  # now two are the primary tumor
    (_, findings) = assign_regions([one], {"primary": ["gtv-t"]})
    assert "nobody has a structure 'gtv-t'" in findings[0].problem


def test_a_region_that_must_be_there_is_an_error(dataset):
    errors = check_cohort(cohort_of(dataset, optional=()), jobs=1).errors
    assert {(f.patient_id, f.sequence) for f in errors} == {
        (who, name) for who in ("病人 01", "病人 03") for name in ("t1-gtvnd", "ce_t1-gtvnd")
    }
    assert check_cohort(cohort_of(dataset, {"all": ["GTVp", "GTVnd?"]}, ()), jobs=1).ok


def test_features_of_each_region_are_those_of_it_alone(dataset, quick, table):
    values = table.to_frame()
    assert table.failures.empty
    assert list(values.index) == ["病人 00", "病人 01", "病人 02", "病人 03"]
    for region in BOTH:
        alone = extract_features(cohort_of(dataset, {"one": BOTH[region]}, ["one"]), quick, jobs=1).to_frame()
        mine = values[[name for name in values if name.partition("__")[0].endswith(f"-{region}")]]
        mine = mine.rename(columns=lambda name, region=region: name.replace(f"-{region}__", "__"))
        pd.testing.assert_frame_equal(mine, alone)


def test_a_patient_without_nodes_has_missing_values_and_no_failure(table):
    values = table.to_frame()
    nodal = [name for name in values if "-gtvnd__" in name]
    assert len(nodal) == 16
    assert values[nodal].isna().all(axis=1).tolist() == [False, True, False, True]
    assert values.drop(columns=nodal).notna().all(axis=None)
    assert table.absent.to_numpy().tolist() == [
        [who, name] for who in ("病人 01", "病人 03") for name in ("t1-gtvnd", "ce_t1-gtvnd")
    ]
    assert set(table.diagnostics["sequence"].value_counts()) == {2, 4}


def test_merged_regions_are_the_union(dataset, quick, table):
    merged = cohort_of(dataset, {"all": ["GTVp", "GTVnd?"]}, ())
    _, mask = read_pair(merged.cases[0].images["t1"])
    labels = np.asarray(nibabel.load(dataset / "labelsTr" / "病人 00.nii.gz").dataobj).transpose(2, 1, 0)
    np.testing.assert_array_equal(mask.array, labels > 0)
    _, mask = read_pair(merged.cases[1].images["t1"])
    assert mask.array.sum() == read_pair(cohort_of(dataset).cases[1].images["t1-gtvp"])[1].array.sum()
    all_of_it = extract_features(merged, quick, jobs=1)
    assert all_of_it.failures.empty
    assert all_of_it.absent.empty
    # without nodes, the union is the primary tumor
    name = "original__glcm__Contrast"
    primary = table.to_frame().loc["病人 01", f"t1-gtvp__{name}"]
    assert all_of_it.to_frame().loc["病人 01", f"t1__{name}"] == primary


def test_one_row_a_value(table, tmp_path):
    long, values = table.to_long(), table.to_frame()
    assert list(long.columns) == ["patient_id", "sequence", "region", "image", "class", "feature", "value"]
    assert len(long) == values.size
    column = long["sequence"] + "-" + long["region"]
    for part in ("image", "class", "feature"):
        column += np.where(long[part] == "", "", "__" + long[part])
    wide = long.assign(column=column).set_index(["patient_id", "column"])["value"].unstack()  # noqa: PD010
    pd.testing.assert_frame_equal(wide[values.columns], values, check_names=False, check_column_type=False)
    folder = tmp_path / "表 格"
    table.write(folder)
    pd.testing.assert_frame_equal(read_table(folder / "features_long.parquet"), long)
    assert (folder / "features.csv").read_bytes().startswith(b"\xef\xbb\xbf")
    pd.testing.assert_frame_equal(
        read_table(folder / "features.csv").set_index("patient_id"), values, check_exact=True
    )
    again = FeatureTable.read(folder)
    pd.testing.assert_frame_equal(again.absent, table.absent)
    FeatureTable(values, table.diagnostics, table.failures).write(folder)
    assert not (folder / "absent_regions.csv").exists()


def test_an_empty_table_has_no_rows():
    empty = pd.DataFrame(index=pd.Index([], name="patient_id", dtype=object))
    assert FeatureTable(empty, pd.DataFrame(), pd.DataFrame()).to_long().empty


def test_perturbation_passes_over_absent_regions(dataset, quick):
    changes = [Perturbation("original"), Perturbation("shift", translate_mm=(0.6, 0.0, 0.0))]
    repeats = extract_perturbed(cohort_of(dataset, sequences=["t1"]), quick, changes, patients=4, jobs=1)
    assert repeats.failures.empty
    values = repeats.to_frame()
    assert len(values) == 8
    nodal = [name for name in values if "-gtvnd__" in name]
    assert values[nodal].isna().all(axis=1).groupby("patient_id").sum().tolist() == [0, 2, 0, 2]
    assert len(repeats.finished("original")) == 8


def test_pictures_show_every_region_and_say_who_has_none(dataset, table, tmp_path):
    cohort = cohort_of(dataset)
    found = write_quality_page(cohort, tmp_path / "quality.html", jobs=1)
    assert (found["patients"], found["failed"]) == (4, 0)
    page = (tmp_path / "quality.html").read_text(encoding="utf-8")
    assert page.count("this patient has no such region") >= 4
    assert "T1 of the nodes" in page
    figure = cohort_montage(cohort, cohort.patient_ids, most=2)
    titles = [axes.get_title() for axes in figure.axes if axes.get_title()]
    assert titles == [
        f"{name} of {region}" for name in ("T1", "CE-T1") for region in ("the primary tumor", "the nodes")
    ]
    assert [text.get_text() for axes in figure.axes for text in axes.texts] == ["none", "none"]


def test_a_file_a_structure(tmp_path):
    images, labels = head(0, True)
    folder = tmp_path / "segrap_1"
    save(folder / "image.nii.gz", images[0])
    save(folder / "GTVp.nii.gz", (labels == 1).astype(np.uint8))
    save(folder / "GTVnd.nii.gz", (labels == 2).astype(np.uint8) * 255)
    save(folder / "empty.nii.gz", np.zeros_like(labels))
    both = read_mask(folder, ("GTVp", "GTVnd"))
    np.testing.assert_array_equal(both.array, labels > 0)
    np.testing.assert_array_equal(read_mask(folder, "GTVp").array, labels == 1)
    assert read_structures(folder, ("GTVp", "empty?", "away?")).array.sum() == (labels == 1).sum()
    with pytest.raises(MaskError, match="is to be merged with others") as caught:
        read_mask(folder, ("GTVp", "empty"))
    assert not isinstance(caught.value, RegionAbsentError)
    with pytest.raises(RegionAbsentError, match="nothing is drawn"):
        read_mask(folder, ("empty", "away"))
    files = ImageFiles(folder / "image.nii.gz", folder, ("empty", "GTVnd"), optional=True)
    assert read_pair(files)[1].array.sum() == (labels == 2).sum()
    cropped = nibabel.load(folder / "GTVnd.nii.gz").slicer[20:, 25:, :]
    nibabel.save(cropped, folder / "cropped.nii.gz")
    with pytest.raises(MaskError, match="lie on different grids"):
        read_mask(folder, ("GTVp", "cropped"))
    _, mask = read_pair(ImageFiles(folder / "image.nii.gz", folder, ("GTVp", "cropped")))
    np.testing.assert_array_equal(mask.array, labels > 0)


def test_files_of_different_folders_cannot_be_merged():
    masks = Structures(files={"a": Path("x/a.nii"), "b": Path("y/b.nii")})
    found = [FoundCase("1", {"t1": FoundImage(Path("t1.nii"), masks)})]
    cases, (fault,) = assign_regions(found, {"both": ["a", "b"]})
    assert cases == [Case("1", {"t1": ImageFiles(Path("t1.nii"))})]
    assert fault.problem == "a.nii, b.nii lie in different folders"


@pytest.mark.slow
def test_a_study_of_two_regions_from_images_to_report(tmp_path):
    rng = np.random.default_rng(4)
    sizes = rng.uniform(5, 10, 30)
    data = tmp_path / "data"
    names = write_dataset(data, list(rng.random(30) < 0.8), sizes)
    months = rng.exponential(30 * np.exp(-0.5 * (sizes - 7.5)))
    pd.DataFrame({
        "patient_id": names, "T": [f"T{k}" for k in np.clip(np.rint(sizes / 3), 1, 4).astype(int)],
        "months": np.minimum(months, 50).round(2) + 0.1, "event": (months < 50).astype(int),
    }).to_csv(tmp_path / "clinical.csv", index=False)  # fmt: skip
    (tmp_path / "few.yaml").write_text(yaml.safe_dump(PYRADIOMICS))
    study = Study({
        "name": "regions", "jobs": 1, "output": str(tmp_path / "run"), "seed": 1,
        "cohort": {
            "layout": "nnunet", "path": str(data), "sequences": ["t1", "ce_t1"], "regions": BOTH,
            "optional_regions": ["gtvnd"], "clinical": {"file": str(tmp_path / "clinical.csv")},
            "outcome": {"time": "months", "unit": "months", "event": "event", "coding": "0/1"},
        },
        "features": {"settings": dict.fromkeys(("t1", "ce_t1"), str(tmp_path / "few.yaml")),
                     "stability": {"patients": 4, "minimum": 0}},
        "models": {"fit": ["clinical_cox", "combined_cox"], "clinical": ["T"], "min_category": 3},
        "validation": {"folds": 2, "repeats": 1, "inner_folds": 2},
        "nomogram": {"horizons_months": [24.0], "model": "combined_cox"},
    })  # fmt: skip
    study.run()
    run = tmp_path / "run"
    assert study.failures.empty
    absent = read_table(run / "tables" / "absent_regions.csv")
    features = read_table(run / "tables" / "features.parquet").set_index("patient_id")
    lacking = features.filter(like="t1-gtvnd__").isna().all(axis=1)
    assert 0 < lacking.sum() == absent["patient_id"].nunique()
    assert len(read_table(run / "tables" / "design_matrix.parquet")) == 30  # nobody is left out for it
    methods = (run / "methods.md").read_text(encoding="utf-8")
    assert "extracted from the volumes of the primary tumor and the nodes on T1 and CE-T1 images" in methods
    assert f"T1 of the nodes, {lacking.sum()} patients)" in methods
    report = (run / "report.html").read_text(encoding="utf-8")
    assert f"T1 of the nodes, none in {lacking.sum()} patients" in report
    assert "gtvnd__" not in report.split("Extraction settings")[0]
    stability = read_table(run / "tables" / "stability.csv")
    assert {name.partition("__")[0] for name in stability["feature"]} == {
        f"{sequence}-{region}" for sequence in ("t1", "ce_t1") for region in BOTH
    }
