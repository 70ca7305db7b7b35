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
