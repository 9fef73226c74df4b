"""What an installed package needs is named in pyproject.toml."""

import tomllib
from pathlib import Path

import pytest
import yaml

from radiomics_npc.config import preset_path
from radiomics_npc.errors import ConfigError

ROOT = Path(__file__).resolve().parents[1]


def test_every_room_is_packaged():
    setup = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"]
    rooms = {
        ".".join(p.parent.relative_to(ROOT).parts) for p in (ROOT / "radiomics_npc").rglob("__init__.py")
    }
    assert set(setup["packages"]) == rooms | {"radiomics_npc.configs"}
    assert setup["package-dir"] == {"radiomics_npc.configs": "configs"}


def test_every_file_that_is_read_at_run_time_is_packaged():
    setup = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"]
    for package, patterns in setup["package-data"].items():
        folder = ROOT / setup["package-dir"].get(package, package.replace(".", "/"))
        packaged = {file for pattern in patterns for file in folder.glob(pattern)}
        if package == "radiomics_npc.configs":
            wanted = set(folder.rglob("*.yaml")) - set(folder.glob("examples/*"))
        else:
            wanted = {file for file in folder.rglob("*.*") if file.suffix not in (".py", ".pyc", ".md")}
            wanted -= set((folder / "segmentation").rglob("*")) if package == "radiomics_npc" else set()
        assert wanted <= packaged, sorted(file.name for file in wanted - packaged)


@pytest.mark.parametrize("preset", ["iso1mm", "inplane2d", "native"])
def test_a_preset_is_the_same_for_all_sequences(preset):
    contents = [yaml.safe_load(preset_path(preset, name).read_text()) for name in ("t1", "t2", "ce_t1")]
    assert contents[0] == contents[1] == contents[2]


def test_unknown_preset_is_named():
    with pytest.raises(ConfigError, match="no preset iso2mm for t1"):
        preset_path("iso2mm", "t1")
