"""Studies whose contours were drawn on one sequence: moved to the others, measured, reported."""

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import SimpleITK as sitk
import yaml

from radiomics_npc import registered_cases
from radiomics_npc.cohort.cases import Case, Cohort, ImageFiles
from radiomics_npc.errors import CheckFailedError
from radiomics_npc.imaging.reading import read_image, read_mask
from radiomics_npc.imaging.registration_result import Registration
from radiomics_npc.imaging.volume import Mask
from radiomics_npc.registered_masks import register_masks
from radiomics_npc.report.content import read_run
from radiomics_npc.settings import RegistrationSettings
from radiomics_npc.storage import read_table, write_json
from radiomics_npc.study import Study
from tests.imaging.heads_in_space import image, motion

PATIENTS = ("001", "002", "003")
OWN = ("003", "t1")  # has a contour of its own
TUMOR, RADII = (24.0, -2.0, 4.0), (16.0, 20.0, 14.0)
NODE, NODE_RADII = (-34.0, 28.0, -8.0), (12.0, 14.0, 13.0)
PYRADIOMICS = {
    "imageType": {"Original": {}},
    "featureClass": {"firstorder": ["Mean"], "shape": ["MeshVolume"]},
    "setting": {"binCount": 8, "label": 1},
}


def _write(volume, path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    sitk.WriteImage(volume.to_sitk(), str(path))
    return path


def drawn(like, still=lambda p: p, center=TUMOR, radii=RADII) -> Mask:
    axes = np.reshape(like.direction, (3, 3)) * np.array(like.spacing_mm)
    index = np.indices(like.array.shape[::-1][::-1], dtype=float)[::-1].reshape(3, -1).T
    points = still(np.array(like.origin_mm) + index @ axes.T)
    inside = (((points - center) / radii) ** 2).sum(axis=1) < 1
    return Mask(inside.reshape(like.array.shape), like.spacing_mm, like.origin_mm, like.direction)


def patient(folder: Path, who: str) -> dict[str, str]:
    """T1 and, after the head moved, CE-T1; the contour is drawn on CE-T1."""
    number = int(who)
    turn, shift = motion((number, -2.0 * number, 4.0), (3.0, -number, 2.0))

    def still(q):
        return (q - shift) @ turn

    t1, ce_t1 = image(0, seed=number), image(1, still, seed=number + 50)
    _write(t1, folder / who / "t1.nii.gz")
    _write(ce_t1, folder / who / "ce_t1.nii.gz")
    _write(drawn(ce_t1, still), folder / who / "drawn.nii.gz")
    _write(drawn(t1), folder / who / "truth.nii.gz")
    labels = drawn(ce_t1, still).array + 2 * drawn(ce_t1, still, NODE, NODE_RADII).array
    two = sitk.GetImageFromArray(labels.astype(np.uint8))
    two.CopyInformation(ce_t1.to_sitk())
    sitk.WriteImage(two, str(folder / who / "two.nii.gz"))
    _write(drawn(t1, center=NODE, radii=NODE_RADII), folder / who / "node.nii.gz")
    return {"t1": f"{who}/t1.nii.gz", "ce_t1": f"{who}/ce_t1.nii.gz"}


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("simulated")
    rows = []
    for who in PATIENTS:
        for sequence, path in patient(folder, who).items():
            own = "truth" if (who, sequence) == OWN else "drawn" if sequence == "ce_t1" else ""
            rows.append((who, sequence, path, f"{who}/{own}.nii.gz" if own else ""))
    names = ["patient_id", "sequence", "image", "mask"]
    pd.DataFrame(rows, columns=names).to_csv(folder / "manifest.csv", index=False)
    write_json(folder / "dataset.json", {"simulated": True})
    (folder / "few.yaml").write_text(yaml.safe_dump(PYRADIOMICS))
    return folder


def settings_of(data: Path, run: Path, **registration) -> dict:
    few = str(data / "few.yaml")
    return {
        "name": "one contour", "jobs": 1, "output": str(run), "seed": 3,
        "cohort": {"layout": "manifest", "path": str(data / "manifest.csv"), "sequences": ["t1", "ce_t1"],
                   "clinical": None},
        "registration": registration or {"masks_from": "ce_t1"},
        "features": {"settings": {"t1": few, "ce_t1": few}}, "models": None, "nomogram": None,
    }  # fmt: skip


@pytest.fixture(scope="module")
def run(data, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("run")
    Study(settings_of(data, folder)).run()
    return folder


def tables_of(run: Path) -> dict[str, bytes]:
    kept = [
        *run.glob("tables/*"),
        *run.glob("figures/registration*"),
        *run.glob("masks/*/*"),
        run / "check.csv",
    ]
    return {path.relative_to(run).as_posix(): path.read_bytes() for path in kept if path.is_file()}


def dice(a: np.ndarray, b: np.ndarray) -> float:
    return 2 * (a & b).sum() / (a.sum() + b.sum())


def test_masks_are_moved_onto_the_grid_of_each_image(data, run):
    for who in PATIENTS[:2]:
        made = read_mask(run / "masks" / who / "ROI-T1.nii.gz")
        truth = read_mask(data / who / "truth.nii.gz")
        assert dice(made.array, truth.array) > 0.9
        np.testing.assert_allclose(made.origin_mm, read_image(data / who / "t1.nii.gz").origin_mm, atol=1e-4)
        unmoved = read_mask(data / who / "drawn.nii.gz")
        assert dice(made.array, truth.array) > dice(unmoved.array, truth.array) + 0.05
    assert not (run / "masks" / "003").exists()


def test_the_table_of_registrations(run):
    table = read_table(run / "tables" / "registration.csv")
    assert table["patient_id"].tolist() == ["001", "002"]
    assert set(table["sequence"]) == {"t1"}
    assert set(table["masks_from"]) == {"ce_t1"}
    assert table["simulated"].all()
    assert (table["metric_after"] > table["metric_before"]).all()
    assert table["flags"].isna().all()
    assert "seconds" not in table
    for number, row in enumerate(table.itertuples(), start=1):
        turn, _ = motion((number, -2.0 * number, 4.0), (0, 0, 0))
        degrees = np.degrees(np.arccos((np.trace(turn) - 1) / 2))
        assert row.rotation_degrees == pytest.approx(degrees, abs=0.6)
        assert row.volume_cm3 == pytest.approx(row.volume_before_cm3, rel=0.03)
    record = json.loads((run / "masks" / "001" / "ROI-T1.json").read_text())
    assert Registration.from_dict(record["registration"]).rotation_degrees == table["rotation_degrees"][0]


def test_features_are_those_of_the_moved_masks(run):
    features = read_table(run / "tables" / "features.csv").set_index("patient_id")
    table = read_table(run / "tables" / "registration.csv").set_index("patient_id")
    for who in PATIENTS[:2]:
        volume = features.loc[who, "t1__morphology__volume_cm3"]
        assert volume == pytest.approx(table.loc[who, "volume_cm3"], rel=0.1)
    assert features.notna().all().all()


def test_check_report_and_methods_say_so(run):
    found = read_table(run / "check.csv").fillna("")
    info = found[found["problem"].str.contains("will be moved")]
    assert info["sequence"].tolist() == ["t1"]
    assert "2 of 3" in info["problem"].iloc[0]
    html = (run / "report.html").read_text(encoding="utf-8")
    assert "Moved masks" in html
    assert "Figure: registration" in html
    methods = (run / "methods.md").read_text(encoding="utf-8")
    assert "that of CE-T1 was moved to their grid by rigid registration" in " ".join(methods.split())
    assert "were not drawn on the images they are measured on but moved from CE-T1" in html
    content = read_run(run)["registration"]
    assert content["picture"][:4] == b"\x89PNG"
    assert str(run) not in html


def test_a_second_run_does_nothing_and_gives_the_same_bytes(data, run, monkeypatch):
    def refuse(*args, **kwargs):
        raise AssertionError("registered again")

    monkeypatch.setattr(registered_cases, "register", refuse)
    before = tables_of(run)
    times = {path: path.stat().st_mtime_ns for path in run.glob("masks/*/*")}
    Study(settings_of(data, run)).run()
    assert tables_of(run) == before
    assert {path: path.stat().st_mtime_ns for path in run.glob("masks/*/*")} == times


def test_other_settings_are_another_mask(data, run, tmp_path):
    cohort = Study(settings_of(data, tmp_path)).cohort
    one = Cohort(cohort.cases[:1], sequences=cohort.sequences)
    made = register_masks(
        one, tmp_path / "masks", settings=RegistrationSettings(interpolation="nearest"), jobs=1
    )
    path = made.cohort.cases[0].images["t1"].mask
    assert path is not None
    assert not np.array_equal(read_mask(path).array, read_mask(run / "masks" / "001" / "ROI-T1.nii.gz").array)
    # a mask that somebody changed is kept, and the record says nothing of it
    _write(Mask(np.roll(read_mask(path).array, 1, axis=2), *_geometry(path)), path)
    edited = path.read_bytes()
    again = register_masks(one, tmp_path / "masks", settings=RegistrationSettings(), jobs=1)
    assert path.read_bytes() == edited
    assert again.table["flags"].tolist() == ["edited"]
    assert again.table["metric_after"].isna().all()
    assert not again.findings()


def _geometry(path):
    mask = read_mask(path)
    return mask.spacing_mm, mask.origin_mm, mask.direction


@pytest.mark.slow
def test_flags_are_warnings_of_the_check(data, tmp_path):
    study = Study(settings_of(data, tmp_path, masks_from="ce_t1", method="deu"))
    made = study.register()
    assert (made.table["flags"] != "").all()
    found = read_table(tmp_path / "check.csv").fillna("")
    warned = found[found["problem"].str.startswith("moved mask:")]
    assert set(warned["severity"]) == {"warning"}
    assert set(warned["patient_id"]) == {"001", "002"}
    assert set(warned["where"]) == {"ROI-T1.nii.gz"}
    assert "moved mask" in (tmp_path / "check.html").read_text(encoding="utf-8")


def test_a_fault_of_one_patient_is_listed(data, tmp_path):
    flat = _write(Mask(np.zeros((13, 74, 64), bool), (2.6, 2.6, 5.5)), tmp_path / "flat.nii.gz")
    files = {s: ImageFiles(data / "001" / f"{s}.nii.gz") for s in ("t1", "ce_t1")}
    source = ImageFiles(files["ce_t1"].image, data / "001" / "drawn.nii.gz")
    cases = (Case("a", {"t1": ImageFiles(flat), "ce_t1": source}), Case("b", {"t1": files["t1"]}))
    made = register_masks(Cohort(cases, sequences=("t1", "ce_t1")), tmp_path / "masks", jobs=1)
    assert made.table.empty
    assert made.failures[["patient_id", "sequence", "stage"]].to_numpy().tolist() == [["a", "t1", "register"]]
    assert "one value only" in made.failures["message"][0]
    assert made.cohort.cases[0].images["t1"].mask is None
    assert [f.severity for f in made.findings()] == ["warning"]
    assert not re.search(str(tmp_path), made.failures.to_csv())


def test_regions_move_together_and_absent_ones_are_no_fault(data, tmp_path, monkeypatch):
    calls = []
    plain = registered_cases.register
    monkeypatch.setattr(registered_cases, "register", lambda *a, **k: calls.append(1) or plain(*a, **k))
    folder = data / "002"
    images = {}
    for region, label in (("gtvp", 1), ("gtvnd", 2), ("other", 7)):
        may_lack = region == "other"
        images[f"t1-{region}"] = ImageFiles(folder / "t1.nii.gz", optional=may_lack)
        images[f"ce_t1-{region}"] = ImageFiles(
            folder / "ce_t1.nii.gz", folder / "two.nii.gz", label, optional=may_lack
        )
    cohort = Cohort((Case("002", images),), sequences=tuple(images))
    made = register_masks(cohort, tmp_path, jobs=1)
    assert len(calls) == 1
    assert made.failures.empty
    assert made.table["sequence"].tolist() == ["t1-gtvp", "t1-gtvnd"]
    assert made.table["masks_from"].tolist() == ["ce_t1-gtvp", "ce_t1-gtvnd"]
    moved = made.cohort.cases[0].images
    assert moved["t1-other"].mask is None
    for name, truth in (("t1-gtvp", "truth"), ("t1-gtvnd", "node")):
        assert moved[name].mask.name == f"ROI-T1-{name[3:]}.nii.gz"
        assert dice(read_mask(moved[name].mask).array, read_mask(folder / f"{truth}.nii.gz").array) > 0.85
    register_masks(cohort, tmp_path, jobs=1)
    assert len(calls) == 1


def test_without_the_setting_a_missing_mask_is_a_fault(data, tmp_path):
    settings = settings_of(data, tmp_path) | {"registration": None}
    with pytest.raises(CheckFailedError):
        Study(settings).extract()
    found = read_table(tmp_path / "check.csv").fillna("")
    assert found[found["severity"] == "error"]["problem"].tolist() == ["there is no mask"] * 2


def test_what_was_said_of_moved_masks_goes_with_the_setting(data, run, tmp_path):
    folder = tmp_path / "run"
    shutil.copytree(run, folder)
    assert (folder / "tables" / "registration.csv").exists()
    own = pd.read_csv(data / "manifest.csv", dtype=str).query("patient_id == '003'")
    own.to_csv(data / "own.csv", index=False)
    settings = settings_of(data, folder) | {"registration": None}
    settings["cohort"]["path"] = str(data / "own.csv")
    Study(settings).extract()
    assert not (folder / "tables" / "registration.csv").exists()
    assert not list(folder.glob("figures/registration*"))
    assert "registration" not in read_run(folder)
