# Copyright (c) costa_mm authors. All rights reserved.
import argparse
import ast
import runpy
import sys
from functools import lru_cache
from pathlib import Path

import pytest
import tiny_model
import torch
from mmengine.config import Config
from torch.testing import assert_close

from costa_mm.engine.checkpoint_io import load_weights
from costa_mm.models.text_encoders import hf_loading, without_weights
from costa_mm.registry import MODELS
from costa_mm.weights.pretrained import (backbone_names, fit_time,
                                         load_mapped_weights)

ROOT = Path(__file__).resolve().parents[2]
TOOL = ROOT / 'tools' / 'model_converters' / 'make_costa_init.py'


@lru_cache(maxsize=None)
def full_pathways(**temporal):
    """Both ResNets of the paper's size, without memory."""
    cfg = Config.fromfile(ROOT / 'configs' / 'costa_hcstvg.py').model.backbone
    cfg.temporal.update(temporal)
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


def shapes(state):
    return {k: tuple(v.shape) for k, v in state.items()}


@pytest.mark.parametrize('dressing', ['torchvision', 'mmpretrain', 'ddp'])
def test_resnet101_by_the_names_of_its_sources(dressing):
    # the body of STCAT's released model has torchvision's names and shapes
    body = published_names('stcat', 'vis_encoder.0.body.')
    assert body['layer3.22.conv3.weight'].shape == (1024, 256, 1, 1)
    prefix = dict(torchvision='', mmpretrain='backbone.', ddp='module.')
    state = {prefix[dressing] + n: v for n, v in body.items()}
    head = 'head.fc.' if dressing == 'mmpretrain' else 'fc.'
    state[head + 'weight'] = torch.zeros(1).expand(1000, 2048)
    ours = backbone_names(state, 'backbone.spatial.')
    own = full_pathways().spatial.state_dict()
    assert shapes(ours) == {
        f'backbone.spatial.{n}': tuple(v.shape)
        for n, v in own.items() if 'num_batches' not in n}


def zoo(name):
    """Weights by the names and shapes of a config of mmaction2's model zoo."""
    import mmaction
    folder = Path(mmaction.__file__).parent / '.mim/configs/_base_/models'
    cfg = Config.fromfile(folder / f'{name}.py').model.backbone
    with torch.device('meta'):
        pathway = MODELS.build(
            {**cfg, 'type': f'mmaction.{cfg.type}', 'pretrained': None})
    state = {f'backbone.{n}': v for n, v in pathway.state_dict().items()}
    state['cls_head.fc_cls.weight'] = torch.empty(400, 2048, device='meta')
    return state


@pytest.mark.parametrize('name,change', [
    ('i3d_r50', {}),
    # as the docs of make_costa_init.py say
    ('slowonly_r50', dict(conv1_kernel=(1, 7, 7), inflate=(0, 0, 1, 1))),
])
def test_3d_pathways_by_mmaction2s_names(name, change):
    ours = backbone_names(zoo(name), 'backbone.temporal.')
    own = shapes(full_pathways(**change).temporal.state_dict())
    assert shapes(ours) == {f'backbone.temporal.{n}': s
                            for n, s in own.items()}


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


def test_counters_of_norms_are_not_missed():
    model = torch.nn.BatchNorm1d(2)
    state = model.state_dict()
    state.pop('num_batches_tracked')
    assert load_mapped_weights(model, state).missing == []
    with pytest.raises(ValueError, match='right checkpoint'):
        load_mapped_weights(model, dict(num_batches_tracked=torch.tensor(3)))


def test_tool_asks_no_hub(tmp_path, monkeypatch, capsys):
    text = tiny_model.text_cfg()
    monkeypatch.setitem(hf_loading.HUB_CONFIGS, 'roberta-base', text['config'])
    named = dict(type='costa_mm.HFTextEncoder', out_channels=tiny_model.C)
    config = tmp_path / 'tiny.py'
    Config(dict(model=tiny_model.grounder_cfg(text_encoder=named))).dump(
        config)
    image = MODELS.build(tiny_model.spatial_cfg())
    state = random_like(image.state_dict())
    torch.save(state, tmp_path / 'image.pth')
    monkeypatch.setattr(sys, 'argv', [
        str(TOOL), str(config), str(tmp_path / 'out.pth'), '--image',
        str(tmp_path / 'image.pth'), '--cfg-options',
        'model.text_encoder.max_length=7'
    ])
    runpy.run_path(str(TOOL))['main']()
    written = torch.load(tmp_path / 'out.pth', weights_only=True)
    # of the text encoder, which was not loaded, nothing
    assert set(written['state_dict']) == {f'backbone.spatial.{n}'
                                          for n in state}
    # and such a file is enough to start from
    model = tiny_model.build(tiny_model.grounder_cfg(), seed=5)
    load_weights(model, written, 'out.pth', whole=False)
    for n, v in state.items():
        assert_close(model.backbone.spatial.state_dict()[n], v)


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
    runpy.run_path(str(TOOL))['main']()
    state = torch.load(out, weights_only=True)['state_dict']
    assert set(state) == {f'backbone.spatial.{k}' for k in image} | {
        f'backbone.temporal.{k}'
        for k in video
    }
    for k, v in video.items():
        assert_close(state[f'backbone.temporal.{k}'], v)
    assert 'missing: 0' in capsys.readouterr().out


def published_names(method, prefix=''):
    """Tensors without memory below a prefix of a published checkpoint."""
    file = ROOT / 'tests' / 'data' / f'{method}_full_state_dict_names.txt'
    pairs = [line.split('\t') for line in file.read_text().splitlines()]
    return {
        name.removeprefix(prefix): torch.zeros(1).expand(
            ast.literal_eval(shape))
        for name, shape in pairs if name.startswith(prefix)
    }


def mdetr_state():
    """MDETR's names and shapes: TubeDETR's without what it added."""
    added = ('transformer.time_embed', 'transformer.fast_', 'sted_embed')
    state = {
        name: value
        for name, value in published_names('tubedetr').items()
        if not name.startswith(added)
    }
    state['class_embed.weight'] = torch.zeros(256, 256)
    state['contrastive_align_projection_text.weight'] = torch.zeros(64, 256)
    return state


def test_mdetrs_names_and_shapes_fit_the_papers_model():
    from costa_mm.weights.published_checkpoints import convert_checkpoint
    from costa_mm.weights.published_names import MDETR_COSTA
    args = argparse.Namespace(backbone='resnet101')
    out = convert_checkpoint(dict(model=mdetr_state(), args=args), MDETR_COSTA)
    cfg = Config.fromfile(ROOT / 'configs' / 'costa_hcstvg.py').model
    cfg.text_encoder = without_weights(cfg.text_encoder)
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
