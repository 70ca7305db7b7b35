# Copyright (c) costa_mm authors. All rights reserved.
import numpy as np
import pytest

from costa_mm.utils.frames import frames_at, seconds_at, subsample, uniform_ids

TIMES = np.array([0., .5, 1., 9., 9.5])  # a pause after frame 2


@pytest.mark.parametrize('clock, frames, seconds', [
    (2., [0, 3, 4.5], [0, 1.5, 2.25]),
    (TIMES, [0, 2, 2.5, 3, 4], [0, 1, 5, 9, 9.5])])
def test_clocks_by_hand(clock, frames, seconds):
    np.testing.assert_allclose(seconds_at(np.array(frames), clock), seconds)
    np.testing.assert_allclose(frames_at(np.array(seconds), clock), frames)


def test_subsample_by_hand():
    assert subsample(0, 10, 10, 5).tolist() == [0, 2, 4, 6, 8]
    assert subsample(0, 10, 10, 5, keep_last=True).tolist()[-2:] == [8, 9]
    assert subsample(0, 10, 10, 5, 2).tolist() == [0, 4]
    assert subsample(4, 4, 10, 5, keep_last=True).tolist() == []
    assert subsample(0, 10, 10, 5, 2, keep_last=True).tolist() == [0, 9]
    assert uniform_ids(3, 13, 4).tolist() == [3, 6, 9, 12]
    assert uniform_ids(3, 5, 4).tolist() == [3, 4]


@pytest.mark.parametrize('keep_last', [False, True])
@pytest.mark.parametrize('most', [2, 3, 50, 199, 200, 201, None])
@pytest.mark.parametrize('start, end', [(0, 1000), (7, 994), (3, 4), (0, 60)])
def test_first_and_last_frames_stay(start, end, most, keep_last):
    ids = subsample(start, end, 25, 5, most, keep_last)
    assert ids[0] == start and (np.diff(ids) > 0).all()
    assert most is None or len(ids) <= most
    if keep_last:
        assert ids[-1] == end - 1
        assert set(ids) <= set(subsample(start, end, 25, 5, None, True))
    assert subsample(start, end, 25, 5, 1, keep_last).tolist() == [start]
