# Copyright (c) costa_mm authors. All rights reserved.
import re
from pathlib import Path

import pytest

from costa_mm.apis.fetching import fetch_video
from costa_mm.utils.errors import first_line

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize('error, line', [
    (ValueError('one'), 'one'),
    (ValueError('one\ntwo'), 'one'),
    (OSError(2, 'No such file'), '[Errno 2] No such file'),
    (AssertionError(), 'AssertionError'),
    (RuntimeError('\n  \n'), 'RuntimeError'),
    (RuntimeError('\nlater'), 'later'),
])
def test_first_line(error, line):
    assert first_line(error) == line


def test_nobody_takes_a_line_that_may_not_be_there():
    """``str(e).splitlines()[0]`` fails where a library says nothing."""
    for folder in ('costa_mm', 'tools', 'demo'):
        for path in (ROOT / folder).rglob('*.py'):
            found = re.search(r'str\((e|err|error)\)\.split', path.read_text())
            assert not found or path.name == 'reading.py', path


def test_an_address_whose_error_says_nothing(tmp_path, monkeypatch):
    def silent(url, part):
        raise ConnectionError

    monkeypatch.setenv('COSTA_MM_HOME', str(tmp_path))
    monkeypatch.setattr('costa_mm.apis.fetching.copy_from', silent)
    with pytest.raises(FileNotFoundError, match='v.mp4: ConnectionError;'):
        fetch_video('https://example.org/v.mp4')
