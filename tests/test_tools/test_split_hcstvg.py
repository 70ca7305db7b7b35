# Copyright (c) costa_mm authors. All rights reserved.
import json
import runpy
import sys
from pathlib import Path

import pytest

TOOL = Path(
    __file__).resolve().parents[2] / 'tools/dataset_converters/split_hcstvg.py'


def split(monkeypatch, path, *args):
    monkeypatch.setattr(sys, 'argv', [str(TOOL), str(path), *args])
    runpy.run_path(str(TOOL))['main']()
    return [
        json.loads((path.parent / f'train_{side}.json').read_text())
        for side in ('part', 'holdout')
    ]


@pytest.fixture
def train(tmp_path):
    # three clips of each of 100 videos, ids with underscores and dashes
    names = [f'{3 * v + k}_{"_" if v % 2 else "-"}id{v:04}abcd.mp4'
             for v in range(100) for k in range(3)]
    path = tmp_path / 'train.json'
    path.write_text(json.dumps({n: dict(caption=n) for n in names}))
    return path


def test_clips_of_a_video_stay_together(train, monkeypatch):
    part, holdout = split(monkeypatch, train)
    every = json.loads(train.read_text())
    assert {**part, **holdout} == every and not set(part) & set(holdout)
    assert len(part) + len(holdout) == 300 and 6 <= len(holdout) <= 60
    sources = [{n.split('_', 1)[1] for n in side} for side in (part, holdout)]
    assert not sources[0] & sources[1]


def test_the_seed_decides(train, monkeypatch):
    one, same = split(monkeypatch, train), split(monkeypatch, train)
    other = split(monkeypatch, train, '--seed', '1')
    assert one == same and one != other


def test_source_video():
    source = runpy.run_path(str(TOOL))['source_video']
    assert source('10__Gvp-cj3bmIY.mp4') == 'Gvp-cj3bmIY'
    assert source('10__vp-cj3bmIY.mp4') == '_vp-cj3bmIY'
    assert source('1_aMYcLyh9OhU.mkv') == 'aMYcLyh9OhU'
    assert source('my_video.mp4') == 'my_video'


def test_an_empty_side_is_refused(tmp_path, monkeypatch):
    path = tmp_path / 'train.json'
    path.write_text(json.dumps({'1_aMYcLyh9OhU.mkv': {}}))
    with pytest.raises(ValueError, match='empty'):
        split(monkeypatch, path)
