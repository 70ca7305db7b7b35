# Copyright (c) costa_mm authors. All rights reserved.
import copy
from unittest import mock

import numpy as np
import pytest
import torch
from tiny_model import (build, grounder_cfg, head_cfg, make_batch, make_sample,
                        neck_cfg, take)
from torch.testing import assert_close


def run(model, batch, mode):
    data = model.data_preprocessor(copy.deepcopy(batch))
    return model(**data, mode=mode)


def predict(model, batch):
    with torch.no_grad():
        return model.test_step(copy.deepcopy(batch))


def test_three_modes():
    model, batch = build(grounder_cfg()), make_batch()
    raw = run(model, batch, 'tensor')
    assert raw.boxes.shape == (2, 2, 5, 4)
    losses = run(model, batch, 'loss')
    assert len(losses) == 2 * 4 + 1
    assert all(v.dim() == 0 and v.isfinite() for v in losses.values())
    samples = run(model, batch, 'predict')
    assert [s.sample_id for s in samples] == ['s0', 's1']
    with pytest.raises(ValueError, match="'train'"):
        run(model, batch, 'train')


def test_predictions_cover_the_source_video():
    for sample in predict(build(grounder_cfg()), make_batch()):
        tube, count = sample.pred_tube, len(sample.frame_ids)
        assert len(tube.frame_ids) == sample.num_frames == 2 * count
        assert 0 <= tube.span[0] < tube.span[1] <= sample.num_frames
        h, w = sample.ori_shape
        assert tube.boxes.min() >= 0
        assert (tube.boxes <= [w, h, w, h]).all()
        for name in ('pred_start', 'pred_end', 'pred_attendance'):
            assert getattr(sample, name).shape == (count, )
        assert sample.pred_start.sum() == pytest.approx(1, abs=1e-5)
        np.testing.assert_allclose(tube.boxes[sample.frame_ids],
                                   sample.pred_boxes)
        assert sample.pred_spans[0][:2] == tube.span
        assert 0 < sample.pred_score <= 1
        assert 'gt_tube' in sample  # what came in is still there


def assert_equal_predictions(one, other, **tolerance):
    assert one.pred_tube.span == other.pred_tube.span
    np.testing.assert_allclose(one.pred_tube.boxes, other.pred_tube.boxes,
                               **tolerance)
    np.testing.assert_allclose(one.pred_start, other.pred_start, **tolerance)
    np.testing.assert_allclose(one.pred_attendance, other.pred_attendance,
                               **tolerance)


@pytest.mark.parametrize('two_pass', [False, True])
def test_ground_truth_is_never_read_at_test_time(two_pass):
    model = build(grounder_cfg(test_cfg=dict(two_pass=two_pass)))
    batch = make_batch()
    stripped, shifted = copy.deepcopy(batch), copy.deepcopy(batch)
    for sample in stripped['data_samples']:
        for name in ('gt_boxes', 'gt_box_mask', 'gt_span', 'gt_tube', 'draw'):
            delattr(sample, name)
    for sample in shifted['data_samples']:
        sample.gt_span = torch.tensor([0, 2])
        sample.gt_boxes = sample.gt_boxes + 7
    wanted = predict(model, batch)
    for other in (stripped, shifted):
        for a, b in zip(wanted, predict(model, other)):
            assert_equal_predictions(a, b, rtol=0, atol=0)


@pytest.mark.parametrize('two_pass', [False, True])
def test_batched_prediction_equals_single(two_pass):
    model = build(grounder_cfg(test_cfg=dict(two_pass=two_pass)))
    # of one size: a CNN sees padded pixels at the border, as in DETR
    batch = make_batch(sizes=((32, 64), (32, 64)))
    both = predict(model, batch)
    for i in range(2):
        alone, = predict(model, take(batch, i))
        assert_equal_predictions(both[i], alone, rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize('two_pass', [False, True])
def test_one_encoded_video_answers_many_sentences(two_pass):
    model = build(grounder_cfg(test_cfg=dict(two_pass=two_pass)))
    sentences = ('a man walks to the left', 'the red ball', 'who sits down?')
    batches = [
        make_batch(durations=(5, ), sizes=((32, 64), ), spans=((1, 3), ),
                   sentences=(sentence, )) for sentence in sentences
    ]
    wanted = [predict(model, batch)[0] for batch in batches]
    samples = [batch['data_samples'][0] for batch in batches]
    calls = []
    model.backbone.register_forward_hook(lambda *args: calls.append(args))
    with torch.no_grad():
        data = model.data_preprocessor(batches[0])
        visual = model.encode_video(data['inputs'])
        assert model.predict_encoded(visual, samples) == samples
    assert len(calls) == 1 + two_pass
    for sample, other in zip(samples, wanted):
        assert_equal_predictions(sample, other, rtol=1e-4, atol=1e-3)
        assert sample.pred_score == pytest.approx(other.pred_score, abs=1e-5)
    # the sentence matters, or the comparison would show nothing
    assert not np.allclose(wanted[0].pred_boxes, wanted[1].pred_boxes,
                           atol=1e-2)
    with pytest.raises(ValueError, match='3 samples need features of 1 or 3'):
        two = model.data_preprocessor(make_batch())
        model.predict_encoded(model.encode_video(two['inputs']), samples)


def test_batched_loss_equals_the_mean_of_singles():
    model = build(grounder_cfg()).train()
    batch = make_batch(sizes=((32, 64), (32, 64)))
    both = run(model, batch, 'loss')
    alone = [run(model, take(batch, i), 'loss') for i in range(2)]
    for name, value in both.items():
        assert_close(
            value, (alone[0][name] + alone[1][name]) / 2, atol=1e-4,
            rtol=1e-4)


def test_no_true_frame_in_the_clip():
    model = build(grounder_cfg()).train()
    losses = run(model, make_batch(spans=(None, None)), 'loss')
    for name, value in losses.items():
        assert value.isfinite()
        if 'bbox' in name or 'giou' in name or 'span' in name:
            assert value.item() == 0
        else:
            assert value.item() > 0  # the object is nowhere
    sum(losses.values()).backward()
    one = run(model, make_batch(spans=((1, 3), None)), 'loss')
    assert one['loss_span'].item() > 0 and one['loss_bbox'].item() > 0


@pytest.mark.parametrize('cfg', [
    grounder_cfg(),
    grounder_cfg(head=head_cfg(entangled=False)),
    grounder_cfg(neck=neck_cfg(with_cp=True)),
    grounder_cfg(
        head=head_cfg(
            object_query=dict(type='costa_mm.ReferencePointQuery'))),
])
def test_gradients_reach_every_trainable_parameter(cfg):
    model = build(cfg).train()
    sum(run(model, make_batch(), 'loss').values()).backward()
    # x_l of the first layers' embeddings can be 0 by chance, None cannot
    missing = [
        n for n, p in model.named_parameters()
        if p.requires_grad and p.grad is None
    ]
    assert missing == []
    zero = [
        n for n, p in model.named_parameters()
        if p.requires_grad and not p.grad.any() and 'bias' not in n
    ]
    # key biases shift all scores alike; weights must all learn
    assert [n for n in zero if 'position_embeddings' not in n] == []


def test_one_training_step_changes_the_weights():
    from mmengine.optim import OptimWrapper
    model = build(grounder_cfg()).train()
    wrapper = OptimWrapper(torch.optim.AdamW(model.parameters(), lr=1e-3))
    before = model.head.spatial_decoder.box_head.layers[0].weight.clone()
    log = model.train_step(make_batch(), wrapper)
    assert log['loss'].isfinite()
    assert not torch.equal(
        model.head.spatial_decoder.box_head.layers[0].weight, before)


def test_two_passes_are_two_videos_merged():
    model = build(grounder_cfg(test_cfg=dict(two_pass=True)))
    plain = build(grounder_cfg())
    batch = make_batch(durations=(6, ), sizes=((32, 32), ), spans=((1, 3), ),
                       sentences=('a ball', ))
    merged, = predict(model, batch)
    halves = []
    for offset in (0, 1):
        sample = make_sample(0, 6, (32, 32), (1, 3), 'a ball')
        sample.set_metainfo(dict(frame_ids=2 * np.arange(6)[offset::2]))
        halves += predict(
            plain,
            dict(inputs=[batch['inputs'][0][offset::2]],
                 data_samples=[sample]))
    even, odd = halves
    assert merged.pred_tube.span == (
        min(even.pred_tube.span[0], odd.pred_tube.span[0]),
        max(even.pred_tube.span[1], odd.pred_tube.span[1]))
    np.testing.assert_allclose(merged.pred_boxes[::2], even.pred_boxes,
                               rtol=1e-5)
    np.testing.assert_allclose(merged.pred_boxes[1::2], odd.pred_boxes,
                               rtol=1e-5)
    np.testing.assert_allclose(merged.pred_start[::2], even.pred_start / 2,
                               rtol=1e-5)


def test_one_frame_in_both_kinds_of_prediction():
    batch = make_batch(durations=(1, ), sizes=((32, 32), ), spans=((0, 0), ),
                       sentences=('a ball', ))
    for two_pass in (False, True):
        model = build(grounder_cfg(test_cfg=dict(two_pass=two_pass)))
        sample, = predict(model, batch)
        assert sample.pred_tube.span == (0, 1)
        assert len(sample.pred_tube.boxes) == 2


def test_a_video_of_one_frame_changes_no_other():
    model = build(grounder_cfg(test_cfg=dict(two_pass=True)))
    batch = make_batch(durations=(1, 5), sizes=((32, 64), (32, 64)),
                       spans=((0, 0), (1, 3)))
    both = predict(model, batch)
    for i in range(2):
        alone, = predict(model, take(batch, i))
        assert_equal_predictions(both[i], alone, rtol=1e-4, atol=1e-3)


def test_parts_may_be_modules():
    one = build(grounder_cfg())
    other = build(
        grounder_cfg(
            backbone=None,
            neck=None,
            head=None,
            text_encoder=None,
            data_preprocessor=None))
    assert other.backbone is None
    for name in ('backbone', 'neck', 'head', 'text_encoder'):
        setattr(other, name, getattr(one, name))
    a, b = (predict(m, make_batch()) for m in (one, other))
    assert_equal_predictions(a[0], b[0])


def test_attention_maps_on_request():
    model, batch = build(grounder_cfg()), make_batch()
    data = model.data_preprocessor(copy.deepcopy(batch))
    first, second = model.attention_maps(**data)
    # layers, frames, cells of 32 pixels; words with begin and end
    assert first.cells.shape == (2, 5, 1, 2) and first.words.shape == (2, 5, 8)
    assert second.cells.shape == (2, 3, 2, 1)
    assert second.words.shape == (2, 3, 5)
    for maps in (first, second):
        total = maps.cells.sum((2, 3)) + maps.words.sum(2)
        assert_close(total, torch.ones_like(total))
    assert model.head.need_attention is False


def test_attention_is_not_made_unless_asked_for():
    model = build(grounder_cfg())
    from costa_mm.models.layers import attention
    seen, before = [], attention.attend

    def attend(*args, need_weights=False, **kwargs):
        seen.append(need_weights)
        return before(*args, need_weights=need_weights, **kwargs)

    with mock.patch.object(attention, 'attend', attend):
        predict(model, make_batch())
        assert seen and not any(seen)
        data = model.data_preprocessor(make_batch())
        model.attention_maps(**data)
        assert any(seen)


def test_bad_arguments_raise():
    with pytest.raises(ValueError, match='train_cfg'):
        build(grounder_cfg(train_cfg=dict(x=1)))
    with pytest.raises(TypeError):
        build(grounder_cfg(test_cfg=dict(two_passes=True)))
    with pytest.raises(TypeError):
        build(grounder_cfg(bbox_head=None))


def test_no_tensor_twice_in_the_checkpoint():
    state = build(grounder_cfg()).state_dict()
    places = [v.data_ptr() for v in state.values() if v.numel()]
    assert len(places) == len(set(places))


def test_one_switch_recomputes_backbone_and_neck():
    plain, lean = (build(grounder_cfg(with_cp=cp)) for cp in (False, True))
    assert lean.neck.with_cp and not plain.neck.with_cp
    kinds = [type(m).__name__ for m in lean.backbone.modules()]
    assert 'CheckpointedBasicBlock' in kinds
    assert 'CheckpointedBasicBlock3d' in kinds
    grads = []
    for model in (plain, lean):
        model.train()
        sum(run(model, make_batch(), 'loss').values()).backward()
        grads.append({n: p.grad for n, p in model.named_parameters()
                      if p.grad is not None})
    assert grads[0].keys() == grads[1].keys()
    for name, grad in grads[0].items():
        assert_close(grads[1][name], grad, rtol=1e-4, atol=1e-5)


def test_the_switch_needs_configs():
    part = build(grounder_cfg()).backbone
    with pytest.raises(TypeError, match='CollaborativeResNet is a module'):
        build(grounder_cfg(backbone=part, with_cp=True))
