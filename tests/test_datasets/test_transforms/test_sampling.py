# Copyright (c) costa_mm authors. All rights reserved.
import json
from pathlib import Path

import numpy as np
import pytest

from costa_mm.datasets import RandomTemporalCrop, SampleFrames
from costa_mm.structures import Tube

DATA = Path(__file__).resolve().parents[2] / 'data'


def golden(name):
    return json.loads((DATA / f'{name}_sampling.json').read_text())


def sample(transform, start, end, fps=30.0):
    results = transform(dict(segment=(start, end), fps=fps))
    assert results['frame_ids'].dtype == np.int64
    return results['frame_ids'].tolist()


@pytest.mark.parametrize('case', golden('stcat')['stcat']['hcstvg'])
def test_hcstvg_as_stcat(case):
    n = case['frame_count']
    transform = SampleFrames(
        mode='fps', fps=case['fps_used'], keep_last=True, skip_final=True)
    ids = sample(transform, 0, n, n / 20)
    assert ids == case['frame_ids']
    first, last = case['gt_incl']
    inside = [i for i, f in enumerate(ids) if first <= f < last + 1]
    assert [inside[0], inside[-1]] == case['act_idx']


@pytest.mark.parametrize('case', golden('stcat')['stcat']['vidstg'])
def test_vidstg_as_stcat(case):
    num = dict(train=64, test=128)[case['split']]
    ids = sample(SampleFrames(num_frames=num), case['begin'],
                 case['begin'] + case['n_frames'])
    assert ids == case['frame_ids']


@pytest.mark.parametrize('case', golden('tubedetr')['hcstvg'])
def test_hcstvg_as_tubedetr(case):
    n = case['frame_count']
    transform = SampleFrames(
        mode='fps', fps=case['fps'], skip_final=True, max_frames=200)
    assert sample(transform, 0, n, n / 20) == case['frame_ids']


@pytest.mark.parametrize('case', golden('tubedetr')['vidstg'])
def test_vidstg_as_tubedetr(case):
    transform = SampleFrames(mode='fps', fps=case['fps'], max_frames=200)
    ids = sample(transform, case['start_frame'], case['end_frame'],
                 case['source_fps'])
    assert ids == case['frame_ids']


def test_short_segments():
    assert sample(SampleFrames(num_frames=8), 5, 6) == [5]
    assert sample(SampleFrames(num_frames=8, skip_final=True), 5, 6) == [5]
    assert sample(SampleFrames(num_frames=1), 5, 9) == [5]
    slow = SampleFrames(mode='fps', fps=60)  # more than the video has
    assert sample(slow, 3, 7) == [3, 4, 5, 6]


def test_wrong_options_raise():
    for options in (dict(mode='uniform'), dict(mode='fps'),
                    dict(mode='other', num_frames=4),
                    dict(num_frames=4, fps=2.0), dict(num_frames=0),
                    dict(num_frames=4, keep_last=True)):
        with pytest.raises(ValueError):
            SampleFrames(**options)
    with pytest.raises(TypeError):
        SampleFrames(num_frame=4)


@pytest.mark.parametrize('level', ['segment', 'frames'])
@pytest.mark.parametrize('span', [(0, 100), (0, 30), (60, 100), (37, 52),
                                  (50, 51)])
def test_crop_keeps_the_whole_event(level, span):
    crop = RandomTemporalCrop(prob=1.0, level=level)
    tube = Tube(span, np.arange(*span), np.ones((span[1] - span[0], 4)))
    ids = np.arange(0, 100, 3)
    true = [i for i in ids if span[0] <= i < span[1]]
    seen = set()
    for seed in range(60):
        results = crop(
            dict(
                rng=np.random.default_rng(seed),
                gt_tube=tube,
                segment=(0, 100),
                frame_ids=ids))
        if level == 'segment':
            start, end = results['segment']
            assert 0 <= start <= span[0] and span[1] <= end <= 100
        else:
            kept = results['frame_ids']
            start, end = int(kept[0]), int(kept[-1])
            assert [i for i in kept if span[0] <= i < span[1]] == true
            np.testing.assert_array_equal(np.diff(kept), 3)
        seen.add((start, end))
    if span == (37, 52):
        assert len(seen) > 20
    if span == (0, 100):
        assert len(seen) == 1


def test_crop_draws_evenly_and_only_from_its_generator():
    crop = RandomTemporalCrop(prob=1.0, level='frames')
    starts = [crop.draw(np.random.default_rng(i), 4, 6, 10)[0]
              for i in range(2000)]
    counts = np.bincount(starts)
    assert len(counts) == 4 and counts.min() > 400  # never the event itself
    ends = {crop.draw(np.random.default_rng(i), 4, 6, 10)[1]
            for i in range(200)}
    assert ends == {8, 9, 10}  # exclusive: frames 7, 8, 9 are behind it


def test_crop_without_event_changes_nothing():
    crop = RandomTemporalCrop(prob=1.0, level='frames')
    ids = np.arange(0, 100, 10)
    tube = Tube((42, 45), np.array([42]), np.ones((1, 4)))
    for gt in (None, tube):  # no truth; no sampled frame inside
        results = crop(
            dict(rng=np.random.default_rng(0), gt_tube=gt, frame_ids=ids))
        np.testing.assert_array_equal(results['frame_ids'], ids)
