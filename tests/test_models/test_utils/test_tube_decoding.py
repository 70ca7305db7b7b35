# Copyright (c) costa_mm authors. All rights reserved.
import numpy as np
import pytest
import torch
from torch.testing import assert_close

from costa_mm.models.utils import (DecodingConfig, SampledTube, best_spans,
                                   decode_tubes, densify_boxes, merge_passes,
                                   to_source_span)
from costa_mm.structures import TubeOutputs

CFG = DecodingConfig()


def decode(boxes, logits, durations, ids, sizes, cfg=CFG, **kwargs):
    """Boxes (B*T, 4), logits (B, T, 2)."""
    num, length = logits.shape[:2]
    mask = torch.arange(length) >= torch.as_tensor(durations)[:, None]
    metas = [
        dict(frame_ids=i, num_frames=int(i[-1]) + 1, ori_shape=tuple(s))
        for i, s in zip(ids, sizes)
    ]
    outs = TubeOutputs(
        boxes=boxes.view(1, num, length, 4),
        span_logits=logits[None],
        frame_mask=mask,
        **kwargs)
    return decode_tubes(outs, metas, cfg)


def test_the_last_layer_is_decoded():
    torch.manual_seed(0)
    outs = TubeOutputs(
        boxes=torch.rand(3, 1, 4, 4) / 2 + .2,
        span_logits=torch.randn(3, 1, 4, 2),
        frame_mask=torch.zeros(1, 4, dtype=torch.bool),
        attendance=torch.randn(3, 1, 4))
    last = TubeOutputs(*(v[-1:] if i != 2 else v
                         for i, v in enumerate(outs[:4])))
    metas = [dict(frame_ids=range(4), num_frames=4, ori_shape=(8, 8))]
    (one, ), (other, ) = (decode_tubes(o, metas, CFG) for o in (outs, last))
    assert one.spans == other.spans
    for name in ('boxes', 'start', 'end', 'attendance'):
        np.testing.assert_array_equal(getattr(one, name),
                                      getattr(other, name))


@pytest.mark.parametrize('case', ['a', 'b', 'c_crossed', 'd_single',
                                  'e_ties'])
def test_stcat_postprocess(golden, case):
    data = {
        k[len(case) + 1:]: v
        for k, v in golden('stcat_postprocess').items()
        if k.startswith(f'{case}.')
    }
    durations = data['durations'].tolist()
    ids = [data[f'frame_ids{i}'].numpy() for i in range(len(durations))]
    sizes = data['sizes_hw'].tolist()
    tubes = decode(data['pred_boxes'], data['pred_sted'], durations, ids,
                   sizes)
    length = data['pred_sted'].shape[1]
    expected = data['out_boxes_xyxy'].view(len(durations), length, 4)
    for i, tube in enumerate(tubes):
        assert tube.spans[0][:2] == tuple(data['out_sted'][i].tolist())
        h, w = sizes[i]
        # the published code clips at 0 only
        clipped = expected[i, :durations[i]].double().minimum(
            torch.tensor([w, h, w, h]).double())
        assert_close(
            torch.from_numpy(tube.boxes), clipped, atol=1e-3, rtol=1e-5)


@pytest.mark.parametrize(
    'case', ['a', 'b_padded', 'c_crossed', 'd_single', 'e_ties'])
def test_tubedetr_postprocess(golden, case):
    data = golden('tubedetr_postprocess')
    logits = data[f'{case}.pred_sted']
    durations = data[f'{case}.durations'].tolist()
    ids = [data[f'{case}.frame_ids{i}'].numpy() for i in range(len(logits))]
    tubes = decode(
        torch.rand(logits[..., 0].numel(), 4), logits, durations, ids,
        [(10, 10)] * len(logits))
    spans = [list(t.spans[0][:2]) for t in tubes]
    assert spans == data[f'{case}.out_sted'].int().tolist()


def test_padding_cannot_win_as_it_does_in_tubedetr(golden):
    data = golden('tubedetr_postprocess')
    case = 'b_padded_leak'
    ids = [data[f'{case}.frame_ids{i}'].numpy() for i in range(2)]
    tubes = decode(
        torch.rand(14, 4), data[f'{case}.pred_sted'],
        data[f'{case}.durations'].tolist(), ids, [(10, 10)] * 2)
    # the leak made the second span [0, 1]; without it, it is b_padded's
    assert data[f'{case}.out_sted'][1].int().tolist() == [0, 1]
    expected = data['b_padded.out_sted'].int().tolist()
    assert [list(t.spans[0][:2]) for t in tubes] == expected


def test_clips_of_one_video_are_concatenated(golden):
    data = golden('tubedetr_postprocess')
    case = 'f_ensemble_2clips'
    logits = data[f'{case}.pred_sted']
    whole = torch.cat((logits[0, :6], logits[1, :4]))[None]
    tube, = decode(
        torch.rand(10, 4), whole, [10], [data[f'{case}.frame_ids0'].numpy()],
        [(10, 10)])
    assert list(
        tube.spans[0][:2]) == data[f'{case}.out_sted'][0].int().tolist()


def test_two_passes_are_merged_as_published(golden):
    data = golden('stcat_do_eval_merge')
    ids = data['frame_ids'].numpy()
    size = tuple(data['size_hw'].tolist())
    even, odd = (decode(
        data[f'pass{k}.pred_boxes'], data[f'pass{k}.pred_sted'],
        [len(data[f'pass{k}.frame_index'])],
        [ids[data[f'pass{k}.frame_index'].numpy()]], [size])[0]
                 for k in (1, 2))
    merged = merge_passes(even, odd)
    assert merged.spans[0][:2] == tuple(data['out.sted'].tolist())
    assert np.array_equal(merged.frame_ids, ids)
    dense = densify_boxes(merged.frame_ids, merged.boxes, int(ids[-1]) + 1)
    np.testing.assert_array_equal(data['out.frame_ids'].numpy(),
                                  np.arange(len(dense)))
    expected = data['out.boxes_xyxy'].numpy()
    limit = np.array([size[1], size[0]] * 2)
    # the published code does not clip right and below, so that boxes differ
    # between a sampled one that sticks out and its neighbours
    over = (expected[ids] > limit).any(1).astype(float)
    same = np.interp(np.arange(len(dense)), ids, over) == 0
    assert 40 < same.sum() < len(dense)
    np.testing.assert_allclose(dense[same], expected[same], atol=1e-3)
    np.testing.assert_allclose(
        dense[ids], np.minimum(expected[ids], limit), atol=1e-3)
    # two distributions with half the weight each
    for name in ('start', 'end'):
        assert getattr(merged, name).sum() == pytest.approx(1, abs=1e-5)


def test_merge_puts_frames_in_order():
    boxes = torch.rand(3, 4)
    even, odd = (decode(boxes, torch.zeros(1, 3, 2), [3], [ids], [(4, 4)],
                        attendance=torch.zeros(1, 1, 3))[0]
                 for ids in (np.array([0, 4, 8]), np.array([2, 6, 10])))
    merged = merge_passes(even, odd)
    assert merged.frame_ids.tolist() == [0, 2, 4, 6, 8, 10]
    np.testing.assert_array_equal(merged.boxes[::2], even.boxes)
    np.testing.assert_array_equal(merged.boxes[1::2], odd.boxes)
    assert len(merged.attendance) == 6


def test_merged_spans_are_those_that_both_passes_have():
    def tube(*spans):
        none = np.zeros(0, np.float32)
        return SampledTube(none, none, list(spans), none, none, none)

    merged = merge_passes(
        tube((10, 40, .4), (200, 250, .3), (60, 90, .09)),
        tube((20, 50, .4), (61, 95, .16), (300, 310, .1)))
    assert [s[:2] for s in merged.spans] == [(10, 50), (60, 95)]
    assert merged.spans[1][2] == pytest.approx(.12)


def test_boxes_are_held_outside_the_sampled_frames():
    boxes = np.array([[0., 0, 4, 4], [8, 2, 8, 4]])
    dense = densify_boxes(np.array([1, 5]), boxes, 8)
    assert dense.shape == (8, 4)
    np.testing.assert_allclose(dense[0], boxes[0])
    np.testing.assert_allclose(dense[2], [2, .5, 5, 4])  # a quarter of the way
    np.testing.assert_allclose(dense[6:], boxes[[1, 1]])


def test_boxes_at_the_ends_of_a_span_are_held():
    boxes = np.arange(4.)[:, None] * [10, 10, 10, 10]
    ids = np.array([0, 4, 8, 12])
    plain = densify_boxes(ids, boxes, 14)
    dense = densify_boxes(ids, boxes, 14, (2, 11))
    np.testing.assert_allclose(dense[2:4], boxes[[1, 1]])  # not towards 0
    np.testing.assert_allclose(dense[4:9], plain[4:9])
    np.testing.assert_allclose(dense[9:11], boxes[[2, 2]])
    outside = [0, 1, 11, 12, 13]
    np.testing.assert_allclose(dense[outside], plain[outside])
    # no sampled frame inside: as ever
    np.testing.assert_allclose(densify_boxes(ids, boxes, 14, (5, 8)), plain)
    with pytest.raises(ValueError, match='box_ends'):
        DecodingConfig(box_ends='extrapolate')


def test_best_spans_are_normalised_over_valid_spans():
    logits = torch.tensor([[[3., 0.], [0., 1.], [0., 2.], [9., 9.]]])
    mask = torch.tensor([[False, False, False, True]])
    spans, = best_spans(logits, mask, 10)
    assert [s[:2] for s in spans] == [(0, 2), (0, 1), (1, 2)]
    weights = np.exp([3 + 2, 3 + 1, 0 + 2])
    np.testing.assert_allclose([s[2] for s in spans],
                               weights / weights.sum(), rtol=1e-5)
    assert len(best_spans(logits, mask, 2)[0]) == 2


def test_span_ends():
    ids = [2, 6, 10, 14]
    assert to_source_span(1, 2, ids, 20, 'sampled') == (6, 11)
    # halfway to the neighbours 2 and 14
    assert to_source_span(1, 2, ids, 20, 'midpoint') == (4, 13)
    assert to_source_span(0, 3, ids, 16, 'midpoint') == (2, 16)
    assert to_source_span(0, 3, ids, 20, 'midpoint') == (2, 15)


def test_a_crossed_prediction_still_gives_a_span():
    logits = torch.tensor([[[0., 9.], [9., 0.]]])
    tube, = decode(
        torch.rand(2, 4), logits, [2], [np.array([0, 5])], [(4, 4)])
    assert tube.spans[0][:2] == (0, 6)
    assert tube.attendance.shape == (0, )


@pytest.mark.parametrize('kwargs', [
    dict(span_ends='x'),
    dict(num_spans=0),
])
def test_bad_options_raise(kwargs):
    with pytest.raises(ValueError):
        DecodingConfig(**kwargs)


def test_unknown_options_raise():
    with pytest.raises(TypeError):
        DecodingConfig(two_passes=True)
