# Copyright (c) costa_mm authors. All rights reserved.
import argparse
import runpy
import sys
from pathlib import Path

import pytest
import tiny_model
import torch
from mmengine.config import Config
from torch.testing import assert_close

from costa_mm.models.utils.pretrained import (backbone_names, fit_time,
                                              load_mapped_weights)
from costa_mm.registry import MODELS

ROOT = Path(__file__).resolve().parents[3]
TOOL = ROOT / 'tools' / 'model_converters' / 'make_costa_init.py'


def full_pathways():
    """Both ResNets of the paper's size, without memory."""
    cfg = Config.fromfile(ROOT / 'configs' / 'costa_hcstvg.py').model.backbone
    with torch.device('meta'):
        return MODELS.build(cfg)


def test_a_2d_weight_is_inflated():
    weight = torch.randn(4, 3, 7, 7)
    grown = fit_time(weight, (4, 3, 5, 7, 7))
    assert grown.shape == (4, 3, 5, 7, 7)
    assert_close(grown.sum(2), weight)
    assert fit_time(weight, (4, 3, 7, 7)) is weight
    three = torch.randn(4, 3, 3, 1, 1)
    assert fit_time(three, (4, 3, 1, 1, 1)) is three  # not invented


@pytest.mark.parametrize('dressing', ['torchvision', 'mmpretrain', 'ddp'])
def test_resnet101_by_the_names_of_its_sources(dressing):
    # the body of STCAT's released model has torchvision's names and shapes
    spatial = full_pathways().spatial
    names = spatial.state_dict()
    assert names['layer3.22.conv3.weight'].shape == (1024, 256, 1, 1)
    prefix = dict(torchvision='', mmpretrain='backbone.', ddp='module.')
    state = {prefix[dressing] + n: v for n, v in names.items()}
    head = 'head.fc.' if dressing == 'mmpretrain' else 'fc.'
    state[head + 'weight'] = torch.empty(1000, 2048, device='meta')
    ours = backbone_names(state, 'backbone.spatial.')
    assert set(ours) == {f'backbone.spatial.{n}' for n in names}


def test_i3d_by_mmaction2s_names():
    names = full_pathways().temporal.state_dict()
    for name, shape in (('conv1.conv.weight', (64, 3, 5, 7, 7)),
                        ('conv1.bn.running_var', (64, )),
                        ('layer1.0.conv1.conv.weight', (64, 64, 3, 1, 1)),
                        ('layer2.0.downsample.conv.weight', (512, 256, 1, 1,
                                                             1)),
                        ('layer4.1.conv1.conv.weight', (512, 2048, 3, 1, 1))):
        assert names[name].shape == shape
    state = {f'backbone.{n}': v for n, v in names.items()}
    state['cls_head.fc_cls.weight'] = torch.empty(400, 2048, device='meta')
    ours = backbone_names(state, 'backbone.temporal.')
    assert set(ours) == {f'backbone.temporal.{n}' for n in names}


def random_like(state):
    return {
        k: torch.rand_like(v) if v.is_floating_point() else v
        for k, v in state.items()
    }


def test_report_and_values():
    model = tiny_model.build(tiny_model.grounder_cfg())
    part = random_like(model.backbone.temporal.state_dict())
    ours = {f'backbone.temporal.{k}': v for k, v in part.items()}
    first = next(iter(ours))
    lost = list(ours)[-1]
    ours.pop(lost)
    ours['backbone.temporal.layer9.weight'] = torch.zeros(1)
    wrong = list(ours)[3]
    ours[wrong] = torch.zeros(7)
    report = load_mapped_weights(model, ours, ['backbone.temporal.'])
    assert_close(model.state_dict()[first], ours[first])
    assert report.left_over == ['backbone.temporal.layer9.weight']
    assert len(report.misshapen) == 1 and wrong in report.misshapen[0]
    assert set(report.missing) == {lost, wrong}
    assert len(report.loaded) == len(part) - 2
    assert 'left_over: 1' in str(report) and 'layer9' in str(report)


def test_matching_nothing_is_an_error():
    model = tiny_model.build(tiny_model.grounder_cfg())
    with pytest.raises(ValueError, match='not one of the 1 tensors'):
        load_mapped_weights(model, {'encoder.weight': torch.zeros(2)})


def test_tool(tmp_path, monkeypatch, capsys):
    cfg = Config(dict(model=tiny_model.grounder_cfg()))
    config = tmp_path / 'tiny.py'
    cfg.dump(config)
    model = tiny_model.build(tiny_model.grounder_cfg(), seed=3)
    image = random_like(model.backbone.spatial.state_dict())
    video = random_like(model.backbone.temporal.state_dict())
    args = argparse.Namespace(lr=1e-4)  # as MDETR's files carry one
    torch.save(
        dict(state_dict={f'backbone.{k}': v for k, v in image.items()},
             args=args), tmp_path / 'image.pth')
    video_names = {f'backbone.{k}': v for k, v in video.items()}
    video_names['cls_head.fc_cls.weight'] = torch.zeros(4, 4)
    torch.save(dict(state_dict=video_names), tmp_path / 'video.pth')
    out = tmp_path / 'init.pth'
    monkeypatch.setattr(sys, 'argv', [
        str(TOOL), str(config), str(out), '--image',
        str(tmp_path / 'image.pth'), '--video', str(tmp_path / 'video.pth')
    ])
    runpy.run_path(str(TOOL), run_name='__main__')
    state = torch.load(out, weights_only=True)['state_dict']
    assert set(state) == {f'backbone.spatial.{k}' for k in image} | {
        f'backbone.temporal.{k}'
        for k in video
    }
    for k, v in video.items():
        assert_close(state[f'backbone.temporal.{k}'], v)
    assert 'missing: 0' in capsys.readouterr().out


def mdetr_state():
    """MDETR's names and shapes: TubeDETR's without what it added."""
    lines = (ROOT / 'tests' / 'data' /
             'tubedetr_full_state_dict_names.txt').read_text().splitlines()
    added = ('transformer.time_embed', 'transformer.fast_', 'sted_embed')
    state = {}
    for line in lines:
        name, shape = line.split('\t')
        if not name.startswith(added):
            shape = [int(n) for n in shape.strip('()').split(',') if n.strip()]
            state[name] = torch.zeros(1).expand(shape)  # no memory
    state['class_embed.weight'] = torch.zeros(256, 256)
    state['contrastive_align_projection_text.weight'] = torch.zeros(64, 256)
    return state


def test_mdetrs_names_and_shapes_fit_the_papers_model():
    from costa_mm.models.utils.published_checkpoints import convert_checkpoint
    from costa_mm.models.utils.published_names import MDETR_COSTA
    args = argparse.Namespace(backbone='resnet101')
    out = convert_checkpoint(dict(model=mdetr_state(), args=args), MDETR_COSTA)
    cfg = Config.fromfile(ROOT / 'configs' / 'costa_hcstvg.py').model
    cfg.text_encoder.pop('model_name')
    cfg.text_encoder.update(
        pretrained=False,
        config=dict(
            model_type='roberta',
            vocab_size=50265,
            max_position_embeddings=514,
            type_vocab_size=1))
    with torch.device('meta'):
        own = MODELS.build(cfg).state_dict()
    state = out.checkpoint['state_dict']
    wrong = {
        n: v.shape
        for n, v in state.items() if n not in own or own[n].shape != v.shape
    }
    assert wrong == {}
    # 2D backbone, text and projection are complete
    for part in ('backbone.spatial.', 'text_encoder.', 'neck.input_proj.',
                 'neck.spatial_layers.', 'head.spatial_decoder.box_head.'):
        assert {n for n in own if n.startswith(part)} <= set(state)
    assert 'head.spatial_decoder.layers.5.self_attn.q_proj.weight' in state
