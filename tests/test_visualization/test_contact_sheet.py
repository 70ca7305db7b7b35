# Copyright (c) costa_mm authors. All rights reserved.
import numpy as np
import pytest

from costa_mm.visualization import TubeTrack, contact_sheet, pick_frames
from costa_mm.visualization.contact_sheet import FONT, GAP
from costa_mm.visualization.text import line_height


def test_ends_of_spans_are_picked(pred, truth):
    picked = pick_frames(200, [TubeTrack(pred), TubeTrack(truth)], 8)
    assert len(picked) <= 8
    assert (np.diff(picked) > 0).all()
    assert picked[-1] == 199
    # Last frames of the spans [5, 12) and [4, 10).
    assert {11, 9} <= set(picked.tolist())


@pytest.mark.parametrize('num_frames', [1, 2, 5])
def test_short_videos_are_shown_whole(num_frames, pred):
    assert pick_frames(num_frames, [TubeTrack(pred)], 12).tolist() == \
        list(range(num_frames))


def test_layout_is_rows_of_tiles(frames, pred):
    ids = [0, 3, 6, 9, 12]
    sheet = contact_sheet(
        frames[ids], ids, [TubeTrack(pred)], num_frames=20, columns=3,
        tile_width=100)
    tile = 66 + line_height(FONT)  # 60 / 91 * 100, made even
    assert sheet.shape == (2 * (tile + GAP) + GAP, 3 * (100 + GAP) + GAP, 3)
    # The fifth tile shows frame 12, of brightness 60.
    y, x = GAP + tile + GAP + 4, 2 * GAP + 100 + 90
    assert abs(int(sheet[y, x, 0]) - 60) <= 1


def test_span_bar_is_under_the_tiles_inside(frames, pred):
    def bar(frame_id):
        sheet = contact_sheet(
            frames[[frame_id]], [frame_id], [TubeTrack(pred)], num_frames=20,
            tile_width=200)
        foot = sheet[-line_height(FONT) - GAP:]
        return (foot == pred_color).all(-1).sum()

    pred_color = TubeTrack(pred).color
    assert bar(4) == 0 and bar(12) == 0
    assert bar(5) > 100 and bar(11) > 100


def test_numbers_must_fit(frames):
    with pytest.raises(ValueError, match='20 frames with 1 numbers'):
        contact_sheet(frames, [0], [], num_frames=20)
    with pytest.raises(ValueError, match='0 frames'):
        contact_sheet([], [], [], num_frames=20)
