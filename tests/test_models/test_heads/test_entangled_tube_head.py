# Copyright (c) costa_mm authors. All rights reserved.
from unittest import mock

import pytest
import torch
from tiny_model import C, build, head_cfg, make_batch, make_memory
from torch.testing import assert_close

from costa_mm.models.heads import TubeTargets
from costa_mm.models.utils import labels_from_span

SPANS = torch.tensor([[0, 4], [2, 2]])


def targets(span=SPANS, draws=None):
    inside = labels_from_span(span, 5)
    return TubeTargets(
        boxes=torch.rand(2, 5, 4),
        has_box=inside,
        span=span,
        has_span=torch.ones(2, dtype=torch.bool),
        in_event=inside,
        draws=draws)


def with_span(head, span):
    """Let the temporal decoder predict ``span`` (2, 2)."""
    before = head.temporal_decoder.forward

    def forward(memory):
        hidden, logits = before(memory)
        logits = torch.zeros_like(logits)
        for i, (start, end) in enumerate(span.tolist()):
            logits[:, i, start, 0] = logits[:, i, end, 1] = 9.
        return hidden, logits

    return mock.patch.object(head.temporal_decoder, 'forward', forward)


def event_labels(head, memory, targets=None):
    """Labels that reach the event query."""
    seen = []
    before = head.event_query.forward

    def forward(labels):
        seen.append(labels)
        return before(labels)

    with mock.patch.object(head.event_query, 'forward', forward):
        head(memory, targets)
    return seen[0]


def test_shapes():
    outs = build(head_cfg())(make_memory())
    assert outs.boxes.shape == (2, 2, 5, 4)
    assert outs.span_logits.shape == (2, 2, 5, 2)
    assert outs.attendance.shape == (2, 2, 5)
    assert outs.named('attendance_enc').shape == (2, 5)
    assert outs.named('cell_attention') is None


@pytest.mark.parametrize('beta,draws,true', [
    (1., None, [True, True]),
    (0., None, [False, False]),
    (0.9, torch.tensor([0.89, 0.91]), [True, False]),
])
def test_labels_in_training(beta, draws, true):
    head, memory = build(head_cfg(beta=beta)).train(), make_memory()
    predicted = torch.tensor([[1, 3], [0, 1]])
    with with_span(head, predicted):
        labels = event_labels(head, memory, targets(draws=draws))
    for i in range(2):
        source = SPANS if true[i] else predicted
        assert torch.equal(labels[i], labels_from_span(source, 5)[i])


def test_an_event_frame_without_a_box_is_labelled_all_the_same():
    head, memory = build(head_cfg(beta=1.)).train(), make_memory()
    given = targets()._replace(has_box=torch.zeros(2, 5, dtype=torch.bool))
    labels = event_labels(head, memory, given)
    assert torch.equal(labels, labels_from_span(SPANS, 5))


def test_labels_may_be_drawn_per_frame():
    torch.manual_seed(0)
    head = build(head_cfg(beta=0.5, beta_per_frame=True)).train()
    mixed = 0
    with with_span(head, torch.tensor([[1, 3], [0, 1]])):
        for _ in range(20):
            labels = event_labels(head, make_memory(),
                                  targets(draws=torch.zeros(2)))
            # a draw for the video would give the truth every time
            mixed += not torch.equal(labels, labels_from_span(SPANS, 5))
    assert mixed > 10


def test_the_span_comes_from_the_last_layer():
    head, memory = build(head_cfg()), make_memory()
    logits = torch.zeros(2, 2, 5, 2)
    for layer, (start, end) in enumerate(((0, 1), (2, 4))):
        logits[layer, :, start, 0] = logits[layer, :, end, 1] = 9.
    event = head.make_event_query(memory, logits, None)
    labels = labels_from_span(torch.tensor([[2, 4], [2, 4]]), 5)
    assert_close(event, head.event_query(labels))


def test_labels_at_test_time_are_predicted():
    head, memory = build(head_cfg(beta=1.)), make_memory()
    predicted = torch.tensor([[1, 3], [0, 1]])
    with with_span(head, predicted):
        for given in (None, targets()):  # even if somebody hands truth over
            labels = event_labels(head, memory, given)
            assert torch.equal(labels, labels_from_span(predicted, 5))


@pytest.mark.parametrize('entangled', [True, False])
def test_the_span_steers_the_boxes_if_and_only_if_entangled(entangled):
    head = build(head_cfg(entangled=entangled))
    head.need_attention = True
    memory = make_memory()
    outs = []
    for span in ([[1, 3], [0, 1]], [[0, 1], [0, 1]]):
        with with_span(head, torch.tensor(span)):
            outs.append(head(memory))
    for name in ('boxes', 'cell_attention'):
        one, other = (o.named(name) for o in outs)
        changed = (one - other).abs().sum((0, 2, 3)) > 1e-5
        assert changed.tolist() == [entangled, False]


def test_without_entanglement_the_query_is_a_projection_of_cls():
    head, memory = build(head_cfg(entangled=False)), make_memory()
    event = head.make_event_query(memory, torch.randn(2, 2, 5, 2), None)
    expected = memory.cls @ head.event_query.weight.T + head.event_query.bias
    assert_close(event, expected)


def test_without_entanglement_there_may_be_no_content():
    head = build(head_cfg(entangled=False, content='zero'))
    memory = make_memory()
    event = head.make_event_query(memory, torch.randn(2, 2, 5, 2), None)
    assert event.shape == memory.cls.shape and not event.any()
    assert not [n for n, _ in head.named_parameters()
                if n.startswith('event_query')]
    memory.cls.requires_grad_()
    head(memory).boxes.sum().backward()  # by the anchors
    assert memory.cls.grad.any()


def test_box_losses_do_not_train_the_temporal_decoder():
    head, memory = build(head_cfg(beta=0.)).train(), make_memory()
    head(memory, targets()).boxes.sum().backward()
    assert all(p.grad is None for p in head.temporal_decoder.parameters())
    assert head.spatial_decoder.box_head.layers[0].weight.grad is not None


def test_attendances_come_from_encoder_and_temporal_decoder():
    head, memory = build(head_cfg()), make_memory()
    hidden, _ = head.temporal_decoder(memory)
    outs = head(memory)
    assert_close(outs.attendance, head.attend_dec(hidden)[..., 0])
    assert_close(
        outs.named('attendance_enc'),
        head.attend_enc(memory.cls)[..., 0])


def test_attention_switch():
    head, memory = build(head_cfg()), make_memory()
    plain = head(memory)
    with mock.patch.object(torch.Tensor, 'softmax',
                           side_effect=AssertionError('weights made')):
        head(memory)  # off: none are made anywhere
    head.need_attention = True
    outs = head(memory)
    assert outs.named('cell_attention').shape == (2, 2, 5, 6)
    assert (outs.named('cell_attention')[:, 1, :, -1] == 0).all()  # padding
    assert_close(outs.boxes, plain.boxes)


def test_reference_point_variant():
    head = build(head_cfg(
        object_query=dict(type='costa_mm.ReferencePointQuery')))
    assert head(make_memory()).boxes.shape == (2, 2, 5, 4)


@pytest.mark.parametrize('kwargs,match', [
    (dict(beta=1.5), 'probability'),
    (dict(content='none'), "'cls' or 'zero'"),
    (dict(num_temporal_layers=3), 'same number'),
])
def test_bad_arguments_raise(kwargs, match):
    with pytest.raises(ValueError, match=match):
        build(head_cfg(**kwargs))


def test_unknown_key_raises():
    with pytest.raises(TypeError):
        build(head_cfg(num_queries=C))


@pytest.mark.parametrize('name', ['attend_enc', 'attend_dec'])
def test_what_no_loss_trains_is_frozen(name):
    head = build(head_cfg(**{f'loss_{name}': None}))
    frozen = {n for n, p in head.named_parameters() if not p.requires_grad}
    assert frozen == {n for n, _ in head.named_parameters()
                      if n.startswith(name)} != set()
    losses = head.loss(
        make_memory(durations=[5, 3]), make_batch()['data_samples'])
    sum(v for k, v in losses.items() if 'loss' in k).backward()
    assert all((p.grad is not None) == p.requires_grad
               for p in head.parameters())
