"""Features under perturbations: what is reused, what fails, and which features are stable; two raters."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import SimpleITK as sitk

from radiomics_npc.cohort.cases import Case, Cohort, ImageFiles
from radiomics_npc.cohort.reading import read_cohort
from radiomics_npc.errors import CohortError, ConfigError
from radiomics_npc.features.extraction import extract_features
from radiomics_npc.features.measure import measure_case
from radiomics_npc.features.parameters import sequence_parameters
from radiomics_npc.features.perturbed import extract_perturbed
from radiomics_npc.features.raters import compare_raters
from radiomics_npc.imaging.perturbation import Perturbation, perturb
from radiomics_npc.imaging.reading import read_pair
from radiomics_npc.settings import FeatureSettings
from radiomics_npc.simulate.cohort import simulate_cohort
from radiomics_npc.storage import FeatureStore

SOME = (
    Perturbation("original"),
    Perturbation("grow", grow=0.1),
    Perturbation("noise", noise=1.0, seed=2),
    Perturbation("chain", rotate_degrees=6, grow=-0.1, contour=True, seed=3),
)


def second_rater(cohort: Cohort, folder) -> Cohort:
    """The same images with masks that somebody else drew: moved, of another size."""
    cases = []
    for number, case in enumerate(cohort.cases):
        images = {}
        for name, files in case.images.items():
            image, mask = read_pair(files)
            hand = Perturbation("hand", translate_mm=(0.8, -0.5, 0), grow=(-1) ** number * 0.08, seed=number)
            path = folder / f"{case.patient_id}_{name}.nii.gz"
            sitk.WriteImage(perturb(image, mask, hand)[1].to_sitk(), str(path))
            images[name] = ImageFiles(files.image, path)
        cases.append(Case(case.patient_id, images))
    return replace(cohort, cases=tuple(cases))


@pytest.fixture(scope="module")
def simulated(tmp_path_factory):
    """Four simulated patients of small images, one sequence."""
    folder = simulate_cohort(tmp_path_factory.mktemp("made"), patients=4, seed=11, jobs=1, matrix=64)
    cohort = read_cohort({"layout": "published", "path": str(folder), "sequences": ["t1"]})
    return replace(cohort, simulated=True)


def test_each_row_is_the_case_measured_after_its_perturbation(cohort, quick):
    cohort = replace(cohort, cases=cohort.cases[:2])
    repeats = extract_perturbed(cohort, quick, SOME, jobs=1)
    assert repeats.to_frame().index.names == ["patient_id", "perturbation"]
    assert repeats.to_frame().index.tolist() == [(who, p.name) for who in ("001", "002") for p in SOME]
    assert repeats.failures.empty
    plain = extract_features(cohort, quick, jobs=1).to_frame()
    original = repeats.to_frame().xs("original", level=1)
    pd.testing.assert_frame_equal(original, plain)
    image, mask = perturb(*read_pair(cohort.cases[1].images["t2"]), SOME[3])
    direct = measure_case(image, mask, sequence_parameters(quick, "t2")).features
    row = repeats.to_frame().loc[("002", "chain")]
    assert all(row[f"t2__{name}"] == value for name, value in direct.items())


def test_volume_moves_by_what_was_asked(cohort, quick):
    cohort = replace(cohort, sequences=("t1",))
    values = extract_perturbed(cohort, quick, SOME[:2], jobs=1).to_frame()["t1__original__shape__MeshVolume"]
    ratio = values.xs("grow", level=1) / values.xs("original", level=1)
    np.testing.assert_allclose(ratio, 1.1, rtol=0, atol=0.05)


def test_finished_cases_are_found_again_and_plain_ones_shared(cohort, quick, tmp_path):
    store = FeatureStore(tmp_path / "store")
    cohort = replace(cohort, cases=cohort.cases[:2], sequences=("t1",))
    extract_features(cohort, quick, jobs=1, store=store)
    first = extract_perturbed(cohort, quick, SOME, jobs=1, store=store)
    assert first.reused == 2
    again = extract_perturbed(cohort, quick, SOME, jobs=1, store=store)
    assert again.reused == 8
    pd.testing.assert_frame_equal(again.to_frame(), first.to_frame())
    # another name is the same content; another seed, strength or mask is not
    named = (replace(SOME[1], name="swollen"), replace(SOME[2], seed=9), replace(SOME[3], grow=-0.11))
    assert extract_perturbed(cohort, quick, named, jobs=1, store=store).reused == 2


def test_processes_make_no_difference(cohort, quick):
    cohort = replace(cohort, cases=cohort.cases[:2], sequences=("t1",))
    one = extract_perturbed(cohort, quick, SOME[2:], jobs=1)
    two = extract_perturbed(cohort, quick, SOME[2:], jobs=2)
    pd.testing.assert_frame_equal(one.to_frame(), two.to_frame(), check_exact=True)


def test_a_failed_case_stops_no_other_and_is_not_stored(cohort, quick, tmp_path):
    store = FeatureStore(tmp_path / "store")
    bad = replace(cohort.cases[1], images={"t1": cohort.cases[1].images["t1"]})
    broken = replace(cohort, cases=(cohort.cases[0], bad, cohort.cases[2]))
    away = Perturbation("away", translate_mm=(500, 0, 0))
    repeats = extract_perturbed(broken, quick, [SOME[0], away], jobs=1, store=store)
    failures = repeats.failures.set_index(["patient_id", "perturbation", "sequence"])
    assert failures.index.tolist() == [
        ("002", "original", "t2"), ("001", "away", "t1"), ("001", "away", "t2"), ("002", "away", "t1"),
        ("002", "away", "t2"), ("003", "away", "t1"), ("003", "away", "t2"),
    ]  # fmt: skip
    lost = failures.loc[("001", "away", "t1")]
    assert lost[["stage", "error"]].tolist() == ["perturb", "MaskError"]
    assert lost["remedy"]
    assert failures.loc[("002", "original", "t2"), "stage"] == "read"
    # away leaves no row; a patient with one sequence has the other missing
    assert repeats.to_frame().index.tolist() == [(who, "original") for who in ("001", "002", "003")]
    assert repeats.to_frame().loc[("002", "original"), "t2__original__firstorder__Mean"] != pytest.approx(0)
    assert repeats.to_frame().filter(like="t2__").isna().all(axis=1).tolist() == [False, True, False]
    assert "leave the image" in repeats._repr_html_()
    assert extract_perturbed(broken, quick, [SOME[0], away], jobs=1, store=store).reused == 5


def test_some_patients_are_drawn_by_seed_or_named(make_cohort, quick, tmp_path):
    cohort = replace(make_cohort(tmp_path / "six", 6, ("t1",)), sequences=("t1",))
    without = replace(cohort.cases[0], images={})
    cohort = replace(cohort, cases=(without, *cohort.cases[1:]))

    store = FeatureStore(tmp_path / "store")

    def drawn(patients, seed=0):
        found = extract_perturbed(
            cohort, quick, SOME[:1], patients=patients, jobs=1, random_state=seed, store=store
        )
        return found.to_frame().index.unique(level=0).tolist()

    assert drawn(3) == drawn(3)
    assert len({tuple(drawn(3, seed)) for seed in range(4)}) > 1
    assert all(who == sorted(who) for who in (drawn(3), drawn(4)))
    # who has no mask cannot be drawn, and more than there are is all
    assert drawn(30) == ["002", "003", "004", "005", "006"]
    assert drawn(["005", "002"]) == ["002", "005"]
    with pytest.raises(CohortError, match="1 of the patients named"):
        drawn(["002", "999"])
    with pytest.raises(ConfigError, match="patients"):
        drawn(0)


def test_names_are_keys(cohort, quick):
    for wrong in ([], [SOME[1], replace(SOME[2], name="grow")]):
        with pytest.raises(ConfigError, match="name"):
            extract_perturbed(cohort, quick, wrong, jobs=1)


def test_stability_of_simulated_patients_says_so(simulated, quick):
    repeats = extract_perturbed(simulated, quick, SOME, jobs=1)
    assert repeats.failures.empty, repeats.failures
    table = repeats.stability().set_index("feature")
    assert table["simulated"].all()
    assert "4 simulated patients" in repr(repeats)
    assert (table["n"] == 4).all()
    # volumes differ between patients by far more than the 10% that were done to them
    assert table.loc["t1__morphology__volume_cm3", "icc"] > 0.9
    assert table["icc"].between(-1 / 3 - 1e-9, 1).all()


def test_two_raters_of_simulated_patients(simulated, quick, tmp_path):
    other = second_rater(simulated, tmp_path)
    store = FeatureStore(tmp_path / "store")
    repeats = compare_raters(simulated, other, quick, jobs=1, store=store)
    assert repeats.to_frame().index.tolist() == [
        (who, name) for who in simulated.patient_ids for name in ("rater_1", "rater_2")
    ]
    first = extract_features(simulated, quick, jobs=1, store=store)
    pd.testing.assert_frame_equal(repeats.to_frame().xs("rater_1", level=1), first.to_frame())
    agreement = repeats.stability("2,1").set_index("feature")
    assert agreement.loc["t1__morphology__volume_cm3", "icc"] > 0.9
    assert agreement.loc["t1__morphology__volume_cm3", "icc"] < 1
    assert agreement["simulated"].all()
    # one rater with himself agrees perfectly
    same = compare_raters(simulated, simulated, quick, jobs=1, store=store).stability("2,1")
    np.testing.assert_allclose(same["icc"], 1.0, rtol=0, atol=1e-12)


def test_raters_who_share_some_patients_or_none(cohort, quick):
    other = replace(cohort, cases=(replace(cohort.cases[0], images={}), cohort.cases[2]))
    repeats = compare_raters(cohort, other, quick, jobs=1)
    assert repeats.to_frame().index.tolist() == [("001", "rater_1"), ("003", "rater_1"), ("003", "rater_2")]
    assert repeats.failures["perturbation"].tolist() == ["rater_2", "rater_2"]
    assert repeats.stability("2,1")["n"].eq(1).all()
    with pytest.raises(CohortError, match="share no patient"):
        compare_raters(cohort, replace(cohort, cases=()), quick, jobs=1)
    with pytest.raises(CohortError, match="share no sequence"):
        compare_raters(cohort, replace(cohort, sequences=("ce_t1",)), quick, jobs=1)


@pytest.mark.shared
@pytest.mark.slow
def test_real_tumors_are_stable_in_shape_and_less_in_texture(shared, tmp_path):
    data = shared / "data" / "sts_mr_t1"
    folders = [data / name for name in ("STS_002", "STS_008", "STS_012", "STS_019", "STS_025", "STS_042")]
    cases = tuple(
        Case(p.name, {"t1": ImageFiles(p / "MR_T1_image.nii.gz", p / "MR_T1_mask.nii.gz")}) for p in folders
    )
    cohort = Cohort(cases, sequences=("t1",))
    path = tmp_path / "texture.yaml"
    path.write_text(
        "setting: {binCount: 32, resampledPixelSpacing: [2, 2, 2], interpolator: sitkBSpline}\n"
        "imageType: {Original: {}}\nfeatureClass: {shape: , firstorder: , glcm: , glszm: }\n"
    )
    # these images are cropped inside the body
    settings = FeatureSettings(settings={"t1": path}, normalize="image")
    repeats = extract_perturbed(cohort, settings, jobs=1)
    assert repeats.failures.empty
    table = repeats.stability()
    kind = table["feature"].str.split("__").str[2]
    medians = table["icc"].groupby(kind).median()
    assert medians["shape"] > 0.9
    assert medians["shape"] > medians["glszm"]
    raters = compare_raters(cohort, second_rater(cohort, tmp_path), settings, jobs=1)
    agreement = raters.stability("2,1").set_index("feature")
    assert agreement.loc["t1__morphology__volume_cm3", "icc"] > 0.95
    assert agreement.loc["t1__original__firstorder__Mean", "icc"] > 0.9
