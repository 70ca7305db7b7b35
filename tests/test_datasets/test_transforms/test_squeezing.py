# Copyright (c) costa_mm authors. All rights reserved.
"""Height 420, width at most 588; flips that leave the words."""
import numpy as np
import pytest

from costa_mm.datasets import FlipWithText, SqueezeClip


def clip(height, width):
    return dict(
        imgs=np.arange(2 * height * width * 3, dtype=np.uint8).reshape(
            2, height, width, 3),
        img_shape=(height, width),
        gt_boxes=np.array([[0, 0, width, height]] * 2, np.float32),
        gt_box_mask=np.ones(2, bool),
        rng=np.random.default_rng(0))


@pytest.mark.parametrize('size, expected', [
    ((360, 640), (420, 588)),  # squeezed
    ((480, 640), (420, 560)),
    ((640, 360), (420, 236)),  # portrait keeps its proportions
    ((420, 588), (420, 588)),
    ((2, 3000), (420, 588)),
    ((3000, 2), (420, 1)),
])
def test_published_sizes(size, expected):
    out = SqueezeClip().transform(clip(*size))
    assert out['imgs'].shape == (2, *expected, 3)
    assert out['img_shape'] == expected
    box = np.array([0, 0, expected[1], expected[0]])
    assert np.allclose(out['gt_boxes'], box, atol=1e-3)


def test_several_heights_are_drawn():
    squeeze = SqueezeClip(height=(20, 40))
    results = clip(30, 60)
    seen = set()
    for _ in range(20):
        seen.add(squeeze.new_shape(results))
    assert seen == {(20, 28), (40, 56)}
    assert 'max_ratio=1.4' in repr(squeeze)


def test_shrinking_takes_all_pixels_into_account():
    """Without antialiasing most lines would not count."""
    results = clip(64, 64)
    results['imgs'][:] = 0
    results['imgs'][:, ::8] = 255  # one line of eight
    out = SqueezeClip(height=8).transform(results)['imgs']
    assert abs(int(out.mean()) - 255 / 8) < 2
    assert out.std() < 20


@pytest.mark.parametrize('exchange, expected', [
    (True, 'turns right'), (False, 'turns left')])
def test_words_of_a_flip(exchange, expected):
    results = dict(clip(4, 6), sentence='turns left')
    out = FlipWithText(
        prob=1., exchange_words=exchange).transform(results)
    assert out['sentence'] == expected and out['flip']
