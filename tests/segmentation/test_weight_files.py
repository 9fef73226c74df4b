import json

import pytest
import torch

from radiomics_npc.errors import ConfigError, ModelFileError
from radiomics_npc.segmentation.networks import SlabUNet
from radiomics_npc.segmentation.weight_files import DESCRIPTION, read_members, write_members

ABOUT = {
    "grid": {"pixel_mm": 0.86},
    "sequences": ["t1", "t2", "ce_t1"],
    "training": {"steps": 3},
    "simulated": True,
    "seeds": [1, 2],
}


@pytest.fixture
def networks():
    return [SlabUNet(widths=(8, 8), edge=4) for _ in range(2)]


@pytest.fixture
def model(tmp_path, networks):
    return write_members(tmp_path / "model", networks, ABOUT)


def test_weights_come_back_to_16_bit(model, networks):
    members, about = read_members(model, "cpu")
    assert [entry["seed"] for entry in about["members"]] == [1, 2]
    assert about["architecture"] == networks[0].architecture
    assert {k: about[k] for k in ABOUT if k != "seeds"} == {k: v for k, v in ABOUT.items() if k != "seeds"}
    for network, member in zip(networks, members, strict=True):
        assert not member.training
        for name, value in network.state_dict().items():
            assert torch.equal(member.state_dict()[name], value.half().float())


def test_prediction_with_16_bit_weights_differs_little(model, networks):
    members, _ = read_members(model, "cpu")
    slabs = torch.randn(2, 3, 5, 32, 32, generator=torch.Generator().manual_seed(0)), torch.ones(2, 3)
    with torch.inference_mode():
        difference = torch.sigmoid(members[0](*slabs)) - torch.sigmoid(networks[0](*slabs))
    assert 0 < difference.abs().max() < 0.01


def test_files_hold_no_path_and_half_the_bytes(model, tmp_path):
    assert sorted(p.name for p in model.iterdir()) == [
        "member-1.safetensors",
        "member-2.safetensors",
        DESCRIPTION,
    ]
    assert str(tmp_path) not in (model / DESCRIPTION).read_text()
    numbers = sum(p.numel() for p in SlabUNet(widths=(8, 8), edge=4).parameters())
    size = (model / "member-1.safetensors").stat().st_size
    assert 2 * numbers < size < 2 * numbers + 6000


def test_fewer_members_replace_more(model, networks):
    write_members(model, networks[:1], {**ABOUT, "seeds": [1]})
    assert len(read_members(model, "cpu")[0]) == 1
    assert not (model / "member-2.safetensors").exists()


@pytest.mark.parametrize(
    ("harm", "says"),
    [
        (lambda f: (f / DESCRIPTION).unlink(), "no readable model.json"),
        (lambda f: (f / DESCRIPTION).write_text("{"), "no readable model.json"),
        (lambda f: (f / DESCRIPTION).write_text("[]"), "no readable model.json"),
        (
            lambda f: (f / "member-2.safetensors").unlink(),
            "member-2.safetensors of model model cannot be read",
        ),
        (lambda f: flip(f / "member-1.safetensors"), "damaged or was altered"),
        (lambda f: edit(f, format=2), "format 2"),
        (lambda f: edit(f, members=[]), "names no networks"),
        (lambda f: edit(f, members=[{"file": "member-1.safetensors"}]), "incomplete"),
        (lambda f: edit(f, members=[{"file": "../x", "sha256": ""}]), "points outside"),
        (lambda f: edit(f, architecture={"name": "other"}), "incomplete"),
        (lambda f: edit(f, architecture={"name": "slab_unet", "widths": [8, 9]}), "does not fit"),
    ],
)
def test_damage_is_an_error_that_says_where(model, harm, says):
    harm(model)
    with pytest.raises(ModelFileError, match=says) as error:
        read_members(model, "cpu")
    assert str(model.parent) not in str(error.value)


def flip(path):
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(bytes(content))


def edit(folder, **changes):
    about = json.loads((folder / DESCRIPTION).read_text())
    (folder / DESCRIPTION).write_text(json.dumps({**about, **changes}))


def test_an_ensemble_is_of_one_architecture(tmp_path, networks):
    with pytest.raises(ConfigError, match="one architecture"):
        write_members(tmp_path, [networks[0], SlabUNet(widths=(8, 16))], ABOUT)
    with pytest.raises(ConfigError, match="one or more"):
        write_members(tmp_path, [], {**ABOUT, "seeds": []})
    with pytest.raises(ConfigError, match="a seed of each"):
        write_members(tmp_path, networks, {**ABOUT, "seeds": [1]})
