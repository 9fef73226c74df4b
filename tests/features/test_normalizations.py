"""Every choice of intensities through the extraction: values, keys, recipes, and what is refused."""

from dataclasses import replace

import numpy as np
import pytest
import SimpleITK as sitk

from radiomics_npc.errors import ConfigError, MaskError
from radiomics_npc.features.case_job import CaseJob, case_key, extraction_recipe, measure_pair, read_job
from radiomics_npc.features.extraction import extract_features
from radiomics_npc.features.measure import measure_case
from radiomics_npc.features.perturbed import extract_perturbed
from radiomics_npc.features.table import FeatureTable
from radiomics_npc.imaging.bias_field import correct_bias
from radiomics_npc.imaging.landmarks import Landmarks
from radiomics_npc.imaging.normalize import body_mask, normalize_percentile
from radiomics_npc.imaging.nyul import fit_landmarks, image_landmarks, join_landmarks, normalize_nyul
from radiomics_npc.imaging.perturbation import Perturbation
from radiomics_npc.imaging.reference_tissue import normalize_reference
from radiomics_npc.imaging.volume import Mask, Volume
from radiomics_npc.settings import FeatureSettings
from radiomics_npc.storage import FeatureStore
from radiomics_npc.survival.validation.external import require_same_extraction

MEAN = {"imageType": {"Original": {}}, "featureClass": {"firstorder": ["Mean", "Range"]}, "setting": {}}
MEAN_OF = "original__firstorder__Mean"


def muscle_of(image: Volume) -> Mask:
    """A part of the head beside the tumor."""
    inside = np.zeros(image.array.shape, dtype=bool)
    inside[2:8, 30:38, 14:30] = True
    return Mask(inside, image.spacing_mm)


@pytest.fixture
def landmarks_file(make_case, tmp_path):
    """Learnt from patients who are in no cohort of these tests."""
    path = tmp_path / "landmarks.json"
    found = [image_landmarks(make_case(900 + seed)[0]) for seed in range(3)]
    join_landmarks({"t1": found, "t2": found}).write(path)
    return path


@pytest.fixture
def referenced(cohort, tmp_path, make_case):
    """The cohort with a reference tissue beside every image."""
    path = tmp_path / "muscle.nii.gz"
    sitk.WriteImage(muscle_of(make_case(1)[0]).to_sitk(), str(path))
    cases = tuple(
        replace(
            case,
            images={
                name: replace(files, reference=path, reference_label=1) for name, files in case.images.items()
            },
        )
        for case in cohort.cases
    )
    return replace(cohort, cases=cases)


# -- values ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("normalize", ["percentile", "nyul", "reference"])
def test_features_are_those_of_the_normalized_image(make_case, normalize):
    image, mask = make_case(5)
    scale = fit_landmarks([make_case(seed)[0] for seed in (1, 2)]).scale("t1")
    tissue = muscle_of(image)
    expected = {
        "percentile": lambda: normalize_percentile(image),
        "nyul": lambda: normalize_nyul(image, scale),
        "reference": lambda: normalize_reference(image, tissue),
    }[normalize]().array[mask.array]
    parameters = MEAN | {"setting": {"normalizeScale": 3}}
    found = measure_case(
        image, mask, parameters, normalize=normalize, landmarks=scale.recipe, reference=tissue
    )  # fmt: skip
    assert found.features[MEAN_OF] == pytest.approx(3 * expected.mean(), rel=1e-12)
    assert found.features["original__firstorder__Range"] == pytest.approx(3 * np.ptp(expected), rel=1e-12)
    near_body = normalize != "reference"
    assert (found.diagnostics["tumor_in_body"] is not None) == near_body


def test_bias_is_taken_out_before_anything_else(make_case):
    image, mask = make_case(5)
    body = body_mask(image)
    corrected, field = correct_bias(image, body)
    expected = normalize_percentile(corrected, body=body).array[mask.array].mean()
    found = measure_case(image, mask, MEAN, normalize="percentile", bias_correction=True)
    assert found.features[MEAN_OF] == pytest.approx(expected, rel=1e-12)
    spread = field[body].std() / field[body].mean()
    assert found.diagnostics["bias_field_cv"] == pytest.approx(spread)
    plain = measure_case(image, mask, MEAN, normalize="none", bias_correction=True)
    assert plain.features[MEAN_OF] == pytest.approx(corrected.array[mask.array].mean(), rel=1e-12)
    assert "bias_field_cv" not in measure_case(image, mask, MEAN).diagnostics


@pytest.mark.parametrize("normalize", ["body", "image", "percentile", "nyul", "reference"])
def test_gain_and_offset_of_the_scanner_leave_no_trace(make_case, normalize):
    image, mask = make_case(5)
    other = Volume(image.array * 4 + 30, image.spacing_mm)
    scale = fit_landmarks([make_case(seed)[0] for seed in (1, 2)]).scale("t1").recipe
    found = [
        measure_case(
            one, mask, MEAN, normalize=normalize, landmarks=scale, reference=muscle_of(image)
        ).features[MEAN_OF]
        for one in (image, other)
    ]
    assert found[1] == pytest.approx(found[0], rel=1e-9)


# -- recipes and keys --------------------------------------------------------------------------------


def test_recipes_that_ask_for_nothing_new_are_as_they_were(quick):
    """Their keys, too: nothing is computed anew for run folders made before."""
    assert set(extraction_recipe(quick, "t1", "error")) == {
        "schema", "pyradiomics", "normalize", "morphology", "on_mismatch", "versions",
    }  # fmt: skip


def test_recipes_hold_landmarks_and_bias_correction(quick, landmarks_file):
    wanted = quick.model_copy(update={"normalize": "nyul", "landmarks": landmarks_file})
    recipe = extraction_recipe(wanted, "t2", "error")
    landmarks = Landmarks.read(landmarks_file)
    assert recipe["landmarks"]["standard"] == list(landmarks.scale("t2").standard)
    assert recipe["landmarks"]["sha256"] == landmarks.digest
    assert str(landmarks_file.parent) not in str(recipe)
    corrected = extraction_recipe(quick.model_copy(update={"bias_correction": True}), "t1", "error")
    assert corrected["bias_correction"]["grid_mm"] == 3.5


def test_other_landmarks_are_another_key(cohort, quick, landmarks_file, make_case, tmp_path):
    files = cohort.cases[0].images["t1"]
    keys = []
    for number in range(2):
        path = tmp_path / f"{number}.json"
        fit_landmarks([make_case(70 + number)[0]], "t1").write(path)
        wanted = quick.model_copy(update={"normalize": "nyul", "landmarks": path})
        keys.append(case_key(CaseJob("1", "t1", files, extraction_recipe(wanted, "t1", "error"))))
    assert keys[0] != keys[1]


def test_another_reference_tissue_is_another_key(referenced, quick):
    wanted = quick.model_copy(update={"normalize": "reference"})
    files = referenced.cases[0].images["t1"]
    job = CaseJob("1", "t1", files, extraction_recipe(wanted, "t1", "error"))
    before = case_key(job)
    assert case_key(replace(job, files=replace(files, reference_label=2))) != before
    sitk.WriteImage(sitk.ReadImage(str(files.reference)) * 2, str(files.reference))
    assert case_key(job) != before
    # it does not matter to anybody who does not ask for it
    body = replace(job, recipe=extraction_recipe(quick, "t1", "error"))
    assert case_key(body) == case_key(replace(body, files=replace(files, reference=None)))


def test_a_model_refuses_features_of_another_scale(quick, landmarks_file, make_case, tmp_path):
    other = tmp_path / "other.json"
    fit_landmarks([make_case(4)[0]], "t1").write(other)
    nyul = quick.model_copy(update={"normalize": "nyul", "landmarks": landmarks_file})
    changed = {
        "landmarks": nyul.model_copy(update={"landmarks": other}),
        "normalize": quick.model_copy(update={"normalize": "percentile"}),
        "bias_correction": quick.model_copy(update={"bias_correction": True}),
    }

    def table(settings):
        empty = FeatureTable.__new__(FeatureTable)
        object.__setattr__(
            empty, "settings", {"sequences": {"t1": extraction_recipe(settings, "t1", "error")}}
        )
        return empty

    class Model:
        feature_columns = ("t1__original__firstorder__Mean",)

        def __init__(self, settings):
            self.settings_ = {"features": table(settings).settings}

    for settings in (quick, nyul):
        require_same_extraction(Model(settings), table(settings))
    for part, settings in changed.items():
        mine = nyul if part == "landmarks" else quick
        for trained, asked in ((mine, settings), (settings, mine)):
            with pytest.raises(ConfigError, match=rf"other settings \({part}\)"):
                require_same_extraction(Model(trained), table(asked))


# -- a cohort ----------------------------------------------------------------------------------------


def test_cohort_by_landmarks_computed_and_reused(cohort, quick, landmarks_file, tmp_path):
    wanted = quick.model_copy(update={"normalize": "nyul", "landmarks": landmarks_file})
    store = FeatureStore(tmp_path / "cache")
    first = extract_features(cohort, wanted, jobs=1, store=store)
    again = extract_features(cohort, wanted, jobs=1, store=store)
    assert first.failures.empty
    assert (first.reused, again.reused) == (0, 6)
    assert first.to_frame().equals(again.to_frame())
    # the tumor (420) is brighter than all but a few of the head (260)
    assert first.to_frame()[f"t1__{MEAN_OF}"].between(80, 130).all()


def test_cohort_by_a_reference_tissue(referenced, quick):
    wanted = quick.model_copy(update={"normalize": "reference"})
    found = extract_features(referenced, wanted, jobs=1)
    assert found.failures.empty
    # 160 above the muscle, in the spread of its noise of 30
    assert found.to_frame()[f"t1__{MEAN_OF}"].between(4.5, 6.0).all()


def test_a_case_without_reference_tissue_fails_by_name_and_the_others_do_not(referenced, quick):
    first = referenced.cases[0]
    bare = replace(first, images=first.images | {"t2": replace(first.images["t2"], reference=None)})
    some = replace(referenced, cases=(bare, *referenced.cases[1:]))
    found = extract_features(some, quick.model_copy(update={"normalize": "reference"}), jobs=1)
    assert len(found.failures) == 1
    row = found.failures.iloc[0]
    assert row["message"] == "there is no mask of the reference tissue for t2"
    assert (row["patient_id"], row["sequence"]) == ("001", "t2")


def test_perturbed_images_take_the_reference_tissue_along(referenced, tmp_path):
    """Where the image is moved in whole voxels with everything in it, nothing changes."""
    path = tmp_path / "native.yaml"
    path.write_text("imageType: {Original: {}}\nfeatureClass: {firstorder: [Mean]}\n")
    wanted = FeatureSettings(settings={"t1": path, "t2": path}, normalize="reference", morphology=False)
    # so far that a reference tissue left behind would lie in the tumor
    moved = Perturbation("moved", translate_voxels=(0.0, 10.0, 0.0), moves="both")
    repeats = extract_perturbed(
        referenced, wanted, [Perturbation("original"), moved], patients=["001"], jobs=1
    )
    assert repeats.failures.empty
    table = repeats.to_frame()[f"t1__{MEAN_OF}"].droplevel("patient_id")
    assert table["moved"] == pytest.approx(table["original"], rel=1e-6)


def test_the_unperturbed_case_is_the_extracted_one(referenced, quick, tmp_path):
    wanted = quick.model_copy(update={"normalize": "reference", "bias_correction": True})
    store = FeatureStore(tmp_path / "cache")
    extract_features(referenced, wanted, jobs=1, store=store)
    repeats = extract_perturbed(referenced, wanted, [Perturbation("original")], jobs=1, store=store)
    assert repeats.reused == 6


# -- refused -----------------------------------------------------------------------------------------


def test_landmarks_and_images_are_both_corrected_or_neither(quick, make_case, tmp_path):
    path = tmp_path / "landmarks.json"
    fit_landmarks([make_case(1)[0]], "t1", bias_correction=True).write(path)
    wanted = quick.model_copy(update={"normalize": "nyul", "landmarks": path})
    with pytest.raises(ConfigError, match=r"landmarks\.json was learnt with bias correction"):
        extraction_recipe(wanted, "t1", "error")
    both = wanted.model_copy(update={"bias_correction": True})
    assert "landmarks" in extraction_recipe(both, "t1", "error")
    with pytest.raises(ConfigError, match="no standard scale of t2"):
        extraction_recipe(both, "t2", "error")


@pytest.mark.parametrize("normalize", ["percentile", "nyul"])
def test_outliers_are_counted_in_standard_deviations_only(normalize, tmp_path, landmarks_file):
    path = tmp_path / "own.yaml"
    path.write_text("setting: {removeOutliers: 3}\nimageType: {Original: {}}\n")
    landmarks = landmarks_file if normalize == "nyul" else None
    wanted = FeatureSettings(settings={"t1": path}, normalize=normalize, landmarks=landmarks)
    with pytest.raises(ConfigError, match="removeOutliers"):
        extraction_recipe(wanted, "t1", "error")
    extraction_recipe(FeatureSettings(settings={"t1": path}, normalize="reference"), "t1", "error")


def test_what_the_recipe_needs_must_be_there(make_case):
    image, mask = make_case(1)
    with pytest.raises(MaskError, match="reference tissue"):
        measure_case(image, mask, MEAN, normalize="reference")
    with pytest.raises(ConfigError, match="landmarks"):
        measure_case(image, mask, MEAN, normalize="nyul")
    with pytest.raises(ConfigError, match="not known"):
        measure_pair(image, mask, {"pyradiomics": MEAN, "normalize": "other", "morphology": False})


def test_the_reference_tissue_is_read_only_where_it_is_asked_for(referenced, quick):
    files = referenced.cases[0].images["t1"]
    plain = CaseJob("1", "t1", replace(files, reference_label=9), extraction_recipe(quick, "t1", "error"))
    assert read_job(plain)[2] is None
    wanted = quick.model_copy(update={"normalize": "reference"})
    asked = replace(plain, recipe=extraction_recipe(wanted, "t1", "error"))
    with pytest.raises(MaskError, match="reference tissue of t1"):
        read_job(asked)
