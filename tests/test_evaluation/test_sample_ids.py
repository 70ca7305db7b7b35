# Copyright (c) costa_mm authors. All rights reserved.
"""Two samples of one id are told apart, one that comes twice counts once."""
import pytest

from costa_mm.evaluation import STVGMetric
from costa_mm.structures import load_tubes


def sample_called_a(make_tube, **changes):
    return dict(dict(sample_id='a', pred_tube=make_tube((0, 5)),
                     gt_tube=make_tube((0, 5)), sentence='it goes',
                     video_id='0001', video_path='v/x/0001.mp4'), **changes)


@pytest.mark.parametrize('format_only', [False, True])
@pytest.mark.parametrize('key, value, told', [
    ('video_path', 'v/y/0001.mp4', "'v/x/0001.mp4' 'it goes' and 'v/y/0001"),
    ('sentence', 'it stops', "'it goes' and .* 'it stops'")])
def test_two_samples_of_one_id_are_told_whatever_is_done(
        format_only, key, value, told, make_tube, tmp_path):
    path = tmp_path / 'out.json'
    options = dict(format_only=format_only, tube_file=str(path))
    other = sample_called_a(make_tube, **{key: value})
    metric = STVGMetric(**options)
    metric.process(None, [sample_called_a(make_tube), other])
    with pytest.raises(ValueError, match=f"called 'a': .*{told}"):
        metric.evaluate(2)
    assert not path.exists()
    # one that the sampler has handed out twice is no other
    metric = STVGMetric(**options)
    for _ in range(2):
        metric.process(None, [sample_called_a(make_tube)])
    metric.evaluate(1)
    assert list(load_tubes(path)) == ['a']


def test_videos_are_told_apart_by_their_ids_where_paths_are_not_known(
        make_tube, tmp_path):
    metric = STVGMetric(format_only=True, tube_file=str(tmp_path / 'o.json'))
    metric.process(None, [
        sample_called_a(make_tube, video_path=None, video_id=i)
        for i in ('x/1', 'y/1')])
    with pytest.raises(ValueError, match="'x/1' 'it goes' and 'y/1'"):
        metric.evaluate(2)
