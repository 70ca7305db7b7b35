# Copyright (c) costa_mm authors. All rights reserved.
"""Published files of CG-STVG and TA-STVG: names, sizes, initial weights."""
import re
from functools import lru_cache

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import DefaultScope

from costa_mm.models.text_encoders import without_weights
from costa_mm.registry import MODELS
from costa_mm.weights.layouts import recognise
from costa_mm.weights.parts import PARTS
from costa_mm.weights.pretrained import backbone_names
from costa_mm.weights.published_checkpoints import convert_checkpoint
from costa_mm.weights.published_names import MDETR_COSTA, rename
from .published import ROOT, names_of

# parameters as published, and of these the ones that are never used; frozen
# norms are buffers there
PUBLISHED = dict(
    cgstvg=(238_767_807, 10_130_436), tastvg=(239_748_870, 10_034_432))
# computed when needed, or the same tensor under another name
TWICE = re.compile(r'.*\.te$|ground_decoder\.decoder\.bbox_embed\.|'
                   r'ground_decoder\.time_embed2\.')


def shapes_of(method):
    return {
        name: tuple(int(n) for n in re.findall(r'\d+', shape))
        for name, shape in names_of(method).items()
    }


def zeros(shapes):
    """Tensors that share one number each."""
    return {k: torch.zeros(1).expand(s) for k, s in shapes.items()}


@lru_cache(maxsize=None)
def full_model(name):
    """A config's model at its own size, without memory."""
    cfg = Config.fromfile(ROOT / 'configs' / 'baselines' / f'{name}.py').model
    cfg.text_encoder = without_weights(cfg.text_encoder)
    with DefaultScope.overwrite_default_scope('costa_mm'), \
            torch.device('meta'):
        return MODELS.build(cfg)


def fits(state, model):
    """Every name and shape, and no other."""
    assert {k: v.shape for k, v in state.items()} == {
        k: v.shape for k, v in model.state_dict().items()}


@pytest.mark.parametrize('method', sorted(PUBLISHED))
def test_nothing_is_missing_or_left_over(method):
    shapes = shapes_of(method)
    # a buffer of old transformers versions
    shapes['text_encoder.body.embeddings.position_ids'] = (1, 514)
    file = dict(
        model=None, model_ema=zeros(shapes), optimizer={}, iteration=1)
    layout = recognise(shapes)
    assert layout.name == method
    assert set(layout.configs) == {
        f'{method}_{data}' for data in ('hcstvg', 'hcstvg_v2', 'vidstg')}
    out = convert_checkpoint(file, layout.rules)
    model = full_model(f'{method}_hcstvg')
    fits(out.checkpoint['state_dict'], model)
    never = sum(
        torch.Size(shapes[k]).numel() for k in out.dropped
        if not TWICE.match(k) and not k.endswith('position_ids'))
    total, expected = PUBLISHED[method]
    assert never == expected
    frozen_norm = re.compile(r'backbone\.spatial.*(bn\d|downsample\.1)\.')
    ours = sum(p.numel() for n, p in model.named_parameters()
               if not frozen_norm.match(n))
    assert ours + never == total


def test_the_classes_of_vidstg_are_others():
    shapes = {
        k: ((dict(s_spatial_clas=20, t_spatial_clas=34)[k.split('.')[0]],
             *s[1:]) if '_spatial_clas.head.' in k and 'transform' not in k
            else s) for k, s in shapes_of('tastvg').items()
    }
    state = rename(zeros(shapes), recognise(shapes).rules).state
    fits(state, full_model('tastvg_vidstg'))


def test_the_context_is_all_that_the_ablation_lacks():
    whole = full_model('cgstvg_hcstvg').state_dict()
    rest = full_model('cgstvg_hcstvg_no_context').state_dict()
    assert set(rest) < set(whole)
    assert all('context' in k for k in set(whole) - set(rest))


def test_layouts_are_told_apart():
    for method in ('stcat', 'tubedetr', 'cgstvg', 'tastvg'):
        assert recognise(names_of(method)).name == method


def test_initial_weights_fit():
    """MDETR's and Video Swin's tensors, by the names that they have."""
    model = full_model('cgstvg_hcstvg').state_dict()
    mdetr = {
        k: s
        for k, s in shapes_of('tubedetr').items()
        if not k.startswith(('transformer.time_embed', 'transformer.fast_',
                             'sted_embed'))
    }
    state = rename(zeros(mdetr), MDETR_COSTA).state
    for name, value in state.items():
        assert model[name].shape == value.shape, name
    assert {k for k in model if k.startswith('neck.spatial_layers.')
            } <= set(state)
    # as the Kinetics checkpoint has them: patches two frames deep
    swin = {
        'backbone.' + re.sub(r'^vid\.downsamples\.(\d)',
                             r'layers.\1.downsample', k).removeprefix('vid.'):
        torch.ones(s)
        for k, s in shapes_of('cgstvg').items()
        if k.startswith('vid.') and 'blocks' not in k
    }
    swin['backbone.patch_embed.proj.weight'] = torch.ones(96, 3, 2, 4, 4)
    swin['cls_head.fc_cls.weight'] = torch.ones(400, 768)
    state = backbone_names(swin, 'backbone.motion.')
    for name, value in state.items():
        assert model[name].shape == value.shape, name
    assert (state['backbone.motion.patch_embed.proj.weight'] == 2).all()
    parts = Config.fromfile(
        ROOT / 'configs/baselines/cgstvg_hcstvg.py').load_from
    assert all(part.weights in PARTS for part in parts)
