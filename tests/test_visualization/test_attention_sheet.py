# Copyright (c) costa_mm authors. All rights reserved.
import numpy as np
import pytest

from costa_mm.visualization import (attention_sheet, pick_sampled,
                                    timeline_from_sample, tracks_from_sample)


def test_frames_attention_and_timeline_in_one_picture(frames, sample):
    tracks = tracks_from_sample(sample)
    picked = pick_sampled(sample.frame_ids, tracks, 20, num_tiles=4)
    ids = sample.frame_ids[picked]
    attention = np.zeros((4, 3, 5))
    attention[2, 0, 0] = 1.
    layout = dict(num_frames=20, fps=10., tile_width=100)
    plain = attention_sheet(frames[ids], ids, attention, tracks, **layout)
    dark = attention_sheet(frames[ids], ids, attention * 0, tracks, **layout)
    changed = np.argwhere((plain != dark).any(-1))
    # the lower of two rows of tiles, the third column, its upper left
    tops, lefts = changed.min(0), changed.max(0)
    assert tops[0] > plain.shape[0] / 2
    assert 2 * 100 < tops[1] and lefts[1] < 3.5 * 100
    timeline = timeline_from_sample(sample)
    whole = attention_sheet(frames[ids], ids, attention, tracks,
                            timeline=timeline, **layout)
    assert whole.shape[1] == plain.shape[1]
    assert whole.shape[0] > plain.shape[0] + 50
    assert (whole[:len(plain)] == plain).all()


def test_one_scale_for_all_frames(frames, sample):
    attention = np.ones((2, 3, 5))
    attention[1] = 0.1
    sheets = [
        attention_sheet(frames[[0, 0]], [0, 1], a, [], num_frames=20)
        for a in (attention, attention[::-1])
    ]
    assert (sheets[0] != sheets[1]).any()


def test_narrow_timelines_are_centred(frames):
    timeline = np.full((10, 50, 3), 9, np.uint8)
    sheet = attention_sheet(frames[:1], [0], np.ones((1, 2, 2)), [],
                            num_frames=20, timeline=timeline)
    row = sheet[-1, :, 0] == 9
    left = int(row.argmax())
    assert row.sum() == 50 and abs(left - (len(row) - 50) // 2) <= 1


def test_every_frame_needs_a_map(frames):
    with pytest.raises(ValueError, match='2 frames with 1 attention maps'):
        attention_sheet(frames[:2], [0, 1], np.ones((1, 2, 2)), [],
                        num_frames=20)


def test_picked_frames_are_sampled_ones(sample):
    tracks = tracks_from_sample(sample)
    picked = pick_sampled(sample.frame_ids, tracks, 20, num_tiles=6)
    assert (np.diff(picked) > 0).all() and len(picked) <= 6
    assert picked[0] == 0 and picked[-1] == len(sample.frame_ids) - 1
