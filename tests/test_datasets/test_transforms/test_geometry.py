# Copyright (c) costa_mm authors. All rights reserved.
import json
from pathlib import Path

import numpy as np
import pytest

from costa_mm.datasets import (FlipWithText, RandomBranch, RandomSizeCrop,
                               ResizeClip)
from costa_mm.datasets.transforms import mirror_words
from costa_mm.datasets.transforms.geometry import MAX_PIXELS, short_side_shape

DATA = Path(__file__).resolve().parents[2] / 'data'


def painted(boxes, height=120, width=160, seed=0, **more):
    """A clip whose boxes are white on black, so pictures can be checked."""
    boxes = np.array(boxes, dtype=np.float32)
    imgs = np.zeros((len(boxes), height, width, 3), dtype=np.uint8)
    for img, box in zip(imgs, boxes.astype(int)):
        img[box[1]:box[3], box[0]:box[2]] = 255
    mask = (boxes[:, 2] > boxes[:, 0])
    return dict(
        imgs=imgs,
        img_shape=(height, width),
        gt_boxes=boxes,
        gt_box_mask=mask,
        sentence='a man',
        rng=np.random.default_rng(seed),
        **more)


def white_box(img):
    rows, cols = np.nonzero(img[..., 0] > 127)
    return [cols.min(), rows.min(), cols.max() + 1, rows.max() + 1]


def check_boxes(results, atol=1.01):
    height, width = results['img_shape']
    assert results['imgs'].shape[1:3] == (height, width)
    for img, box, known in zip(results['imgs'], results['gt_boxes'],
                               results['gt_box_mask']):
        if known:
            np.testing.assert_allclose(box, white_box(img), atol=atol)
        else:
            assert (box == 0).all()


BOXES = [[10, 20, 60, 80], [0, 0, 0, 0], [100, 40, 160, 120]]


@pytest.mark.parametrize(
    'case', json.loads(
        (DATA / 'stcat_sampling.json').read_text())['stcat_resize'] +
    json.loads((DATA / 'tubedetr_sampling.json').read_text())['resize_test'])
def test_resize_shapes_as_published(case):
    size = case.get('size', case.get('resolution'))
    out = short_side_shape(case['h'], case['w'], size, case['max_size'])
    assert list(out) == case['out_hw']


def test_the_paper_size():
    assert short_side_shape(360, 640, 448, 720) == (405, 720)
    assert short_side_shape(720, 1280, 448, 720) == (405, 720)


@pytest.mark.parametrize('height, width', [
    (3, 4000), (4000, 3), (1, 2000), (2000, 1), (1001, 100), (100, 1001),
    (1, 1), (5000, 5000)])
@pytest.mark.parametrize('size, max_size', [(448, 720), (100, 1000), (1, 1)])
def test_sides_stay_in_bounds_whatever_the_proportions(height, width, size,
                                                       max_size):
    shape = short_side_shape(height, width, size, max_size)
    assert 1 <= min(shape) <= max(size, 1) and max(shape) <= max_size
    assert (shape[0] <= shape[1]) == (height <= width) or shape[0] == shape[1]


@pytest.mark.parametrize('height, width', [
    (1, 2000), (2000, 1), (3, 4000), (4000, 3)])
def test_extreme_clips_stay_small(height, width):
    # without max_size 224 x 448,000 pixels would be asked for
    shape = short_side_shape(height, width, 224, None)
    assert min(shape) == 224 and np.prod(shape) <= MAX_PIXELS
    clip = dict(
        rng=np.random.default_rng(0),
        imgs=np.zeros((2, height, width, 3), np.uint8),
        img_shape=(height, width))
    cropped = RandomSizeCrop(min_size=300, max_size=600)(dict(clip))
    assert 0 < np.prod(cropped['img_shape']) <= height * width
    resized = ResizeClip(short_side=224, max_size=400)(cropped)
    assert 1 <= min(resized['img_shape']) <= max(resized['img_shape']) <= 400


@pytest.mark.parametrize('options', [
    dict(short_side=90, max_size=720), dict(scale=(100, 100)),
    dict(scale=(100, 100), keep_ratio=True), dict(short_side=240),
    dict(short_side=[48, 96, 60]), dict(scale=(40, 30), interpolation='area')
])
def test_resize_moves_boxes_with_the_picture(options):
    results = ResizeClip(**options)(painted(BOXES))
    check_boxes(results, atol=1.5)
    if options.get('scale') == (100, 100):
        expected = (75, 100) if 'keep_ratio' in options else (100, 100)
        assert results['img_shape'] == expected


def test_resize_options():
    for options in (dict(), dict(short_side=3, scale=(2, 2)),
                    dict(scale=(2, 2), max_size=3),
                    dict(short_side=3, interpolation='odd')):
        with pytest.raises(ValueError):
            ResizeClip(**options)
    shapes = {
        ResizeClip(short_side=[40, 50, 60])(painted(BOXES,
                                                    seed=s))['img_shape']
        for s in range(20)
    }
    assert {s[0] for s in shapes} == {40, 50, 60}


def test_flip_moves_boxes_and_words_and_back():
    before = painted(BOXES)
    before['sentence'] = 'The man on the Left turns right, then LEFT.'
    results = dict(before)
    flip = FlipWithText(prob=1.0)
    results = flip(results)
    check_boxes(results, atol=0)
    assert results['flip'] is True
    mirrored = 'The man on the Right turns left, then RIGHT.'
    assert results['sentence'] == mirrored
    results = flip(results)
    for key in ('imgs', 'gt_boxes', 'gt_box_mask'):
        np.testing.assert_array_equal(results[key], before[key])
    assert results['sentence'] == before['sentence']
    assert results['flip'] is False
    assert FlipWithText(prob=0.0)(painted(BOXES)).get('flip') is None


@pytest.mark.parametrize('text, mirrored', [
    ('He leaves the bright leftovers alright', None),
    ('the leftmost, right-hand one', 'the rightmost, left-hand one'),
    ('spins clockwise', 'spins counterclockwise'),
    ('spins counter-clockwise', 'spins clockwise'),
    ('Anticlockwise', 'Clockwise'),
    ('moves rightwards', 'moves leftwards'),
    ('he turns counter clockwise', 'he turns clockwise'),
    ('ANTI CLOCKWISE, then right', 'CLOCKWISE, then left'),
    ('Counter\u2011Clockwise', 'Clockwise'),
    ('an anti  clock-wise turn', 'an clock-wise turn'),
    ('turns clock wise', 'turns counter clock wise'),
    ('first clockwise, then anti-clockwise',
     'first anti-clockwise, then clockwise'),
    ('the encounter clockwise', 'the encounter counterclockwise'),
    ('a clockwiser antic', None),
])
def test_mirror_words(text, mirrored):
    assert mirror_words(text) == (text if mirrored is None else mirrored)


@pytest.mark.parametrize('text', [
    'clockwise', 'Counterclockwise', 'CLOCK WISE', 'counter clock wise',
    'counter clockwise, clockwise and right', 'anti-clockwise or clockwise?'])
def test_mirroring_twice_gives_the_sentence_back(text):
    assert mirror_words(mirror_words(text)) == text


@pytest.mark.parametrize('keep', ['part', 'whole'])
def test_size_crop_keeps_every_box(keep):
    crop = RandomSizeCrop(min_size=60, max_size=110, keep=keep)
    cropped = 0
    for seed in range(60):
        boxes = [[50, 30, 90, 70], [0, 0, 0, 0], [60, 40, 100, 90]]
        results = crop(painted(boxes, seed=seed))
        assert results['gt_box_mask'].tolist() == [True, False, True]
        check_boxes(results, atol=0)
        cropped += results['img_shape'] != (120, 160)
        sizes = results['gt_boxes'][[0, 2], 2:] - results['gt_boxes'][[0, 2],
                                                                      :2]
        assert (sizes > 0).all()
        if keep == 'whole':
            assert sizes.tolist() == [[40, 40], [40, 50]]
    assert cropped > 30


def test_size_crop_gives_up_where_nothing_fits():
    crop = RandomSizeCrop(min_size=20, max_size=30, keep='whole')
    results = crop(painted([[0, 0, 160, 120]]))
    assert results['img_shape'] == (120, 160)
    without = painted(BOXES)
    del without['gt_boxes'], without['gt_box_mask']
    assert max(crop(without)['img_shape']) <= 30


def test_branch_draws_from_the_samples_generator():
    branch = RandomBranch(branches=[[
        dict(type='costa_mm.ResizeClip', scale=(s, s))
    ] for s in (10, 20)])
    shapes = [branch(painted(BOXES, seed=s))['img_shape'] for s in range(30)]
    again = [branch(painted(BOXES, seed=s))['img_shape'] for s in range(30)]
    assert shapes == again and set(shapes) == {(10, 10), (20, 20)}
    with pytest.raises(ValueError):
        RandomBranch(branches=[[], []], prob=[0.5])
