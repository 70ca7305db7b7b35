# Copyright (c) costa_mm authors. All rights reserved.
"""Fixtures that several test packages share."""
import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope='session')
def test_data() -> Path:
    """Folder with real clips and annotation files; skips where absent."""
    folder = Path(
        os.environ.get('COSTA_TEST_DATA', ROOT.parent / 'shared' / 'data'))
    if not folder.is_dir():
        pytest.skip(f'no test material at {folder}: set COSTA_TEST_DATA')
    return folder


@pytest.fixture(scope='session', autouse=True)
def quick_configs() -> None:
    """Texts of configs are laid out once."""
    from quick_config import keep_layouts
    keep_layouts()
