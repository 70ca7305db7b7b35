# Copyright (c) costa_mm authors. All rights reserved.
import numpy as np
import pytest

from costa_mm.visualization import overlay_attention

FRAME = np.full((40, 60, 3), 90, np.uint8)


def test_colour_lies_where_the_attention_is():
    attention = np.zeros((4, 6))
    attention[0, 5] = 1  # top right
    out = overlay_attention(FRAME, attention)
    assert out.shape == FRAME.shape and out.dtype == np.uint8
    changed = np.abs(out.astype(int) - 90).sum(-1)
    assert changed[:10, 50:].mean() > 50
    assert changed[20:, :30].max() == 0
    # The highest weight is red, not blue: channels are RGB.
    assert out[2, 57, 0] > out[2, 57, 2]


def test_no_attention_changes_nothing():
    assert (overlay_attention(FRAME, np.zeros((4, 6))) == 90).all()
    assert (FRAME == 90).all()


def test_common_scale_makes_frames_comparable():
    weak = np.full((4, 6), 0.1)
    alone = overlay_attention(FRAME, weak)
    among = overlay_attention(FRAME, weak, vmax=1.)
    change = [np.abs(x.astype(int) - 90).sum() for x in (alone, among)]
    assert change[0] > change[1] > 0


@pytest.mark.parametrize('bad', [
    np.ones((2, 3, 4)), np.zeros((0, 3)), -np.ones((2, 2)),
    np.full((2, 2), np.nan)
])
def test_bad_maps_are_refused(bad):
    with pytest.raises(ValueError):
        overlay_attention(FRAME, bad)
