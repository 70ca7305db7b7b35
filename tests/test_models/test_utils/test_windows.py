# Copyright (c) costa_mm authors. All rights reserved.
import copy
from unittest import mock

import numpy as np
import pytest
import torch
from tiny_model import build, grounder_cfg, make_batch

from costa_mm.models.utils import (DecodingConfig, SampledTube, WindowConfig,
                                   merge_windows)


def tube(ids, spans, attendance=None, box=0.):
    """A window's tube; start and end are certain, all boxes are ``box``."""
    ids = np.asarray(ids)
    start, end = np.zeros(len(ids)), np.zeros(len(ids))
    start[ids == spans[0][0]] = 1
    end[ids == spans[0][1] - 1] = 1
    return SampledTube(
        frame_ids=ids,
        boxes=np.full((len(ids), 4), box),
        spans=spans,
        start=start,
        end=end,
        attendance=np.zeros(0, np.float32)
        if attendance is None else np.asarray(attendance, np.float32))


def config(num_spans=5, **kwargs):
    return DecodingConfig(
        num_spans=num_spans, window=dict(num_frames=10, overlap=4, **kwargs))


def test_windows_cover_the_video_and_are_of_one_length():
    window = WindowConfig(num_frames=10, overlap=4)
    assert window.split(10) == [slice(0, 10)]
    assert window.split(3) == [slice(0, 3)]
    # the last one is moved back
    assert window.split(17) == [slice(0, 10), slice(6, 16), slice(7, 17)]
    assert window.split(16) == [slice(0, 10), slice(6, 16)]
    assert window.split(22, passes=2) == [slice(0, 20), slice(2, 22)]
    assert WindowConfig(num_frames=9).overlap == 4
    for total in range(1, 60):
        parts = window.split(total)
        seen = np.zeros(total, int)
        for part, following in zip(parts, parts[1:]):
            assert part.stop - following.start >= 4
        for part in parts:
            seen[part] += 1
        assert seen.min() == 1
        assert {p.stop - p.start for p in parts} == {min(total, 10)}


@pytest.mark.parametrize('bad, message', [
    (dict(num_frames=1), 'at least 2'),
    (dict(num_frames=8, overlap=8), 'between 1 and'),
    (dict(num_frames=8, overlap=0), 'between 1 and'),
    (dict(num_frames=8, fps=0.), 'fps must be positive'),
    (dict(num_frames=8, link_iou=0.), 'link_iou'),
])
def test_bad_options(bad, message):
    with pytest.raises(ValueError, match=message):
        DecodingConfig(window=bad)


def test_unknown_option():
    with pytest.raises(TypeError, match='stride'):
        DecodingConfig(window=dict(num_frames=8, stride=4))


def test_one_window_is_returned_as_it_is():
    one = tube(range(10), [(2, 5, 0.3)])
    assert merge_windows([one], config()) is one
    with pytest.raises(ValueError, match='several windows'):
        merge_windows([one, one], DecodingConfig())


def test_the_best_window_wins_and_scores_order_the_rest():
    merged = merge_windows([
        tube(range(0, 10), [(2, 4, 0.2)], box=1.),
        tube(range(6, 16), [(11, 14, 0.7)], box=2.),
        tube(range(12, 22), [(17, 20, 0.1)], box=3.),
    ], config())
    assert merged.spans == [(11, 14, 0.7), (2, 4, 0.2), (17, 20, 0.1)]
    assert merged.frame_ids.tolist() == list(range(22))
    # common frames: those of the better window
    assert merged.boxes[:, 0].tolist() == 6 * [1.] + 10 * [2.] + 6 * [3.]
    assert merged.start.sum() == pytest.approx(1)
    assert merged.start[11] == pytest.approx(0.7)
    assert merged.end[19] == pytest.approx(0.1)
    assert merged.attendance.shape == (0, )
    assert len(merge_windows(
        [tube(range(0, 10), [(2, 4, 0.2)]),
         tube(range(6, 16), [(11, 14, 0.7)])], config(num_spans=1)).spans) == 1


def test_attendance_tells_windows_without_the_event():
    sure_but_absent = tube(range(0, 10), [(2, 4, 0.9)], [0.1] * 10)
    unsure_but_there = tube(
        range(6, 16), [(9, 13, 0.4)], [0.] * 3 + [1., 1., .5, .5] + [0.] * 3)
    merged = merge_windows([sure_but_absent, unsure_but_there], config())
    # attendance ranks; the score is the probability, as in one window
    assert merged.spans == [(9, 13, 0.4), (2, 4, 0.9)]
    alone = merge_windows([unsure_but_there], config())
    assert alone.spans[0] == merged.spans[0]
    np.testing.assert_allclose(merged.attendance[:6], 0.1)
    np.testing.assert_allclose(merged.attendance[9:13], [1, 1, .5, .5])


def test_an_event_longer_than_a_window_is_put_together():
    merged = merge_windows([
        tube(range(0, 10), [(5, 10, 0.3)], box=1.),
        tube(range(6, 16), [(6, 16, 0.9)], box=2.),
        # its second best agrees, its best does not
        tube(range(12, 22), [(18, 20, 0.5), (12, 17, 0.4)], box=3.),
        tube(range(18, 28), [(20, 24, 0.6)], box=4.),
    ], config())
    assert merged.spans[0] == (5, 17, 0.9)
    # what is part of it is no event of its own
    assert merged.spans[1:] == [(20, 24, 0.6), (18, 20, 0.5)]
    # the event's windows first, then the better one
    assert merged.boxes[[0, 5, 6, 15, 16, 17, 18, 27], 0].tolist() == [
        1, 1, 2, 2, 3, 3, 3, 4]


def test_a_neighbour_that_disagrees_ends_the_event():
    # common frames 6 to 9: one says all of them, the other says one
    merged = merge_windows([
        tube(range(0, 10), [(5, 10, 0.9)]),
        tube(range(6, 16), [(9, 14, 0.3)]),
    ], config())
    assert merged.spans == [(5, 10, 0.9)]
    linked = merge_windows([
        tube(range(0, 10), [(5, 10, 0.9)]),
        tube(range(6, 16), [(9, 14, 0.3)]),
    ], config(link_iou=0.25))
    assert linked.spans == [(5, 14, 0.9)]


def test_a_span_inside_its_window_is_not_stretched():
    merged = merge_windows([
        tube(range(0, 10), [(5, 9, 0.9)]),
        tube(range(6, 16), [(6, 14, 0.3)]),
    ], config())
    assert merged.spans[0] == (5, 9, 0.9)


LONG = dict(durations=(23, ), sizes=((32, 64), ), spans=((1, 3), ),
            sentences=('a ball', ))
WINDOW = dict(num_frames=5, overlap=2)


def predict(model, batch):
    with torch.no_grad():
        return model.test_step(copy.deepcopy(batch))


@pytest.mark.parametrize('two_pass', [False, True])
def test_a_video_of_one_window_is_predicted_as_ever(two_pass):
    plain = build(grounder_cfg(test_cfg=dict(two_pass=two_pass)))
    cfg = dict(two_pass=two_pass, window=WINDOW)
    model = build(grounder_cfg(test_cfg=cfg))
    batch = make_batch()
    for one, other in zip(predict(plain, batch), predict(model, batch)):
        assert one.pred_spans == other.pred_spans
        np.testing.assert_array_equal(one.pred_tube.boxes,
                                      other.pred_tube.boxes)


@pytest.mark.parametrize('two_pass', [False, True])
def test_a_long_video_is_predicted_window_by_window(two_pass):
    model = build(grounder_cfg(test_cfg=dict(two_pass=two_pass,
                                             window=WINDOW)))
    seen = []
    model.backbone.register_forward_hook(
        lambda module, args, out: seen.append(args[0].shape[2]))
    sample, = predict(model, make_batch(**LONG))
    assert seen == [5] * len(seen)
    assert len(seen) == (2 * 4 if two_pass else 7)
    assert sample.frame_ids.tolist() == list(range(0, 46, 2))
    assert len(sample.pred_tube.boxes) == 46
    assert sample.pred_start.shape == sample.pred_attendance.shape == (23, )
    assert sample.pred_start.sum() == pytest.approx(1, abs=1e-5)
    assert sample.pred_spans[0] == (*sample.pred_tube.span, sample.pred_score)


def test_every_window_is_a_video_of_its_own():
    model = build(grounder_cfg(test_cfg=dict(window=WINDOW)))
    plain = build(grounder_cfg())
    batch = make_batch(**LONG)
    with mock.patch('costa_mm.models.grounders.spatio_temporal_grounder.'
                    'merge_windows', wraps=merge_windows) as merge:
        predict(model, batch)
    tubes, = merge.call_args_list[0].args[:1]
    starts = [0, 3, 6, 9, 12, 15, 18]
    assert [t.frame_ids[0] for t in tubes] == [2 * s for s in starts]
    for start in (0, 9, 18):
        part = copy.deepcopy(batch)
        part['inputs'] = [part['inputs'][0][start:start + 5]]
        ids = 2 * np.arange(start, start + 5)
        part['data_samples'][0].set_metainfo(dict(frame_ids=ids))
        alone, = predict(plain, part)
        own = tubes[starts.index(start)]
        assert own.spans[0] == pytest.approx(alone.pred_spans[0])
        np.testing.assert_allclose(own.boxes, alone.pred_boxes, atol=1e-4)


def test_a_batch_with_long_and_short_videos():
    model = build(grounder_cfg(test_cfg=dict(window=WINDOW)))
    batch = make_batch(durations=(12, 4), sizes=((32, 64), (32, 64)))
    both = predict(model, batch)
    for i in range(2):
        alone, = predict(
            model, {k: [copy.deepcopy(v[i])] for k, v in batch.items()})
        assert both[i].pred_tube.span == alone.pred_tube.span
        np.testing.assert_allclose(
            both[i].pred_boxes, alone.pred_boxes, rtol=1e-4, atol=1e-3)
    with pytest.raises(ValueError, match='no window'):
        model.predict_windows([], batch['data_samples'])
