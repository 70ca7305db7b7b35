# Copyright (c) costa_mm authors. All rights reserved.
"""What the loading benchmark compares; not how fast it is."""
import runpy
from pathlib import Path

import numpy as np
import pytest

from costa_mm.datasets import TorchCodecReader
from costa_mm.datasets.readers.borrowed_reader import has_package

TOOL = (
    Path(__file__).resolve().parents[2] / 'tools' / 'analysis_tools' /
    'benchmark_loading.py')


@pytest.fixture(scope='module')
def tool():
    pytest.importorskip('imageio_ffmpeg')
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(TOOL.parent))
        return runpy.run_path(str(TOOL))


@pytest.mark.parametrize('segment', [(0, 60), (30, 50)])
def test_all_ways_load_the_same_frames(segment, tool, tmp_path):
    path = tool['make_clip'](str(tmp_path / 'clip.mp4'), 2, None)
    ids = tool['uniform_ids'](*segment, 8)
    ways = tool['ways'](path, ids, (224, 398), str(tmp_path / 'cache'),
                        (224, None), 1)
    frames = {name: load() for name, load in ways.items()}
    assert list(frames) == [
        'published (pipe)', 'PyAV (default)', 'decord', 'cache'
    ] + ['torchcodec'] * has_package(TorchCodecReader.module)
    for name, got in frames.items():
        assert got.shape == (8, 224, 398, 3) and got.dtype == np.uint8
        error = np.abs(got.astype(int) - frames['published (pipe)']).mean()
        assert error < (4 if name == 'cache' else 0.5), name
    # frames that differ from each other, or nothing would be compared
    assert np.abs(np.diff(frames['decord'].astype(int), axis=0)).mean() > 1


def test_rounds_are_run_in_turn(tool, capsys):
    calls = []

    def way(name):
        return lambda: calls.append(name) or np.zeros((1, 2, 2, 3), np.uint8)

    names = ['published (pipe)', 'PyAV (default)', 'decord', 'cache']
    times = tool['measure']({n: way(n) for n in names}, 3)
    assert calls == names * 4  # one warm-up
    assert all(len(values) == 3 for values in times.values())
    tool['print_times']('a title', times)
    said = capsys.readouterr().out
    assert 'a title' in said and all(name in said for name in names)


def test_ways_that_load_other_frames_are_an_error(tool):
    ways = {
        name: lambda value=value: np.full((1, 2, 2, 3), value, np.uint8)
        for name, value in (('published (pipe)', 0), ('decord', 9))
    }
    with pytest.raises(RuntimeError, match='decord gives other frames'):
        tool['measure'](ways, 1)
