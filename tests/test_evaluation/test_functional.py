# Copyright (c) costa_mm authors. All rights reserved.
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from costa_mm.evaluation import (box_iou, boxes_at, span_iou, span_overlap,
                                 subsample, summarize)

DATA = Path(__file__).resolve().parents[1] / 'data'


def test_box_iou_by_hand():
    boxes = np.array([[0, 0, 10, 10]] * 5, float)
    others = np.array([
        [0, 0, 10, 10],  # the same
        [5, 0, 15, 10],  # 50 of 150
        [10, 0, 20, 10],  # touching: no shared area, no "+ 1"
        [2, 2, 4, 4],  # inside: 4 of 100
        [8, 8, 3, 3],  # inverted: no area
    ], float)
    np.testing.assert_allclose(
        box_iou(boxes, others), [1, 1 / 3, 0, .04, 0], atol=1e-12)


def test_box_iou_of_boxes_without_area_is_zero_and_not_nan():
    zero = np.zeros((2, 4))
    assert box_iou(zero, zero).tolist() == [0, 0]


def test_box_iou_broadcasts():
    boxes = np.zeros((3, 7, 4)) + [0, 0, 4, 4]
    assert box_iou(boxes, np.array([0, 0, 4, 4])).shape == (3, 7)


@pytest.mark.parametrize('other, iou, shared', [
    ((10, 20), 1, 10),
    ((0, 10), 0, 0),
    ((20, 30), 0, 0),
    ((0, 11), 1 / 20, 1),
    ((15, 16), 1 / 10, 1),
    ((0, 40), 10 / 40, 10),
    ((30, 40), 0, 0),
])
def test_span_iou_by_hand(other, iou, shared):
    assert span_iou((10, 20), other) == pytest.approx(iou)
    assert span_iou(other, (10, 20)) == pytest.approx(iou)
    assert span_overlap((10, 20), other) == shared


@given(
    st.tuples(st.integers(0, 40), st.integers(1, 20)),
    st.tuples(st.integers(0, 40), st.integers(1, 20)))
def test_span_iou_equals_sets(a, b):
    a, b = (a[0], sum(a)), (b[0], sum(b))
    x, y = set(range(*a)), set(range(*b))
    assert span_iou(a, b) == pytest.approx(len(x & y) / len(x | y))


def test_boxes_at():
    boxes, found = boxes_at(
        np.array([2, 5]), np.array([[0, 0, 1, 1], [0, 0, 2, 2.]]),
        np.array([1, 2, 3, 5, 9]))
    assert found.tolist() == [False, True, False, True, False]
    assert boxes[:, 2].tolist() == [0, 1, 0, 2, 0]


def test_boxes_at_without_boxes():
    boxes, found = boxes_at(np.zeros(0, int), np.zeros((0, 4)), np.arange(3))
    assert boxes.shape == (3, 4) and not found.any()


def test_subsample_equals_published_frames():
    with open(DATA / 'tubedetr_sampling.json', encoding='utf-8') as f:
        golden = json.load(f)
    for case in golden['hcstvg']:
        num = case['frame_count']
        ids = subsample(0, num - 1, num / 20, case['fps'],
                        case['video_max_len'])
        assert ids.tolist() == case['frame_ids']
    for case in golden['vidstg']:
        ids = subsample(case['start_frame'], case['end_frame'],
                        case['source_fps'], case['fps'],
                        case['video_max_len'])
        assert ids.tolist() == case['frame_ids']


def test_subsample_edges():
    assert subsample(3, 3, 30, 5, 200).tolist() == []
    # a slower source than wanted: every frame
    assert subsample(0, 6, 3, 5, 200).tolist() == list(range(6))
    assert subsample(0, 100, 5, 5, 4).tolist() == [0, 25, 50, 75]


def test_summarize_recall_is_strict():
    out = summarize([1, 0], [.3, .5], [.2, .4])
    assert out == {
        'm_tIoU': .5,
        'm_vIoU': .4,
        'vIoU@0.3': .5,
        'vIoU@0.5': 0,
        'm_sIoU': pytest.approx(.3)
    }
    assert 'm_sIoU' not in summarize([1], [1])


def test_functional_needs_numpy_only():
    source = Path(box_iou.__globals__['__file__']).read_text()
    imported = [
        line.split()[1] for line in source.splitlines()
        if line.startswith(('import ', 'from '))
    ]
    assert sorted(imported) == ['numpy', 'typing']
