# Copyright (c) costa_mm authors. All rights reserved.
"""Probes of a decoder, and the tool that prints them."""
import json
import sys
from functools import partial

import probe_decoder
import pytest
import torch
from decoder_study.probes import attention_mass, probes_of
from mmengine.config import Config
from tiny_model import build, grounder_cfg, make_batch

from costa_mm.evaluation import STVGMetric
from costa_mm.structures import TubeOutputs


@pytest.fixture(scope='module')
def model():
    return build(grounder_cfg())


@pytest.fixture(scope='module')
def batch(model):
    return model.data_preprocessor(make_batch(), False)


@pytest.fixture(scope='module')
def memory(model, batch):
    with torch.no_grad():
        return model.fuse(**batch)


@pytest.fixture(scope='module')
def targets(model, batch, memory):
    return model.head.get_targets(batch['data_samples'], memory.frame_mask)


def _note(told, name, module, args, out):
    told[name] = args[0]


@pytest.fixture(scope='module')
def probed(model, memory, targets):
    """Outputs of the head by probe, and the labels that it was told."""
    outs, told = {}, {}
    with torch.no_grad():
        for probe in probes_of(model.head, 2):
            with probe.on(model.head, targets):
                handle = model.head.event_query.register_forward_hook(
                    partial(_note, told, probe.name))
                outs[probe.name] = model.head(memory)
                handle.remove()
        outs['afterwards'] = model.head(memory)
    return outs, told


def test_labels_are_told(probed, targets):
    _, told = probed
    true = torch.tensor([[0, 1, 1, 1, 0], [1, 1, 0, 0, 0]]).bool()
    assert torch.equal(targets.in_event, true)
    assert torch.equal(told['true labels'], true)
    assert torch.equal(told['inverted labels'], ~true)
    assert not told['all labels 0'].any() and told['all labels 1'].all()
    later = torch.tensor([[1, 0, 0, 1, 1], [0, 0, 1, 1, 0]]).bool()
    assert torch.equal(told['true labels, half a clip later'], later)


def test_told_labels_reach_the_boxes_and_leave_no_trace(
        model, memory, targets, probed):
    outs, _ = probed
    with torch.no_grad():
        expected = model.head.spatial_decoder(
            model.head.event_query(targets.in_event), memory).boxes
    assert torch.equal(outs['true labels'].boxes, expected)
    assert not torch.allclose(outs['inverted labels'].boxes, expected)
    for name in ('boxes', 'span_logits'):
        assert torch.equal(getattr(outs['as it is'], name),
                           getattr(outs['afterwards'], name))
        assert torch.equal(outs['inverted labels'].span_logits,
                           outs['as it is'].span_logits)


def test_anchors_and_layers(model, memory, probed):
    outs, _ = probed
    with torch.no_grad():
        anchors = model.head.spatial_decoder.object_query.initial(memory.cls)
    assert torch.equal(outs['anchors only'].boxes[-1], anchors)
    first = outs['after layer 1']
    assert torch.equal(first.boxes, outs['as it is'].boxes[:1])
    assert torch.equal(first.span_logits, outs['as it is'].span_logits[:1])


def test_frames_are_alone(model, memory, targets, probed):
    name = 'spatial decoder, one frame at a time'
    (probe, ) = (p for p in probes_of(model.head, 2) if p.name == name)
    changed = memory._replace(cls=memory.cls.clone())
    changed.cls[0, 3] += 1.
    with torch.no_grad(), probe.on(model.head, targets):
        # the labels come from the spans, which see all frames
        tell = model.head.event_query.register_forward_pre_hook(
            lambda m, args: (targets.in_event, ))
        alone, other = model.head(memory).boxes, model.head(changed).boxes
        tell.remove()
    same = torch.isclose(alone, other, atol=1e-6).all(-1).all(0)
    assert same[0].tolist() == [True, True, True, False, True]
    assert same[1].all()
    assert not torch.allclose(probed[0][name].boxes,
                              probed[0]['as it is'].boxes)


def test_probes_of_other_heads():
    from costa_mm.registry import MODELS
    head = MODELS.build(
        dict(
            type='costa_mm.TubeDETRHead', embed_dims=16, num_layers=3,
            num_heads=2, feedforward_channels=16))
    assert [p.name for p in probes_of(head, 3)
            ] == ['as it is', 'after layer 1', 'after layer 2']


def test_attention_mass(targets):
    mask = torch.zeros(2, 1, 2, dtype=torch.bool)
    # two cells and a word; the box is the left one
    boxes = torch.tensor([0.25, 0.5, 0.5, 1.]).expand(2, 5, 4)
    targets = targets._replace(boxes=boxes)
    weights = torch.tensor([[.5, .1, .4], [.9, .1, .0]])[:, None, None]
    weights = weights.expand(2, 2, 5, 3).contiguous()
    outs = TubeOutputs(boxes[None], None, None, None,
                       dict(cell_attention=weights, cell_mask=mask))
    mass = attention_mass(outs, targets)
    assert mass.shape == (3, int(targets.has_box.sum()))
    assert mass.mean(1).tolist() == pytest.approx([.5, .9, .5])
    assert attention_mass(outs._replace(extras={}), targets) is None


def test_tool(model, monkeypatch, tmp_path, capsys):
    """The whole tool on a few samples, as files give them."""
    items = make_batch(durations=(5, 3), sizes=((32, 32), (32, 32)))
    dataset = [dict(inputs=v, data_samples=s) for v, s in zip(*items.values())]
    monkeypatch.setattr(probe_decoder.DATASETS, 'build', lambda cfg: dataset)
    config, weights, out = (tmp_path / n for n in ('c.py', 'w.pth', 'o.json'))
    Config(
        dict(
            default_scope='costa_mm',
            model=grounder_cfg(test_cfg=dict(two_pass=True)),
            test_dataloader=dict(dataset=dict(type='HCSTVGDataset')))).dump(
                config)
    torch.save(dict(state_dict=model.state_dict()), weights)
    monkeypatch.setattr(
        sys, 'argv',
        ['probe', str(config), str(weights), '--out', str(out),
         '--batch-size', '1', '--device', 'cpu'])
    probe_decoder.main()
    written = json.loads(out.read_text())
    assert list(written['scores'])[0] == 'as it is'
    assert len(written['scores']) == 9 and len(written['attention_mass']) == 3
    metric = STVGMetric(per_factor=False)
    with torch.no_grad():
        data = model.data_preprocessor(items, False)
        metric.process({}, model.predict(**data))
    own = {k.split('/')[1]: v for k, v in metric.evaluate(2).items()}
    assert written['scores']['as it is'] == pytest.approx(own, nan_ok=True)
    shown = capsys.readouterr().out
    assert f'| as it is | {own["m_tIoU"]:.3f} |' in shown
    assert 'uniform attention' in shown
