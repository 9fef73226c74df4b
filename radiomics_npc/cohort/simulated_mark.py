"""Whether files are of patients that never lived: the folder that holds them says so."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

from radiomics_npc.errors import CohortError

__all__ = ["lie_in_simulated"]


def lie_in_simulated(paths: Iterable[Path]) -> bool:
    """Whether any of these files or folders lies in a simulated data set.

    Parameters
    ----------
    paths : iterable of Path
        For each, ``dataset.json`` is looked for there and in the four folders above.

    Raises
    ------
    CohortError
        One is damaged: guessing could show simulated patients as real ones.

    Examples
    --------
    >>> import tempfile
    >>> root = Path(tempfile.mkdtemp())
    >>> _ = (root / "dataset.json").write_text('{"simulated": true}')
    >>> lie_in_simulated([root / "masks" / "001" / "ROI-T1.nii"])
    True
    """
    folders = {folder for path in paths for folder in (path, *list(path.absolute().parents)[:4])}
    return any(_says_simulated(folder / "dataset.json") for folder in folders)


def _says_simulated(file: Path) -> bool:
    if not file.is_file():
        return False
    try:
        content = json.loads(file.read_text(encoding="utf-8-sig"))
    except ValueError as error:
        raise CohortError("dataset.json is damaged", "Restore it, or simulate the cohort again.") from error
    return isinstance(content, dict) and content.get("simulated") is True
