"""Predicted masks of one method or several against a reference, as a challenge would score and rank them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd

from radiomics_npc.cohort.regions import Structures
from radiomics_npc.cohort.simulated_mark import lie_in_simulated
from radiomics_npc.dataset.case_files import find_case_masks, find_image
from radiomics_npc.dataset.evaluation import ChallengeEvaluation
from radiomics_npc.dataset.evaluation_settings import (
    Classes,
    class_tolerances,
    name_methods,
    require_known,
    wanted_classes,
)
from radiomics_npc.dataset.scored_cases import FAILURES, UNSCORED, CaseOrder, score_cases
from radiomics_npc.errors import CohortError, ConfigError
from radiomics_npc.segmentation.evaluation import summarize
from radiomics_npc.segmentation.method_comparison import compare_methods
from radiomics_npc.segmentation.method_scores import DISTANCES, MethodScores, finite_distances
from radiomics_npc.segmentation.rank_stability import bootstrap_ranks
from radiomics_npc.segmentation.ranking import Scheme, compare_schemes, rank_methods
from radiomics_npc.segmentation.surface import SurfaceMode

__all__ = ["SUMMARIZED", "ChallengeEvaluation", "evaluate_folders", "name_methods"]

#: Measures of the summary.
SUMMARIZED: Final = (
    "dice", "nsd", "hd95_mm", "mean_surface_distance_mm", "sensitivity", "precision", "jaccard",
    "volume_error_cm3", "volume_error_percent",
)  # fmt: skip


def evaluate_folders(
    predictions: Mapping[str, Path | str],
    reference: Path | str,
    *,
    classes: Classes | None = None,
    tolerances_mm: float | Mapping[str, float] = 1.0,
    measures: Sequence[str] = ("dice", "nsd"),
    scheme: Scheme = "rank_then_aggregate",
    surface: SurfaceMode = "faces",
    on_mismatch: str = "error",
    empty_reference: str = "score",
    infinite: str | float = "diagonal",
    images: Path | str | None = None,
    resamples: int = 1000,
    random_state: int = 0,
    jobs: int = 0,
    progress: bool = True,
) -> ChallengeEvaluation:
    """Score folders of predicted masks against a folder of references, and rank them.

    Parameters
    ----------
    predictions : mapping of str to path
        Folder of each method, by its name.
    reference : path
        Folders hold label maps named by case, or a folder a case; see
        :func:`radiomics_npc.dataset.case_files.find_case_masks`.
    classes : mapping of str to int, str or tuple of them, or sequence of str, optional
        Value or name of each class in the files; names alone are found as they are. By default what the
        reference holds: ``dataset.json``, names of segments or of files, else values.
    tolerances_mm : float or mapping of str to float
        Of the NSD, for all or by class; classes that are not named have 1 mm. SegRap took 1 mm, and 2 mm for
        the larynx.
    measures : sequence of str
        What methods are ranked by.
    scheme : str
        How; see :mod:`radiomics_npc.segmentation.ranking`.
    surface : {"faces", "surfel"}
        As in :func:`radiomics_npc.segmentation.metrics.segmentation_metrics`; ``"surfel"`` for numbers that
        compare with challenges that use DeepMind's surface-distance.
    on_mismatch : {"error", "resample"}
        A prediction on another grid than its reference: refuse, which counts as missing, or take the nearest
        voxel. Turned and cropped masks are put in place without it.
    empty_reference : {"score", "omit"}
        A class of which nothing is drawn in a case: 1 where the prediction is empty too and 0 where it is
        not, or left out of that case.
    infinite : {"diagonal"} or float
        What stands for infinite distances in means, ranks and tests: the diagonal of the reference's grid,
        or a length in mm.
    images : path, optional
        Folder with the image of each case (``CASE.nii.gz``, ``CASE_0000.nii.gz``, ``CASE/``): contours of an
        RTSTRUCT without images beside them need it, or a mask on its grid on the other side.
    resamples : int
        Bootstrap samples of the cases.
    random_state : int
    jobs : int
        Processes; 0 takes all cores.
    progress : bool

    Returns
    -------
    ChallengeEvaluation

    Raises
    ------
    CohortError
        A folder is absent or holds no masks, or a method shares no case with the reference.
    ConfigError
        A setting is none, or a tolerance is of an unknown class.

    Notes
    -----
    A prediction that is missing, damaged or on another grid scores 0, and its distances are infinite; it is
    never left out. A class that a reference file does not hold is empty; one for which a case has no file is
    not scored in it, as are predictions without reference. Both are listed.

    Examples
    --------
    >>> import tempfile
    >>> import SimpleITK as sitk
    >>> root = Path(tempfile.mkdtemp())
    >>> for name, shift in (("reference", 0), ("near", 1), ("far", 4)):
    ...     for case in ("1", "2"):
    ...         array = np.zeros((4, 40, 40), dtype=np.uint8)
    ...         array[1:3, 10:30, 10 + shift : 30 + shift] = 1
    ...         (root / name).mkdir(exist_ok=True)
    ...         sitk.WriteImage(sitk.GetImageFromArray(array), str(root / name / f"{case}.nii"))
    >>> folders = {name: root / name for name in ("far", "near")}
    >>> found = evaluate_folders(folders, root / "reference", jobs=1, progress=False, resamples=10)
    >>> found.ranking.table[["method", "rank"]].to_numpy().tolist()
    [['near', 1], ['far', 2]]
    >>> found.table.groupby("method")["dice"].mean().to_dict()
    {'far': 0.8, 'near': 0.95}
    """
    require_known(surface, on_mismatch, empty_reference, infinite, resamples)
    if not predictions:
        raise ConfigError("there is no prediction", "Name at least one folder.")
    truth = find_case_masks(Path(reference))
    methods = {str(name): find_case_masks(Path(folder)) for name, folder in predictions.items()}
    wanted = wanted_classes(classes, truth)
    tolerances = class_tolerances(tolerances_mm, wanted)
    orders = [
        CaseOrder(
            case, masks, {name: found.get(case) for name, found in methods.items()},
            [(w, tolerances[w.name]) for w in wanted],
            None if images is None else find_image(Path(images), case), on_mismatch, empty_reference, surface,
        )
        for case, masks in truth.items()
    ]  # fmt: skip
    _require_shared(methods, truth)
    table, unscored, failures = score_cases(orders, jobs=jobs, progress=progress)
    if table.empty:
        reasons = [*failures["message"], *unscored["reason"]]
        raise CohortError("no case could be scored", f"The first: {reasons[0]}.")
    table["diagonal_mm"] = table["diagonal_mm"].fillna(table["diagonal_mm"].max())
    settings = {
        "tolerances_mm": tolerances, "measures": list(measures), "scheme": scheme, "surface": surface,
        "on_mismatch": on_mismatch, "empty_reference": empty_reference, "infinite": infinite,
        "resamples": resamples, "random_state": random_state,
    }  # fmt: skip
    simulated = lie_in_simulated([Path(reference), *(Path(folder) for folder in predictions.values())])
    unscored = pd.concat([unscored, _spare(methods, truth)], ignore_index=True)
    failures = pd.concat([failures, _never_found(table)], ignore_index=True)
    return _ranked(table, unscored, failures, settings, simulated)


def _require_shared(methods: Mapping[str, Mapping[str, Structures]], truth: Mapping[str, Structures]) -> None:
    for name, found in methods.items():
        if not set(found) & set(truth):
            raise CohortError(
                f"{name} and the reference share no case ({next(iter(found))} against {next(iter(truth))})",
                "Name files, or folders, of predictions as those of the reference.",
            )


def _spare(methods: Mapping[str, Mapping[str, Structures]], truth: Mapping[str, Structures]) -> pd.DataFrame:
    rows = [
        {"method": name, "case": case, "class": "", "reason": "there is no reference"}
        for name, found in methods.items()
        for case in found
        if case not in truth
    ]
    return pd.DataFrame(rows, columns=UNSCORED)


def _never_found(table: pd.DataFrame) -> pd.DataFrame:
    """Classes that a method leaves empty in every case: perhaps they have another name there."""
    rows = []
    for (method, name), part in table.groupby(["method", "class"], sort=False):
        drawn = part[(part["reference_cm3"] > 0) & ~part["missing"].astype(bool)]
        if len(drawn) and (drawn["predicted_cm3"] == 0).all():
            message = f"no prediction holds {name}: in every case nothing is drawn of it"
            remedy = "If files or segments call it otherwise, say so with the classes."
            row = {"method": method, "case": "", "class": name, "error": "RegionAbsentError"}
            rows.append(row | {"message": message, "remedy": remedy})
    return pd.DataFrame(rows, columns=FAILURES)


def _ranked(
    table: pd.DataFrame, unscored: pd.DataFrame, failures: pd.DataFrame, settings: dict[str, Any],
    simulated: bool,
) -> ChallengeEvaluation:  # fmt: skip
    """All that follows from the scores."""
    ranking, stability, schemes, comparisons = None, None, pd.DataFrame(), pd.DataFrame()
    bootstrap = {"resamples": settings["resamples"], "random_state": settings["random_state"]}
    scores = MethodScores.from_table(
        table.assign(simulated=simulated), settings["measures"], infinite=settings["infinite"]
    )
    if len(scores.methods) > 1:
        scheme = settings["scheme"]
        ranking = rank_methods(scores, scheme=scheme)
        schemes = compare_schemes(scores).set_index("method").loc[ranking.methods].reset_index()
        if scheme != "test_based":
            stability = bootstrap_ranks(scores, scheme=scheme, **bootstrap)
        comparisons = compare_methods(scores, order=ranking.methods, **bootstrap)
        place = {method: k for k, method in enumerate(ranking.methods)}
        table = table.sort_values(
            "method", key=lambda names: names.map(place), kind="stable", ignore_index=True
        )
    summary = _summary(table, settings, simulated)
    return ChallengeEvaluation(
        table, summary, ranking, schemes, stability, comparisons, unscored, failures,
        settings, simulated,
    )  # fmt: skip


def _summary(table: pd.DataFrame, settings: Mapping[str, Any], simulated: bool) -> pd.DataFrame:
    """Means of every method by class, infinite distances replaced and counted."""
    finite = finite_distances(table, settings["infinite"])
    finite["class"] = pd.Categorical(finite["class"], list(dict.fromkeys(table["class"])))
    parts = []
    for method, rows in finite.groupby("method", sort=False):
        found = summarize(
            rows, ["class"], measures=SUMMARIZED, unit="case", resamples=settings["resamples"],
            random_state=settings["random_state"],
        )  # fmt: skip
        raw = table[table["method"] == method]
        for name, part in [("all", raw), *raw.groupby("class")]:
            here = found["group"] == name
            found.loc[here, "missing"] = part.loc[part["missing"].astype(bool), "case"].nunique()
            for measure in DISTANCES:
                cases = part.loc[np.isinf(part[measure]), "case"].nunique()
                found.loc[here & (found["measure"] == measure), "infinite"] = cases
        parts.append(found.drop(columns="by").rename(columns={"group": "class"}).assign(method=method))
    summary = pd.concat(parts, ignore_index=True)
    summary.insert(0, "method", summary.pop("method"))
    summary["missing"] = summary["missing"].astype(int)
    return summary.assign(simulated=True) if simulated else summary
