# Copyright (c) costa_mm authors. All rights reserved.
"""Published checkpoints load with nothing missing and nothing left over.

The files are made up of the published names and shapes; their tensors are
expanded zeros, so that a whole model takes kilobytes.
"""
import argparse
import ast
import re
import runpy
import sys
from pathlib import Path

import pytest
import torch
from mmengine.config import Config

from costa_mm.models import EntangledTubeHead, SpaceTimeFusionNeck
from costa_mm.models.text_encoders import without_weights
from costa_mm.registry import MODELS
from costa_mm.weights.published_checkpoints import pick_weights
from costa_mm.weights.published_names import STCAT, rename

ROOT = Path(__file__).resolve().parents[2]
DATA = ROOT / 'tests' / 'data'
TOOLS = ROOT / 'tools' / 'model_converters'
# parameters, without the frozen norms' (buffers in the published code), and
# those that the published code never trains
PUBLISHED = dict(
    stcat=(207_361_227, {
        'text_encoder.body.pooler.': 590_592,
        'ground_encoder.fusion.': 65_792,
        'ground_decoder.decoder.layers.*.ca_qtime_proj.': 394_752
    }),
    tubedetr=(185_456_582, {
        'transformer.text_encoder.pooler.': 590_592
    }))


def names(method):
    """Published names and shapes."""
    rows = (DATA / f'{method}_full_state_dict_names.txt').read_text()
    pairs = (row.split('\t') for row in rows.splitlines())
    return {name: ast.literal_eval(shape) for name, shape in pairs}


def zeros(shapes):
    """Tensors that share one number each."""
    return {k: torch.zeros(1).expand(s) for k, s in shapes.items()}


def mdetr_names():
    """MDETR's own tensors: TubeDETR's without its additions."""
    added = ('transformer.time_embed', 'transformer.fast_', 'sted_embed')
    shapes = {
        k: v
        for k, v in names('tubedetr').items() if not k.startswith(added)
    }
    shapes.update({
        'query_embed.weight': (100, 256),
        'class_embed.weight': (256, 256),
        'class_embed.bias': (256, ),
        'contrastive_align_projection_image.weight': (64, 256),
        'contrastive_align_projection_image.bias': (64, ),
        'contrastive_align_projection_text.weight': (64, 256),
        'contrastive_align_projection_text.bias': (64, ),
        'transformer.text_encoder.embeddings.position_ids': (1, 514)
    })
    return shapes


def full_model(method):
    """The model of the published size, without memory."""
    path = ROOT / f'configs/baselines/_base_/models/{method}_r101.py'
    cfg = Config.fromfile(path).model
    cfg.text_encoder = without_weights(cfg.text_encoder)
    with torch.device('meta'):
        return MODELS.build(cfg)


def run(tool, monkeypatch, *args):
    """Run a tool as from the command line."""
    path = TOOLS / f'{tool}_to_costa_mm.py'
    monkeypatch.syspath_prepend(TOOLS)  # as Python does for a script
    monkeypatch.setattr(sys, 'argv', [str(path), *map(str, args)])
    runpy.run_path(str(path))['main']()


@pytest.fixture
def published(tmp_path):
    """Writes a checkpoint the way the published code does."""

    def write(state, **entries):
        path = tmp_path / 'published.pth'
        args = argparse.Namespace(lr=1e-4, epochs=10)
        torch.save(dict(model=state, epoch=9, args=args, **entries), path)
        return path

    return write


@pytest.mark.parametrize('method', ['stcat', 'tubedetr'])
def test_nothing_is_missing_or_left_over(method, published, tmp_path,
                                         monkeypatch, capsys):
    state = zeros(names(method))
    src, dst = published(state, model_ema=state), tmp_path / 'ours.pth'
    run(method, monkeypatch, src, dst)
    converted = torch.load(dst, weights_only=True)['state_dict']
    # also compares every shape
    full_model(method).load_state_dict(converted, strict=True, assign=True)
    out = capsys.readouterr().out
    assert "'model_ema'" in out
    never = PUBLISHED[method][1]
    dropped = [line.strip() for line in out.splitlines()[1:]]
    for name in dropped:
        known = any(name.startswith(k.split('*')[0]) for k in never)
        table = name.endswith('time_embed.te')
        twice = name.startswith('ground_decoder.decoder.bbox_embed.')
        assert known or table or twice, name


@pytest.mark.parametrize('method', ['stcat', 'tubedetr'])
def test_parameters_are_counted_as_published(method):
    total, never = PUBLISHED[method]
    model = full_model(method)
    frozen_norm = re.compile(r'backbone.*(bn\d|downsample\.1)\.')
    ours = sum(p.numel() for n, p in model.named_parameters()
               if not frozen_norm.match(n))
    assert ours + sum(never.values()) == total
    shapes = names(method)
    for prefix, count in never.items():
        pattern = re.escape(prefix).replace(r'\*', r'\d+')
        assert count == sum(
            torch.Size(s).numel() for k, s in shapes.items()
            if re.match(pattern, k))


@pytest.mark.parametrize('method', ['stcat', 'tubedetr', 'costa'])
def test_mdetr_initialises_every_method(method, published, tmp_path,
                                        monkeypatch):
    state = zeros(mdetr_names())
    state['query_embed.weight'] = torch.arange(100.)[:, None].expand(-1, 256)
    src, dst = published(state, model_ema=None), tmp_path / 'ours.pth'
    run('mdetr', monkeypatch, src, dst, '--method', method)
    converted = torch.load(dst, weights_only=True)['state_dict']
    with torch.device('meta'):
        ours = full_model('tubedetr' if method == 'tubedetr' else 'stcat')
        if method == 'costa':
            ours.neck = SpaceTimeFusionNeck()
            ours.head = EntangledTubeHead()
    ours = ours.state_dict()
    for name, value in converted.items():
        assert ours[name].shape == value.shape, name
    missing = {k.rsplit('.', 1)[0] for k in ours if k not in converted}
    parts = ['backbone', 'text_encoder', 'neck.spatial_layers']
    assert not [m for m in missing if m.startswith(tuple(parts))]
    if method == 'tubedetr':
        assert all(
            m.startswith(('head.span_head', 'neck.fast_')) for m in missing)
        # MDETR's first query
        assert (converted['head.object_query'] == 0).all()
    else:
        trained = ('self_attn', 'norm', 'ffn')
        layer = re.compile(r'head\.spatial_decoder\.layers\.\d+\.(\w+)')
        kinds = {m.group(1) for m in map(layer.match, missing) if m}
        assert kinds and not [k for k in kinds if k.startswith(trained)]


def test_the_wrong_converter_says_so(published, tmp_path, monkeypatch):
    src = published(zeros(names('tubedetr')))
    with pytest.raises(ValueError, match='right converter'):
        run('stcat', monkeypatch, src, tmp_path / 'ours.pth')
    assert not (tmp_path / 'ours.pth').exists()


def test_weights_are_found_where_published_code_puts_them():
    plain, averaged = {'module.a': 1}, {'module.a': 2}
    both = dict(model=plain, model_ema=averaged)
    assert pick_weights(both) == ('model_ema', {'a': 2})
    assert pick_weights(both, 'model') == ('model', {'a': 1})
    assert pick_weights(dict(model=plain, model_ema=None))[0] == 'model'
    assert pick_weights(plain) == ('', {'a': 1})
    with pytest.raises(KeyError, match='nowhere'):
        pick_weights(both, 'nowhere')


def test_packed_projections_are_split_in_order():
    prefix = 'ground_decoder.temp_decoder.layers.0.self_attn.in_proj_'
    state = {
        f'{prefix}weight': torch.arange(6.)[:, None].expand(-1, 2),
        f'{prefix}bias': torch.arange(6.)
    }
    out = rename(state, STCAT).state
    layer = 'head.temporal_decoder.layers.0.self_attn.'
    for i, name in enumerate('qkv'):
        expected = torch.tensor([2. * i, 2. * i + 1])
        assert torch.equal(out[f'{layer}{name}_proj.bias'], expected)
        assert torch.equal(out[f'{layer}{name}_proj.weight'][:, 0], expected)
