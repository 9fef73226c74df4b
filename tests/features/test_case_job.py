"""A case as a job: keys that outlive the code that made them, failures without folders."""

from contextlib import suppress
from dataclasses import replace

import pytest
import SimpleITK as sitk

from radiomics_npc.cohort.cases import ImageFiles
from radiomics_npc.errors import ImageError, MaskError
from radiomics_npc.features.case_job import CaseJob, case_key, describe_failure, one_itk_thread

RECIPE = {"schema": 1, "pyradiomics": {"setting": {"binCount": 16}}, "normalize": "body"}


@pytest.fixture
def job(tmp_path):
    (tmp_path / "image.nhdr").write_bytes(b"NRRD0004\ndata file: image.raw\n")
    (tmp_path / "image.raw").write_bytes(b"voxels")
    (tmp_path / "mask.nii").write_bytes(b"mask")
    return CaseJob("001", "t1", ImageFiles(tmp_path / "image.nhdr", tmp_path / "mask.nii", 2), RECIPE)


def test_the_key_is_the_one_of_run_folders_made_before(job):
    """A changed key would compute every cohort anew: change it only with the schema number."""
    assert case_key(job) == "8b2a68465138baf675390c1ac81f6244d79874b748082ad799df0729ca57b352"


def test_the_key_is_of_the_content_and_of_nothing_else(job, tmp_path):
    before = case_key(job)
    elsewhere = replace(job, patient_id="002", sequence="t2", store_root=tmp_path)
    assert case_key(elsewhere) == before
    assert case_key(replace(job, recipe={**RECIPE, "normalize": "none"})) != before
    assert case_key(replace(job, files=replace(job.files, label=1))) != before
    assert case_key(replace(job, files=replace(job.files, label=(2, 3)))) != before
    assert case_key(replace(job, files=replace(job.files, series="1.2.3"))) != before
    (tmp_path / "image.raw").write_bytes(b"others")  # the header alone is the same
    assert case_key(job) != before


def test_the_table_that_names_a_region_is_part_of_the_key(job, tmp_path):
    named = replace(job, files=replace(job.files, label=("GTVp", 3)))
    table = tmp_path / "mask.label"
    table.write_text('2 255 0 0 1 1 1 "GTVp"')
    by_value, by_name = case_key(job), case_key(named)
    table.write_text('3 255 0 0 1 1 1 "GTVp"')
    assert case_key(job) == by_value
    assert case_key(named) != by_name


def test_what_is_not_there_is_named(job, tmp_path):
    with pytest.raises(ImageError, match="there is no t1 image"):
        case_key(replace(job, files=None))
    with pytest.raises(MaskError, match="there is no t1 mask"):
        case_key(replace(job, files=replace(job.files, mask=None)))
    (tmp_path / "mask.nii").unlink()
    with pytest.raises(ImageError, match=r"^mask\.nii does not exist"):
        case_key(job)


def test_a_failure_keeps_its_words_but_no_folder():
    known = describe_failure(MaskError("mask is empty", "Draw it."), "read")
    assert known == {"stage": "read", "error": "MaskError", "message": "mask is empty", "remedy": "Draw it."}
    lost = FileNotFoundError(2, "No such file", "/data/Smith_John/scan.nii")
    for error in (lost, RuntimeError("itk trace\ncannot open /data/Smith_John/scan.nii")):
        found = describe_failure(error, "extract")
        assert found["error"] == "ExtractionError"
        assert "Smith" not in " ".join(found.values())
        assert type(error).__name__ in found["message"]


def test_threads_are_given_back_after_an_error():
    before = sitk.ProcessObject.GetGlobalDefaultNumberOfThreads()
    inside = []
    with suppress(ValueError), one_itk_thread():
        inside.append(sitk.ProcessObject.GetGlobalDefaultNumberOfThreads())
        raise ValueError
    assert inside == [1]
    assert sitk.ProcessObject.GetGlobalDefaultNumberOfThreads() == before
