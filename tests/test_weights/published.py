# Copyright (c) costa_mm authors. All rights reserved.
"""Files with published names and classes, and models narrow enough for them.

Names, kinds of tensors and what else lies in a file are those of the
published checkpoints; widths are those of narrow models with the published
number of layers, so that every name occurs.
"""
import argparse
import copy
import io
from pathlib import Path
from typing import Dict, Tuple

import torch
import yaml
from mmengine.config import Config
from mmengine.registry import DefaultScope
from torch import Tensor, nn

import costa_mm.models  # noqa: F401  registers the models
from costa_mm.registry import MODELS
from costa_mm.weights import LAYOUTS
from costa_mm.weights.published_names import Rules, rename

ROOT = Path(__file__).resolve().parents[2]
METHODS = ('stcat', 'tubedetr')
WIDTH = 16
TEXT = dict(
    model_type='roberta',
    vocab_size=300,
    hidden_size=24,
    num_hidden_layers=12,
    num_attention_heads=2,
    intermediate_size=16,
    max_position_embeddings=64,
    type_vocab_size=1)


def narrow(model: dict, text: dict = TEXT) -> dict:
    """A model config with the published depths, as narrow as possible."""
    model = copy.deepcopy(model)
    for part in ('spatial', 'temporal'):
        if model['backbone'].get(part):
            model['backbone'][part]['base_channels'] = 4
    model['backbone']['spatial']['stem_channels'] = 4
    sizes = dict(embed_dims=WIDTH, num_heads=2, feedforward_channels=16)
    model['neck'].update(in_channels=128, **sizes)
    model['head'].update(sizes)
    model['text_encoder'].update(
        pretrained=False, config=dict(text), out_channels=WIDTH)
    return model


def small(cfg: Config) -> Config:
    """A config with a narrow model that looks at few, small frames."""
    cfg = copy.deepcopy(cfg)
    cfg.model = narrow(cfg.model)
    for key in ('train_dataloader', 'val_dataloader', 'test_dataloader'):
        for transform in (cfg.get(key) or {}).get('dataset', {}).get(
                'pipeline', ()):
            if transform['type'] == 'ResizeClip':
                transform.update(short_side=64, max_size=96)
            if transform.get('num_frames'):
                transform.num_frames = 12
    return cfg


def build(model: dict) -> nn.Module:
    """The model, with random weights."""
    torch.manual_seed(0)
    with DefaultScope.overwrite_default_scope('costa_mm'):
        return MODELS.build(model).eval()


def names_of(method: str) -> Dict[str, str]:
    """Names of a published state dict with their shapes as text."""
    file = ROOT / 'tests' / 'data' / f'{method}_full_state_dict_names.txt'
    return dict(line.split('\t') for line in file.read_text().splitlines())


def published_state(names, rules: Rules, own: Dict[str, Tensor],
                    seed: int = 0) -> Dict[str, Tensor]:
    """Random tensors by published names, of the shapes that ``own`` needs.

    Args:
        names (Iterable[str]): Published names.
        rules (Rules): Their names in our model.
        own (dict[str, Tensor]): State dict of ours.
        seed (int): Of the numbers.
    """
    generator = torch.Generator().manual_seed(seed)
    state = {}
    for name in names:
        probe = torch.zeros(3, 1) if 'weight' in name else torch.zeros(3)
        ours = [n for n in rename({name: probe}, rules).state
                if not n.endswith('num_batches_tracked')]
        if not ours:  # what the published code never uses
            state[name] = torch.zeros(2)
            continue
        shape = tuple(own[ours[0]].shape)
        if len(ours) == 3:  # a packed projection
            shape = (3 * shape[0], *shape[1:])
        if ours[0].endswith(('cls_token', 'cls_pos', 'video_token',
                             'object_query')):
            shape = (2, *shape)  # an embedding, of which the first is taken
        value = torch.randn(shape, generator=generator) * 0.1
        if name.endswith('running_var'):
            value = value.abs() + 1  # or hundred layers end in infinity
        state[name] = value
    return state


def checkpoint(method: str, state: Dict[str, Tensor]) -> dict:
    """A file's content as the published code saves it."""
    worse = {n: v + 1 for n, v in state.items()}
    moments = {
        i: dict(step=torch.tensor(9.), exp_avg=torch.zeros(2))
        for i in range(3)
    }
    optimizer = dict(
        state=moments,
        param_groups=[dict(lr=1e-4, betas=(0.9, 0.999), params=[0, 1, 2])])
    out = dict(model=worse, model_ema=state, optimizer=optimizer)
    if method == 'stcat':
        return dict(out, iteration=80000)
    return dict(
        out,
        epoch=9,
        args=argparse.Namespace(
            lr=5e-5, dataset_config='config/vidstg.json', ema=True,
            device='cuda', combine_datasets=['vidstg'], dist_url='env://'))


def published_file(method: str, model: dict,
                   seed: int = 0) -> Tuple[bytes, Dict[str, Tensor]]:
    """Content of a published file for a model, and its averaged weights."""
    state = published_state(
        names_of(method), LAYOUTS[method].rules, build(model).state_dict(),
        seed)
    buffer = io.BytesIO()
    torch.save(checkpoint(method, state), buffer)
    return buffer.getvalue(), state


def write_zoo(folder: Path) -> Dict[str, dict]:
    """A zoo whose entries are the shipped ones with narrow models.

    Returns:
        dict[str, dict]: Entries of the metafile for published files of
        ``METHODS``, by name.
    """
    metafile = yaml.safe_load(
        (ROOT / 'configs' / 'metafile.yml').read_text(encoding='utf-8'))
    entries = {m['Name']: m for m in metafile['Models']
               if m.get('Published', {}).get('Layout') in METHODS}
    (folder / 'configs').mkdir(parents=True)
    for name, entry in entries.items():
        cfg = small(Config.fromfile(ROOT / entry['Config']))
        entry['Config'] = f'configs/{name}.py'
        # Config.dump takes seconds to lay it out
        (folder / 'configs' / f'{name}.py').write_text(''.join(
            f'{k} = {v!r}\n' for k, v in cfg.to_dict().items()))
    (folder / 'configs' / 'metafile.yml').write_text(
        yaml.safe_dump(dict(Models=list(entries.values()))))
    (folder / 'model-index.yml').write_text('Import: [configs/metafile.yml]')
    return entries
