"""What all tests share."""

from pathlib import Path

import pytest

SHARED = Path(__file__).resolve().parents[2] / "shared"


@pytest.fixture(scope="session")
def shared() -> Path:
    """Folder of the real public data beside the repository, or skip."""
    if not (SHARED / "data").is_dir():
        pytest.skip("the public data sets are not beside the repository (../shared/data)")
    return SHARED
