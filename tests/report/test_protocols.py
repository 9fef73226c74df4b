"""Scanners, protocols and image quality by center: read from a run, as a table, a figure and a section."""

import numpy as np
import pandas as pd
import pytest

from radiomics_npc.cohort.cases import Case, Cohort
from radiomics_npc.errors import CohortError
from radiomics_npc.nomogram.style import mark_simulated, save_figure
from radiomics_npc.report.html import report_html
from radiomics_npc.report.protocol_figures import protocol_figure
from radiomics_npc.report.protocols import groups_of, protocol_table, read_protocols
from radiomics_npc.storage import write_table
from radiomics_npc.study_acquisition import check_acquisition, odd_parameters

SEQUENCES = ("t1", "t2", "ce_t1")


def _acquisition(patients=12, centers=("North", "South"), scanners=("Achieva", "Signa HDxt")):
    rows = [
        {
            "patient_id": f"{k:03d}", "center": centers[k % len(centers)] if centers else None,
            "sequence": sequence, "scanner_device_name": scanners[k % len(scanners)],
            "magnetic_field_strength": 1.5, "echo_time": echo + k % 2,
            "repetition_time": 50 * echo - 50.0 + k,
            "pixel_spacing": 0.43, "slice_distance_mm": 5.5, "slice_thickness": 5.0, "flip_angle": 90.0,
        }
        for k in range(patients)
        for sequence, echo in zip(SEQUENCES, (12.0, 80.0, 12.0), strict=True)
    ]  # fmt: skip
    return pd.DataFrame(rows)


@pytest.fixture
def write(tmp_path):
    def write(acquisition, quality=None):
        write_table(tmp_path / "acquisition.csv", acquisition)
        if quality is not None:
            write_table(tmp_path / "image_quality.csv", quality)
        return read_protocols(tmp_path)

    return write


def test_the_table_is_that_of_the_numbers(write):
    acquisition = _acquisition()
    quality = acquisition[["patient_id", "sequence"]].assign(snr=np.arange(36.0), ghost_percent=0.123)
    part = write(acquisition, quality)
    assert part["by"] == "center"
    table = protocol_table(part).set_index(["Parameter", "Sequence"])
    assert list(table.columns) == ["North", "South"]
    assert table.loc[("Patients", ""), "North"] == "6"
    assert table.loc[("Achieva, 1.5 T", "")].tolist() == ["18 series", "0 series"]
    assert table.loc[("Echo time (ms)", "T2")].tolist() == ["80", "81"]
    north = acquisition[(acquisition["center"] == "North") & (acquisition["sequence"] == "t1")]
    snr = quality.loc[north.index, "snr"]
    assert table.loc[("Signal-to-noise ratio", "T1"), "North"] == (
        f"{snr.median():g} ({snr.min():g} to {snr.max():g})"
    )
    assert table.loc[("Ghosts (% of the signal)", "CE-T1")].tolist() == ["0.12", "0.12"]


def test_without_centers_scanners_are_compared_and_without_metadata_nothing_is_said(write, tmp_path):
    part = write(_acquisition(centers=()))
    assert part["by"] == "scanner"
    assert groups_of(part) == ["Achieva, 1.5 T", "Signa HDxt, 1.5 T"]
    assert read_protocols(tmp_path / "absent") is None
    unknown = _acquisition(centers=()).assign(scanner_device_name=None, magnetic_field_strength=None)
    assert groups_of(write(unknown)) == ["scanner not known"]


def test_many_centers_are_the_largest_and_the_others(write):
    part = write(_acquisition(patients=40, centers=tuple(f"c{k}" for k in range(13))))
    groups = groups_of(part)
    assert len(groups) == 9
    assert groups[-1] == "others"
    assert part["table"]["patient_id"].nunique() == 40


def test_the_figure_has_a_panel_a_parameter_and_a_mark_a_series(write, tmp_path):
    part = write(_acquisition())
    figure = protocol_figure(part)
    panels = {axes.get_xlabel(): axes for axes in figure.axes if axes.axison}
    assert list(panels) == [
        "Series", "Field strength (T)", "Echo time (ms)", "Repetition time (ms)", "Pixel spacing (mm)",
        "Slice distance (mm)",
    ]  # fmt: skip
    drawn = [line for line in panels["Echo time (ms)"].lines if line.get_marker() in ("o", "s", "^")]
    assert sum(len(line.get_xdata()) for line in drawn) == 36
    assert sorted(np.concatenate([line.get_xdata() for line in drawn])) == sorted(part["table"]["echo_time"])
    assert sum(bar.get_width() for bar in panels["Series"].patches) == 36
    mark_simulated(figure)
    for kind in ("svg", "png"):
        assert save_figure(figure, tmp_path / f"p.{kind}").stat().st_size > 10_000
    assert len(protocol_figure(write(_acquisition(centers=()))).axes) == 4
    with pytest.raises(CohortError, match="no acquisition parameter"):
        protocol_figure({"table": part["table"][["patient_id", "sequence", "group"]], "by": "scanner"})


def test_the_section_appears_with_metadata_alone(write):
    bare = {"title": "Bare", "flow": {"read": 3, "analyzed": 3}}
    page = report_html({**bare, "protocols": write(_acquisition())})
    assert '<h2 id="protocols">Scanners and protocols' in page
    assert "Parameters by center" in page
    assert 'id="protocols"' not in report_html({**bare, "protocols": None})
    empty = write(_acquisition()[["patient_id", "center", "sequence", "scanner_device_name"]].assign(
        magnetic_field_strength=None
    ))  # fmt: skip
    assert "Scanners and protocols" in report_html({**bare, "protocols": empty})


def test_odd_parameters_are_one_warning_each():
    table = _acquisition(patients=30)
    assert odd_parameters(table) == []
    table.loc[table["patient_id"] == "003", "repetition_time"] /= 1000  # in seconds
    table.loc[(table["sequence"] == "t2") & table["patient_id"].isin(["004", "005"]), "pixel_spacing"] = 43.0
    found = {(f.sequence, f.patient_id): f.problem for f in odd_parameters(table)}
    assert found[("t1", "003")] == "repetition time 0.553 ms; published are 366.67 to 2283.34 ms"
    assert found[("t2", "")].startswith(
        "pixel spacing 43 to 43 mm; published are 0.38 to 0.98 mm (2 patients: 004"
    )
    assert len(found) == 4


def test_outliers_of_the_cohort_need_to_be_far_away():
    table = _acquisition(patients=40, centers=())
    table["repetition_time"] = np.linspace(2900, 3300, 40).repeat(3)
    table.loc[7, "repetition_time"] = 5500.0  # t2 of patient 002
    (finding,) = odd_parameters(table[table["sequence"] == "t2"])
    assert finding.patient_id == "002"
    assert "the median of this cohort" in finding.problem


def test_nothing_is_written_without_images(tmp_path):
    (tmp_path / "acquisition.csv").write_text("old")
    assert check_acquisition(Cohort((Case("001"),)), tmp_path) == []
    assert not (tmp_path / "acquisition.csv").exists()


def test_acquisition_of_a_cohort_is_written_with_its_centers(tmp_path):
    import SimpleITK as sitk

    from radiomics_npc.cohort.cases import ImageFiles

    image = sitk.GetImageFromArray(np.zeros((4, 8, 8), np.int16))
    image.SetSpacing((0.5, 0.5, 5.5))
    sitk.WriteImage(image, str(tmp_path / "T1.nii"))
    cohort = Cohort((Case("001", {"t1": ImageFiles(tmp_path / "T1.nii")}, "North"),), sequences=("t1",))
    assert check_acquisition(cohort, tmp_path, jobs=1) == []
    part = read_protocols(tmp_path)
    assert part["table"][["patient_id", "center", "slice_distance_mm"]].to_numpy().tolist() == [
        ["001", "North", 5.5]
    ]
