"""Storage, processes, progress, errors."""

import os
import subprocess
import sys

import pandas as pd
import pytest

from radiomics_npc import parallel, progress, storage
from radiomics_npc.cohort.outcome import Outcome
from radiomics_npc.errors import CohortError


def test_a_failed_write_leaves_the_old_file_and_no_rubbish(tmp_path):
    path = tmp_path / "a.csv"
    storage.write_text(path, "old")
    with pytest.raises(RuntimeError), storage.write_atomic(path) as temporary:  # noqa: PT012
        temporary.write_text("half")
        raise RuntimeError
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["a.csv"]


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_tables_come_back_as_written(tmp_path, suffix):
    table = pd.DataFrame({"patient_id": ["001", "张"], "x": [0.1 + 0.2, 1e-300]})
    storage.write_table(tmp_path / f"t{suffix}", table)
    pd.testing.assert_frame_equal(storage.read_table(tmp_path / f"t{suffix}"), table, check_exact=True)


def test_a_damaged_store_entry_counts_as_absent(tmp_path):
    store = storage.FeatureStore(tmp_path)
    store.put("abcd", {"x": 0.1 + 0.2})
    assert store.get("abcd") == {"x": 0.1 + 0.2}
    (tmp_path / "ab" / "abcd.json").write_text('{"x": 0.')
    assert store.get("abcd") is None


def test_folder_digest_depends_on_names_and_contents_only(tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "1.dcm").write_bytes(b"x")
        (tmp_path / name / "2.dcm").write_bytes(b"y")
    assert storage.file_digest(tmp_path / "a") == storage.file_digest(tmp_path / "b")
    (tmp_path / "b" / "2.dcm").rename(tmp_path / "b" / "3.dcm")
    assert storage.file_digest(tmp_path / "a") != storage.file_digest(tmp_path / "b")


def _threads(_: int) -> tuple[str | None, int]:
    import numpy as np
    import threadpoolctl

    np.ones((4, 4)) @ np.ones((4, 4))
    most = max((pool["num_threads"] for pool in threadpoolctl.threadpool_info()), default=1)
    return os.environ.get("OMP_NUM_THREADS"), most


@pytest.mark.parametrize("jobs", [1, 2])
def test_workers_have_one_thread(jobs):
    before = {name: os.environ.get(name) for name in parallel._THREAD_VARIABLES}
    assert set(parallel.map_cases(_threads, range(3), jobs=jobs)) == {("1", 1)}
    assert {name: os.environ.get(name) for name in before} == before


def test_ordered_results_keep_their_order():
    assert list(parallel.map_cases(abs, range(0, -9, -1), jobs=2, ordered=True)) == list(range(9))


def test_progress_in_a_log_is_plain_lines(capsys):
    assert list(progress.track(iter([1, 2, 3]), "extract", 3, every_s=0)) == [1, 2, 3]
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 3
    assert lines[-1].startswith("extract: 3/3")


def test_outcome_names_the_coding_of_r():
    with pytest.raises(CohortError, match="1/2"):
        Outcome([1.0, 2.0], [1, 2])
    with pytest.raises(CohortError, match="1 follow-up times"):
        Outcome([1.0, -2.0], [1, 0])
    with pytest.raises(CohortError, match="unique"):
        Outcome([1.0, 2.0], [1, 0], ["a", "a"])


def test_outcome_follows_its_patients():
    y = Outcome([1.0, 2.0, 70.0], [1, 0, 1], ["a", "b", "c"])
    assert y.loc(["c", "a"]).to_frame()["time_months"].tolist() == [70.0, 1.0]
    assert y.take([0, 0, 1]).event.tolist() == [True, True, False]
    assert y.censor_at(60).event.tolist() == [True, False, False]
    with pytest.raises(CohortError, match="1 patients have no outcome"):
        y.loc(["z"])


def test_import_is_light():
    code = (
        "import sys, radiomics_npc as rn; rn.__all__; "
        "bad = {'torch', 'matplotlib', 'SimpleITK', 'xgboost', 'pandas'} & set(sys.modules); "
        "sys.exit(str(bad) if bad else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_public_names():
    import radiomics_npc as rn

    named = {
        "read_cohort", "simulate_cohort", "check_cohort", "extract_features", "design_matrix", "CoxModel",
        "BoostedModel", "cross_validate", "Nomogram", "write_report", "Study", "predict_masks",
        "load_segmenter", "train_segmenter", "segmentation_metrics",
    }  # fmt: skip
    assert named <= set(rn.__all__)
    for name in rn.__all__:
        assert getattr(rn, name) is not None
    with pytest.raises(AttributeError, match="nothing_here"):
        _ = rn.nothing_here
