"""A trained ensemble as a folder: a description in JSON and 16-bit weights as safetensors.

Nothing in it is run when it is read, nothing names a patient or a path, and a
weight that was altered on the way is refused.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import nn

from radiomics_npc.errors import ConfigError, ModelFileError
from radiomics_npc.segmentation.networks import build_network
from radiomics_npc.segmentation.run_files import digest
from radiomics_npc.storage import write_bytes, write_json

__all__ = ["BUNDLED", "DESCRIPTION", "read_members", "write_members"]

BUNDLED = Path(__file__).parent / "weights"
DESCRIPTION = "model.json"
_FORMAT = 1
_REMEDY = "Copy the model folder again, or train it anew with radiomics-npc train-segmenter."


def write_members(folder: Path, networks: Sequence[nn.Module], description: Mapping[str, Any]) -> Path:
    """Write an ensemble.

    Parameters
    ----------
    folder : Path
        Members written there before are replaced.
    networks : sequence of nn.Module
        Of one architecture, each with the attribute ``architecture``.
    description : mapping
        Plain JSON: ``grid``, ``sequences``, ``training``, ``simulated``, and
        ``seeds``, one a network.

    Returns
    -------
    Path
        ``folder``, with ``model.json`` (written last) and ``member-K.safetensors``.

    Raises
    ------
    ConfigError
        There is no network, or they differ in architecture.

    Examples
    --------
    >>> import tempfile
    >>> from radiomics_npc.segmentation.networks import SlabUNet
    >>> about = {"grid": {"window": 160}, "simulated": True, "seeds": [7]}
    >>> folder = write_members(Path(tempfile.mkdtemp()), [SlabUNet(widths=(8, 16))], about)
    >>> members, read = read_members(folder, "cpu")
    >>> len(members), read["members"][0]["seed"], read["simulated"]
    (1, 7, True)
    """
    about = dict(description)
    seeds = about.pop("seeds", [None] * len(networks))
    architectures = [network.architecture for network in networks]
    if not networks or len(seeds) != len(networks) or any(a != architectures[0] for a in architectures):
        raise ConfigError("an ensemble needs one or more networks of one architecture and a seed of each")
    for old in (folder / DESCRIPTION, *folder.glob("member-*.safetensors")):
        old.unlink(missing_ok=True)
    members = []
    for number, (network, seed) in enumerate(zip(networks, seeds, strict=True), 1):
        name = f"member-{number}.safetensors"
        state = network.state_dict().items()
        content = save({key: value.detach().cpu().half().contiguous() for key, value in state})
        write_bytes(folder / name, content)
        members.append({"file": name, "sha256": digest(content), "seed": seed})
    fixed = {"format": _FORMAT, "architecture": architectures[0]}
    write_json(folder / DESCRIPTION, {**fixed, **about, "members": members})
    return folder


def read_members(folder: Path, device: torch.device | str) -> tuple[list[nn.Module], dict[str, Any]]:
    """Read an ensemble.

    Parameters
    ----------
    folder : Path
    device : torch.device or str

    Returns
    -------
    networks : list of nn.Module
        In 32 bit, ready to predict.
    description : dict
        What ``model.json`` says.

    Raises
    ------
    ModelFileError
        A file is absent, damaged, altered, or made by a later version.
    """
    folder = Path(folder)
    about = _description(folder)
    try:
        architecture, entries = dict(about["architecture"]), list(about["members"])
        networks = [_member(folder, architecture, str(e["file"]), str(e["sha256"]), device) for e in entries]
    except (KeyError, TypeError, ValueError, ConfigError) as error:
        raise ModelFileError(f"{DESCRIPTION} of model {folder.name} is incomplete", _REMEDY) from error
    if not networks:
        raise ModelFileError(f"model {folder.name} names no networks", _REMEDY)
    return networks, about


def _description(folder: Path) -> dict[str, Any]:
    try:
        about: dict[str, Any] = json.loads((folder / DESCRIPTION).read_text(encoding="utf-8"))
        version = about["format"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelFileError(f"folder {folder.name} holds no readable {DESCRIPTION}", _REMEDY) from error
    if version != _FORMAT:
        raise ModelFileError(
            f"model {folder.name} has format {version}, and format {_FORMAT} is read here",
            "Update radiomics-npc.",
        )
    return about


def _member(
    folder: Path, architecture: dict[str, Any], name: str, sha256: str, device: torch.device | str
) -> nn.Module:
    if Path(name).name != name:
        raise ModelFileError(f"{DESCRIPTION} of model {folder.name} points outside of it", _REMEDY)
    try:
        content = (folder / name).read_bytes()
    except OSError as error:
        raise ModelFileError(f"{name} of model {folder.name} cannot be read", _REMEDY) from error
    if digest(content) != sha256:
        raise ModelFileError(f"{name} of model {folder.name} is damaged or was altered", _REMEDY)
    network = build_network(architecture)
    try:
        network.load_state_dict({key: value.float() for key, value in load(content).items()})
    except (SafetensorError, RuntimeError) as error:
        raise ModelFileError(
            f"{name} of model {folder.name} does not fit its architecture", _REMEDY
        ) from error
    return network.to(device).eval()
