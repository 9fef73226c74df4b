import logging

import pytest

from radiomics_npc.errors import ConfigError
from radiomics_npc.features import parameters as parameter_files
from radiomics_npc.features.parameters import quiet_pyradiomics, read_parameters, sequence_parameters
from radiomics_npc.settings import FeatureSettings

CLASSES = {"shape", "firstorder", "glcm", "glrlm", "glszm", "gldm", "ngtdm"}


@pytest.mark.parametrize("sequence", ["t1", "t2", "ce_t1"])
@pytest.mark.parametrize("preset", ["iso1mm", "inplane2d", "native"])
def test_presets_hold_what_they_promise(preset, sequence):
    parameters = sequence_parameters(FeatureSettings(preset=preset), sequence)
    assert set(parameters["featureClass"]) == CLASSES
    assert parameters["imageType"] == {"Original": {}, "LoG": {"sigma": [1.0, 2.0, 3.0]}, "Wavelet": {}}
    setting = parameters["setting"]
    assert setting["binCount"] == 32
    grid = {"iso1mm": [1, 1, 1], "inplane2d": [0.5, 0.5, 0], "native": None}[preset]
    assert setting.get("resampledPixelSpacing") == grid
    assert setting.get("force2D", False) is (preset == "inplane2d")
    # at least 20 mm around the tumor, whatever the grid (the finest published pixel is 0.38 mm)
    finest = {"iso1mm": 1.0, "inplane2d": 0.5, "native": 0.38}[preset]
    assert setting["padDistance"] * finest >= 20


def test_sigma_is_named_the_same_however_it_is_written(tmp_path):
    for text in ("imageType: {LoG: {sigma: [1, 2.0]}}", "imageType: {LoG: {sigma: [1.0, 2]}}"):
        (tmp_path / "a.yaml").write_text(text)
        sigma = read_parameters(tmp_path / "a.yaml")["imageType"]["LoG"]["sigma"]
        assert [str(s) for s in sigma] == ["1.0", "2.0"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("setting: {binCont: 32}", "binCont"),
        ("imageType: {Wavlet: {}}", "Wavlet"),
        ("featureClass: {glcm: [Contrasts]}", "Contrasts"),
        ("setting: {interpolator: cubic}", "cubic"),
        ("setting: [", "not valid YAML"),
        ("", "holds no settings"),
    ],
)
def test_faulty_files_are_refused_by_name(tmp_path, capsys, text, words):
    (tmp_path / "mine.yaml").write_text(text)
    with pytest.raises(ConfigError, match=words) as caught:
        read_parameters(tmp_path / "mine.yaml")
    assert "mine.yaml" in str(caught.value)
    assert str(tmp_path) not in str(caught.value)
    assert capsys.readouterr().err == ""


def test_absent_file(tmp_path):
    with pytest.raises(ConfigError, match=r"none\.yaml does not exist"):
        read_parameters(tmp_path / "none.yaml")


def test_normalizing_twice_is_refused(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("setting: {normalize: true}")
    with pytest.raises(ConfigError, match="normalizes by body already"):
        sequence_parameters(FeatureSettings(settings={"t1": path}), "t1")
    alone = FeatureSettings(settings={"t1": path}, normalize="none")
    assert sequence_parameters(alone, "t1")["setting"]["normalize"] is True


def test_loggers_are_given_back():
    logger = logging.getLogger("radiomics")
    before = list(logger.handlers)
    with quiet_pyradiomics():
        assert all(isinstance(handler, logging.NullHandler) for handler in logger.handlers)
    assert logger.handlers == before


def test_a_filter_is_never_left_out_for_a_missing_package(tmp_path, monkeypatch):
    file = tmp_path / "own.yaml"
    file.write_text("imageType: {Original: {}, LBP2D: {}}")
    monkeypatch.setattr(parameter_files, "find_spec", lambda package: None)
    with pytest.raises(ConfigError, match=r"own\.yaml asks for LBP2D, which needs the package skimage"):
        read_parameters(file)
