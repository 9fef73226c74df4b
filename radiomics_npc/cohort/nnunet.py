"""The layout of nnU-Net: channels numbered in file names, named in dataset.json."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from radiomics_npc.cohort.cases import Label
from radiomics_npc.cohort.findings import Finding
from radiomics_npc.cohort.image_files import image_files
from radiomics_npc.cohort.labels import as_label
from radiomics_npc.cohort.regions import FoundCase, FoundImage, Structures
from radiomics_npc.cohort.sequence_names import named_sequence
from radiomics_npc.cohort.sequences import recognize_sequence
from radiomics_npc.errors import CohortError

__all__ = ["find_nnunet", "nnunet_folder"]

_ENDINGS = (".nii.gz", ".nii", ".nrrd", ".mha")
_PARTS = (("imagesTr", "labelsTr"), ("imagesTs", "labelsTs"))


def nnunet_folder(root: Path) -> Path:
    """Folder of the data set: ``root`` itself, or the only one within that holds ``dataset.json``.

    Raises
    ------
    CohortError
        There is none, or several.
    """
    inner = [root, *(sorted(root.iterdir()) if root.is_dir() else [])]
    found = [p for p in inner if (p / "dataset.json").is_file() and (p / "imagesTr").is_dir()]
    if found and (found[0] == root or len(found) == 1):
        return found[0]
    if found:
        raise CohortError(
            f"{root.name} holds several data sets: {', '.join(p.name for p in found)}",
            "Name one of them as cohort.path.",
        )
    raise CohortError(
        f"{root.name or 'the folder'} holds no data set of nnU-Net",
        "Expected dataset.json beside imagesTr and labelsTr; otherwise write a manifest.",
    )


def find_nnunet(
    root: Path, sequences: Sequence[str], names: Mapping[str, Sequence[str]] | None = None
) -> tuple[list[FoundCase], list[Finding]]:
    """Find patients in the layout of nnU-Net, version 1 or 2.

    Parameters
    ----------
    root : Path
        Holds ``dataset.json`` (channels under ``channel_names`` or ``modality``, names of labels under
        ``labels``, each a value, or a list of values for a region), ``imagesTr/CASE_0000.nii.gz`` and
        ``labelsTr/CASE.nii.gz`` (``Ts`` as well; ``.nrrd`` or ``.mha`` by ``file_ending``).
    sequences : sequence of str
        The ones wanted; other channels are passed over.
    names : mapping of str to sequence of str, optional
        How channels are called here, by sequence.

    Returns
    -------
    list of FoundCase
        In the order of their names. One mask serves all channels of a case.
    list of Finding
        Channels that are no sequence, files of one name, cases that are in both folders.

    Raises
    ------
    CohortError
        ``dataset.json`` is absent or damaged, or names no known sequence; there is no image.
    """
    base = nnunet_folder(Path(root))
    about = _description(base / "dataset.json")
    channels, findings = _channels(about, sequences, names)
    values = _labels(about)
    found: dict[str, dict[str, FoundImage]] = {}
    unknown: set[str] = set()
    for case, channel, image, mask in _files(base, about, findings):
        images = found.setdefault(case, {})
        sequence = channels.get(channel)
        if sequence is None:
            unknown.add(channel)
        elif sequence in images:
            problem = f"{image.name} stands in two folders, and the first is taken"
            findings.append(Finding.error(problem, "Give each patient a name of its own.", case, sequence))
        elif sequence in sequences:
            images[sequence] = FoundImage(image, Structures(mask, values if mask else {}))
    if not found:
        ending = about.get("file_ending") or _ENDINGS[0]
        raise CohortError(
            f"{base.name} holds no images", f"Expected imagesTr/CASE_0000{ending}, as dataset.json has it."
        )
    if beyond := sorted(unknown - set(_named(about))):
        problem = f"images of channel {', '.join(beyond)} passed over: dataset.json does not name it"
        findings.append(Finding.warning(problem, "Name it under channel_names.", where="dataset.json"))
    cases = [
        FoundCase(case, {s: images[s] for s in sequences if s in images})
        for case, images in sorted(found.items())
    ]
    return cases, findings


def _description(file: Path) -> dict[str, Any]:
    try:
        content = json.loads(file.read_text(encoding="utf-8-sig"))
    except ValueError as error:
        raise CohortError("dataset.json is damaged", "Write it again with nnU-Net.") from error
    if not isinstance(content, dict) or not _named(content):
        raise CohortError(
            "dataset.json names no channels", 'It needs "channel_names": {"0": "T1", ...} (or "modality").'
        )
    return content


def _named(about: Mapping[str, Any]) -> dict[str, str]:
    """Names of channels by number, as in file names without leading zeros."""
    given = about.get("channel_names") or about.get("modality")
    if not isinstance(given, dict):
        return {}
    return {str(number).lstrip("0") or "0": str(name) for number, name in given.items()}


def _channels(
    about: Mapping[str, Any], sequences: Sequence[str], names: Mapping[str, Sequence[str]] | None
) -> tuple[dict[str, str], list[Finding]]:
    """Sequence of each channel."""
    named = _named(about)
    read = {n: named_sequence(name, names) or recognize_sequence(name, names) for n, name in named.items()}
    known = {number: sequence for number, sequence in read.items() if sequence is not None}
    shown = ", ".join(f"{number} {name}" for number, name in named.items())
    if not known:
        raise CohortError(
            f"none of the channels in dataset.json is a known sequence ({shown})",
            "Say which is which under cohort.sequence_names, e.g. {t1: [MRI]}.",
        )
    for sequence in set(known.values()):
        both = [named[number] for number, value in known.items() if value == sequence]
        if len(both) > 1:
            raise CohortError(
                f"channels {' and '.join(both)} both read as {sequence}",
                "Tell them apart under cohort.sequence_names.",
            )
    passed = [named[number] for number, value in read.items() if value is None or value not in sequences]
    problem = f"channels {', '.join(passed)} passed over: no sequence that the study asks for"
    return known, [Finding.info(problem, where="dataset.json")] if passed else []


def _labels(about: Mapping[str, Any]) -> dict[str, Label | tuple[Label, ...]]:
    """Values of each name: ``{"GTVp": 1, "whole": [1, 2]}``, or ``{"1": "GTVp"}`` as version 1 has it."""
    given = about.get("labels")
    if not isinstance(given, dict):
        return {}
    found: dict[str, Label | tuple[Label, ...]] = {}
    for key, value in given.items():
        name, content = (value, key) if isinstance(value, str) and str(key).isdigit() else (key, value)
        values = [int(v) for v in (content if isinstance(content, list) else [content]) if str(v).isdigit()]
        label = as_label(v for v in values if v)
        if label is not None and name != "ignore":
            found[str(name)] = label
    return found


def _files(
    base: Path, about: Mapping[str, Any], findings: list[Finding]
) -> Iterator[tuple[str, str, Path, Path | None]]:
    """Case, channel, image and mask of every image."""
    listed = about.get("dataset")
    if isinstance(listed, dict):  # version 2 may name every file instead
        for case, files in sorted(listed.items()):
            if not isinstance(files, dict):
                raise CohortError(f"dataset.json names no images of {case}", "Write it again with nnU-Net.")
            mask = files.get("label")
            for number, image in enumerate(files.get("images") or []):
                yield str(case), str(number), base / image, base / mask if mask else None
        return
    ending = about.get("file_ending")
    endings = (ending.casefold(),) if isinstance(ending, str) else _ENDINGS
    for folder, labels in _PARTS:
        images, twins = image_files(base / folder, endings)
        masks, more = image_files(base / labels, endings)
        findings += [*twins, *more]
        for stem, path in images.items():
            case, _, channel = stem.rpartition("_")
            if case and len(channel) == 4 and channel.isdigit():
                yield case, channel.lstrip("0") or "0", path, masks.get(case)
