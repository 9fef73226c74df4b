"""The published tables of the nasopharyngeal carcinoma MRI data set, as data.

Source: Li Y. et al., "A dataset of primary nasopharyngeal carcinoma MRI with
multi-modalities segmentation" (Zenodo 13131827, CC BY 4.0), Tables 1 to 4.

Table 4 contradicts itself in places. Its groups sum to 278 while the text has
277 patients; in stage IVA the N counts sum to 95 of 94 (N1 is printed as 31
with 31.9%, which is 30 of 94). An N1 stands in stage I and an M1 in stage IVA.
The constants below hold the readings that are free of contradiction; the
contradictions are planted on request by :mod:`radiomics_npc.simulate.clinical`.
"""

from __future__ import annotations

from typing import Final, NamedTuple

__all__ = ["ACQUISITION", "MORPHOLOGY", "SCANNERS", "STAGES", "Range", "Scanner", "StageGroup"]


class Range(NamedTuple):
    """A published median with its minimum and maximum."""

    median: float
    low: float
    high: float


class Scanner(NamedTuple):
    """A scanner of Table 3: how many patients, who makes it, its field in tesla."""

    patients: int
    manufacturer: str
    field_tesla: float


class StageGroup(NamedTuple):
    """One column of Table 4. Counts, except ``age`` (mean, SD, minimum, maximum in years)."""

    patients: int
    female: int
    age: tuple[float, float, float, float]
    pathology: tuple[int, int, int]
    tn: dict[tuple[str, str], float]
    ebv_positive: int
    vca_positive: int


# Table 1. The median slice spacing and thickness are shared by the three sequences.
ACQUISITION: Final[dict[str, dict[str, Range]]] = {
    "t1": {
        "echo_time_ms": Range(12.0, 8.6, 16.4),
        "repetition_time_ms": Range(570.88, 366.67, 2283.34),
        "slice_spacing_mm": Range(5.5, 0.5, 7.0),
        "slice_thickness_mm": Range(5.0, 4.0, 6.2),
        "pixel_spacing_mm": Range(0.43, 0.38, 0.55),
        "field_of_view_mm": Range(220, 220, 250),
        "flip_angle_deg": Range(90, 65, 142),
        "matrix": Range(512, 512, 640),
    },
    "t2": {
        "echo_time_ms": Range(80.0, 66.46, 123.09),
        "repetition_time_ms": Range(3192.87, 2500.0, 7633.34),
        "slice_spacing_mm": Range(5.5, 0.5, 7.0),
        "slice_thickness_mm": Range(5.0, 4.0, 6.2),
        "pixel_spacing_mm": Range(0.43, 0.38, 0.98),
        "field_of_view_mm": Range(225, 220, 250),
        "flip_angle_deg": Range(90, 90, 180),
        "matrix": Range(512, 256, 640),
    },
    "ce_t1": {
        "echo_time_ms": Range(12.0, 1.67, 16.4),
        "repetition_time_ms": Range(632.0, 330.0, 1100.0),
        "slice_spacing_mm": Range(5.5, 0.5, 7.0),
        "slice_thickness_mm": Range(5.0, 4.0, 6.2),
        "pixel_spacing_mm": Range(0.45, 0.4, 0.55),
        "field_of_view_mm": Range(220, 220, 250),
        "flip_angle_deg": Range(90, 80, 142),
        "matrix": Range(512, 432, 640),
    },
}

# Table 2
MORPHOLOGY: Final[dict[str, dict[str, Range]]] = {
    "t1": {
        "volume_cm3": Range(8.60, 0.68, 70.34),
        "surface_area_cm2": Range(38.03, 6.25, 198.49),
        "max_diameter_cm": Range(4.51, 2.14, 9.96),
        "surface_regularity": Range(0.40, 0.23, 0.63),
    },
    "t2": {
        "volume_cm3": Range(8.67, 0.40, 73.12),
        "surface_area_cm2": Range(37.12, 4.55, 199.80),
        "max_diameter_cm": Range(4.51, 1.73, 10.08),
        "surface_regularity": Range(0.40, 0.23, 0.62),
    },
    "ce_t1": {
        "volume_cm3": Range(9.42, 0.61, 84.24),
        "surface_area_cm2": Range(40.35, 5.38, 230.52),
        "max_diameter_cm": Range(4.70, 2.00, 10.15),
        "surface_regularity": Range(0.39, 0.23, 0.84),
    },
}

# Table 3 gives the models and their numbers; the fields of Achieva and MR750w are in the text,
# the others are those the model was sold with (the Impact is a 1.0 T magnet).
SCANNERS: Final[dict[str, Scanner]] = {
    "Achieva": Scanner(146, "Philips Medical Systems", 1.5),
    "MAGNETOM IMPACT": Scanner(93, "SIEMENS", 1.0),
    "Signa HDxt": Scanner(20, "GE MEDICAL SYSTEMS", 1.5),
    "DISCOVERY MR750w": Scanner(12, "GE MEDICAL SYSTEMS", 3.0),
    "OPTIMA MR360": Scanner(5, "GE MEDICAL SYSTEMS", 1.5),
    "SIGNA EXCITE": Scanner(1, "GE MEDICAL SYSTEMS", 1.5),
}

PATHOLOGY: Final = (
    "Non-Keratinized Squamous Cell Carcinoma",
    "Keratinized Squamous Cell Carcinoma",
    "Basaloid Squamous Cell Carcinoma",
)

# Table 4. Within stages I to IVA the T and N margins and the staging rules (UICC/AJCC 8) leave one
# joint table only; in IVB, where any T and N is allowed, T and N are taken as independent.
_IVB_T = {"T0": 1, "T2": 2, "T3": 4, "T4": 6}
_IVB_N = {"N1": 1, "N2": 4, "N3": 8}
STAGES: Final[dict[str, StageGroup]] = {
    "I": StageGroup(5, 1, (51.8, 11.4, 44, 70), (4, 1, 0), {("T1", "N0"): 5}, 0, 1),
    "II": StageGroup(
        26, 10, (49.7, 13.5, 27, 80), (24, 2, 0),
        {("T1", "N1"): 8, ("T2", "N0"): 6, ("T2", "N1"): 12}, 5, 20,
    ),
    "III": StageGroup(
        140, 41, (50.8, 13.0, 22, 91), (135, 5, 0),
        {("T1", "N2"): 2, ("T2", "N2"): 41, ("T3", "N0"): 10, ("T3", "N1"): 31, ("T3", "N2"): 56}, 31, 95,
    ),
    "IVA": StageGroup(
        94, 18, (49.5, 12.6, 20, 74), (90, 4, 0),
        {("T2", "N3"): 3, ("T3", "N3"): 15, ("T4", "N0"): 5,
         ("T4", "N1"): 30, ("T4", "N2"): 29, ("T4", "N3"): 12},
        36, 75,
    ),
    "IVB": StageGroup(
        13, 4, (58.0, 9.86, 36, 71), (12, 0, 1),
        {(t, n): i * j / 13 for t, i in _IVB_T.items() for n, j in _IVB_N.items()}, 6, 10,
    ),
}  # fmt: skip
