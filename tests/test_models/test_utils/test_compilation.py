# Copyright (c) costa_mm authors. All rights reserved.
import copy
import shutil

import numpy as np
import pytest
import torch
from tiny_model import build, grounder_cfg, head_cfg, make_batch, neck_cfg
from torch._inductor.ir import Layout
from torch.utils._sympy.value_ranges import ValueRangeError

DECODER = ['head.temporal_decoder.layers.*']
needs_compiler = pytest.mark.skipif(
    shutil.which('g++') is None and shutil.which('clang++') is None,
    reason='torch.compile needs a C++ compiler')


@pytest.fixture(autouse=True)
def fresh_compiler():
    torch._dynamo.reset()
    yield
    torch._dynamo.reset()


def predict(model, batch):
    with torch.no_grad():
        return model.test_step(copy.deepcopy(batch))


def losses_and_gradients(model, batch):
    model.train()
    data = model.data_preprocessor(copy.deepcopy(batch))
    losses = model(**data, mode='loss')
    sum(losses.values()).backward()
    return losses, {n: p.grad for n, p in model.named_parameters()}


def compiled_modules(model):
    return [n for n, m in model.named_modules()
            if m._compiled_call_impl is not None]


def test_default_parts():
    model = build(grounder_cfg(compile_cfg=dict(backend='eager')))
    names = compiled_modules(model)
    assert names[0] == 'backbone.spatial'
    for name in ('backbone.temporal.layer1', 'backbone.connections.3',
                 'neck.spatial_layers.0', 'neck.temporal_layers.1',
                 'head.temporal_decoder.layers.0',
                 'head.spatial_decoder.layers.1'):
        assert name in names
    assert len(names) == 1 + 4 + 4 + 2 + 2 + 2 + 2
    plain = build(grounder_cfg())
    assert compiled_modules(plain) == []
    assert model.state_dict().keys() == plain.state_dict().keys()


def test_a_name_that_fits_nothing():
    with pytest.raises(ValueError, match='no module fits'):
        build(grounder_cfg(compile_cfg=dict(parts=['head.decoder'])))


def test_traced_training_gives_equal_gradients():
    """Traced by Dynamo, run as it is: quick, and finds what breaks."""
    cfg = dict(backend='eager', parts=['backbone.connections.*'] + DECODER)
    batch = make_batch()
    want, want_grads = losses_and_gradients(build(grounder_cfg()), batch)
    got, grads = losses_and_gradients(
        build(grounder_cfg(compile_cfg=cfg)), batch)
    for name, value in want.items():
        torch.testing.assert_close(got[name], value)
    for name, grad in want_grads.items():
        torch.testing.assert_close(grads[name], grad, rtol=1e-4, atol=1e-5)


def ten_batches():
    lengths = (5, 4, 7, 3, 9, 6, 8, 2, 10, 11)
    sizes = ((64, 96), (96, 64), (64, 128), (128, 96), (96, 160), (160, 128),
             (96, 96), (64, 64), (160, 64), (64, 160))
    for i, (length, size) in enumerate(zip(lengths, sizes)):
        sentence = ' '.join(['word'] * (3 + i % 4))
        yield make_batch(durations=(length, ), sizes=(size, ),
                         spans=((0, 1), ), sentences=(sentence, ))


def test_ten_shapes_need_few_compilations(monkeypatch):
    """With ``dynamic=True``: at most two for each part, and none once three
    shapes were seen."""
    # a part that reaches the limit would run uncompiled, silently
    monkeypatch.setattr(torch._dynamo.config, 'fail_on_recompile_limit_hit',
                        True)
    seen = []

    def backend(graph, inputs):
        seen.append(graph)
        return graph.forward

    parts = ['backbone.connections.*', 'neck.*_layers.*', *DECODER,
             'head.spatial_decoder.layers.*']
    model = build(grounder_cfg(
        neck=neck_cfg(num_layers=1),
        head=head_cfg(num_temporal_layers=1, num_spatial_layers=1),
        compile_cfg=dict(backend=backend, parts=parts, dynamic=True)))
    counts = []
    for batch in ten_batches():
        predict(model, batch)
        counts.append(len(seen))
    assert len(compiled_modules(model)) == 4 + 2 + 2
    assert counts[0] >= 4 + 3  # something is compiled
    assert counts[-1] <= 2 * len(compiled_modules(model))
    assert counts[2] == counts[-1]


@pytest.mark.skipif(
    not hasattr(Layout, '_stride_expr_ge_or_false'),
    reason='this torch asks otherwise')
def test_strides_that_cannot_be_compared(monkeypatch):
    """torch 2.13 met T ** -1 in maps of a strided stage and gave up."""

    def asked(left, right):
        if left == right:
            return True
        raise ValueRangeError('Invalid ranges [0:-1]')

    monkeypatch.setattr(Layout, '_stride_expr_ge_or_false',
                        staticmethod(asked))
    build(grounder_cfg(compile_cfg=dict(backend='eager')))
    with pytest.raises(ValueRangeError):
        Layout._stride_expr_ge_or_false(1, 2)
    for _ in range(2):
        build(grounder_cfg(compile_cfg=dict(dynamic=True)))
        assert Layout._stride_expr_ge_or_false(1, 2) is False
        assert Layout._stride_expr_ge_or_false(2, 2) is True


@needs_compiler
def test_compiled_decoder_predicts_the_same():
    from torch._dynamo.utils import counters
    counters.clear()
    plain = build(grounder_cfg())
    model = build(
        grounder_cfg(compile_cfg=dict(backend='inductor', parts=DECODER)))
    batch = make_batch()
    for one, other in zip(predict(plain, batch), predict(model, batch)):
        assert one.pred_tube.span == other.pred_tube.span
        np.testing.assert_allclose(one.pred_start, other.pred_start,
                                   atol=1e-5)
    assert counters['inductor'], 'nothing was compiled'
