# Copyright (c) costa_mm authors. All rights reserved.
import json

import numpy as np
import pytest

from costa_mm.apis import TubeResult, dump_results
from costa_mm.structures import Tube, TubeDataSample, load_tubes


@pytest.fixture
def sample():
    ids = np.array([0, 3, 6, 9])
    out = TubeDataSample(
        metainfo=dict(
            sample_id='v_1', video_path='v.mp4', sentence='ein Hund läuft',
            ori_shape=(48, 64), num_frames=10, fps=5., frame_ids=ids))
    out.pred_tube = Tube((3, 7), np.arange(10), np.ones((10, 4)),
                         num_frames=10, fps=5.)
    out.pred_score = np.float32(0.25)
    out.pred_spans = [(3, 7, np.float32(0.25)), (0, 7, 0.1)]
    out.pred_start = np.array([.1, .9, 0, 0], np.float32)
    out.pred_end = np.array([0, .1, .9, 0], np.float32)
    out.pred_attendance = np.array([.1, .8, .6, .2], np.float32)
    return out


def test_attendance_is_the_mean_inside_the_span(sample):
    result = TubeResult.from_sample(sample)
    assert result.attendance_score == pytest.approx(0.7)  # frames 3 and 6
    assert result.size == (64, 48)
    assert result.span_seconds == (0.6, 1.4)


@pytest.mark.parametrize('threshold, found', [(0, True), (0.25, True),
                                              (0.26, False)])
def test_threshold(sample, threshold, found):
    assert TubeResult.from_sample(sample, threshold).found is found


@pytest.mark.parametrize('attendance', [None, np.zeros(0, np.float32)])
def test_models_without_attendance(sample, attendance):
    del sample.pred_attendance
    if attendance is not None:
        sample.pred_attendance = attendance
    result = TubeResult.from_sample(sample)
    assert result.attendance is None and result.attendance_score is None
    assert result.to_dict()['attendance'] is None


def test_dict_survives_json_and_is_a_tube(sample, tmp_path):
    result = TubeResult.from_sample(sample)
    entry = json.loads(json.dumps(result.to_dict()))
    assert entry == result.to_dict()
    assert entry['spans'][0] == dict(start=3, end=7, score=0.25)
    path = tmp_path / 'new' / 'tubes.json'
    dump_results([result], path)
    tube = load_tubes(path)['v_1']
    assert tube.span == (3, 7) and (tube.boxes == result.boxes).all()
    assert 'läuft' in path.read_text(encoding='utf-8')
