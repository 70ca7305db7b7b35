# Copyright (c) costa_mm authors. All rights reserved.
"""Initial weights composed from published parts, by name."""
import os
import socket
import subprocess
import sys

import pytest
import torch
from mmengine.config import Config

from costa_mm.registry import MODELS
from costa_mm.weights import LAYOUTS, PARTS
from costa_mm.weights import cache as cache_module
from costa_mm.weights import load_initial_weights
from costa_mm.weights.pretrained import backbone_names
from costa_mm.weights.published_names import MDETR_COSTA, rename
from .published import (ROOT, build, checkpoint, names_of, narrow,
                        published_state)

ADDED = ('transformer.time_embed', 'transformer.fast_', 'sted_embed')


def mdetr_file(path):
    """MDETR's checkpoint: TubeDETR's names without what it added."""
    model = narrow(Config.fromfile(
        ROOT / 'configs/baselines/tubedetr_hcstvg.py').model)
    names = [n for n in names_of('tubedetr') if not n.startswith(ADDED)]
    state = published_state(names, LAYOUTS['tubedetr'].rules,
                            build(model).state_dict(), seed=1)
    state['contrastive_align_projection_text.weight'] = torch.zeros(4, 4)
    torch.save(checkpoint('mdetr', state), path)
    return state


def i3d_file(path, model):
    """mmaction2's recogniser around our 3D pathway."""
    own = model.backbone.temporal.state_dict()
    state = {f'backbone.{n}': torch.randn_like(v.float()) * 0.1
             for n, v in own.items() if not n.endswith('tracked')}
    for n in state:
        if n.endswith('running_var'):
            state[n] = state[n].abs() + 1
    state['cls_head.fc_cls.weight'] = torch.zeros(400, 8)
    torch.save(dict(state_dict=state, meta=dict(epoch=100)), path)
    return state


@pytest.fixture(scope='module')
def parts(tmp_path_factory):
    """The config, a narrow model, and a folder with both files."""
    folder = tmp_path_factory.mktemp('parts')
    cfg = Config.fromfile(ROOT / 'configs' / 'costa_hcstvg.py')
    cfg.model = narrow(cfg.model)
    model = build(cfg.model)
    mdetr = mdetr_file(folder / PARTS['mdetr_resnet101'].file)
    i3d = i3d_file(folder / PARTS['i3d_resnet50_kinetics400'].file, model)
    return cfg, folder, mdetr, i3d


@pytest.fixture
def mirrored(parts, monkeypatch):
    monkeypatch.setenv('COSTA_MM_MIRROR', str(parts[1]))
    return parts


def test_the_papers_model_is_composed(mirrored):
    cfg, _, mdetr, i3d = mirrored
    model = build(cfg.model)
    before = {n: v.clone() for n, v in model.state_dict().items()}
    lines = []
    out = load_initial_weights(model, cfg.load_from, lines.append)
    own = model.state_dict()
    wanted = {**rename(mdetr, MDETR_COSTA).state,
              **backbone_names(i3d, 'backbone.temporal.')}
    assert wanted.keys() == out['state_dict'].keys()
    assert all(torch.equal(own[n], v) for n, v in wanted.items()
               if not n.endswith('tracked'))
    rest = set(own) - set(wanted)
    assert rest and all(torch.equal(own[n], before[n]) for n in rest)
    told = '\n'.join(lines)
    assert 'initial weights from mdetr_resnet101' in told
    assert told.count('left_over: 0') == 2
    assert f'{len(wanted)} of {len(own)} tensors' in told
    assert 'head.temporal_decoder' in told and 'backbone.connections' in told


def test_init_cfg_takes_the_same_names(tmp_path, monkeypatch):
    """OpenMMLab's way to start one part: ``costa_mm://NAME``."""
    monkeypatch.setenv('COSTA_MM_MIRROR', str(tmp_path))
    monkeypatch.setattr(cache_module, 'verify', lambda *args: None)
    name = 'i3d_resnet50_kinetics400'
    model = MODELS.build(dict(
        type='mmdet.ResNet', depth=18, base_channels=4, init_cfg=dict(
            type='Pretrained', prefix='backbone.',
            checkpoint=f'costa_mm://{name}')))
    wanted = {f'backbone.{n}': torch.randn_like(v.float())
              for n, v in model.state_dict().items()}
    torch.save(dict(state_dict=wanted, meta={}),
               tmp_path / PARTS[name].file)
    model.init_weights()
    for n, value in model.state_dict().items():
        assert torch.equal(value.float(),
                           wanted[f'backbone.{n}'].to(value.dtype).float())


def test_init_cfg_with_a_name_that_is_none():
    model = MODELS.build(dict(
        type='mmdet.ResNet', depth=18, base_channels=4, init_cfg=dict(
            type='Pretrained', checkpoint='costa_mm://no_such_name')))
    with pytest.raises(FileNotFoundError, match='no_such_name'):
        model.init_weights()


def test_a_pathway_that_is_not_there_needs_no_weights(mirrored):
    cfg = mirrored[0].model.copy()
    cfg.backbone = {**cfg.backbone, 'temporal': None}
    model = build(cfg)
    lines = []
    load_initial_weights(model, mirrored[0].load_from, lines.append)
    assert 'is not needed' in lines[1]


@pytest.mark.parametrize('part, message', [
    ('mdetr_resnet101', 'dict'),
    (dict(weights='mdetr_resnet101'), 'layout=... .*or prefix'),
    (dict(weights='mdetr_resnet101', layout='mdetr'), 'mdetr_costa'),
    (dict(weights='mdetr_resnet101', layout='mdetr_costa', prefix='x.'),
     'layout'),
])
def test_a_malformed_part_is_told(mirrored, part, message):
    with pytest.raises(ValueError, match=message):
        load_initial_weights(torch.nn.ModuleDict(dict(x=torch.nn.Linear(1, 1))
                                                 ), [part])


def test_frozen_stages_are_frozen_before_ddp_looks(mirrored):
    model = build(mirrored[0].model)  # never set to training
    for part in (model.backbone.spatial, model.backbone.temporal):
        frozen = {n for n, p in part.named_parameters()
                  if not p.requires_grad}
        assert {n for n, _ in part.named_parameters()
                if n.startswith(('conv1', 'layer1'))} <= frozen


def free_port():
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        return s.getsockname()[1]


def test_training_starts_with_all_parts_by_two_processes(
        parts, server, tmp_path, test_data, cache):
    """The dataset's layout made of real clips, the parts from a server."""
    cfg, folder, _, _ = parts
    root = tmp_path / 'data'
    (root / 'annotations').mkdir(parents=True)
    clips = test_data / 'real_clips'
    (root / 'annotations' / 'train.json').symlink_to(
        clips / 'real_clips.json')
    (root / 'videos').symlink_to(clips)
    for source in PARTS.values():
        if (folder / source.file).is_file():
            server.files[f'/{source.file}'] = (
                folder / source.file).read_bytes()
    # the name of the true file carries its checksum, ours has another
    name = 'i3d_resnet50_kinetics400'
    digest = cache_module.file_digest(folder / PARTS[name].file)
    (tmp_path / 'other_checksum.py').write_text(
        'import dataclasses\nfrom costa_mm.weights import PARTS\n'
        f"PARTS['{name}'] = dataclasses.replace(PARTS['{name}'], "
        f"sha256='{digest}')\n")
    config = tmp_path / 'small.py'
    config.write_text(
        f"_base_ = '{ROOT}/configs/costa_hcstvg.py'\n"
        "custom_imports = dict(imports=['other_checksum'])\n"
        f'model = {cfg.model.to_dict()!r}\n'
        "model['_delete_'] = True\n"
        'train_pipeline = [\n'
        "    dict(type='SampleFrames', mode='uniform', num_frames=4),\n"
        "    dict(type='LoadVideoFrames'), dict(type='LoadTubeAnnotations'),\n"
        "    dict(type='ResizeClip', short_side=64, max_size=96),\n"
        "    dict(type='PackSTVGInputs')]\n"
        f"train_dataloader = dict(num_workers=0, persistent_workers=False,\n"
        f"    dataset=dict(data_root='{root}', pipeline=train_pipeline))\n"
        'train_cfg = dict(max_epochs=1)\n'
        'param_scheduler = dict(end=1)\n'
        "default_hooks = dict(logger=dict(interval=1))\n"
        'test_dataloader = test_cfg = test_evaluator = None\n'
        "vis_backends = [dict(type='LocalVisBackend')]\n"
        "visualizer = dict(vis_backends=vis_backends)\n")
    env = {**os.environ, 'PYTHONPATH': f'{ROOT}:{tmp_path}',
           'HF_HUB_OFFLINE': '0',
           'COSTA_MM_MIRROR': server.url, 'COSTA_MM_HOME': str(cache.parent),
           'OMP_NUM_THREADS': '1'}
    run = subprocess.run(
        [sys.executable, '-m', 'torch.distributed.run',
         f'--master_port={free_port()}', '--nproc_per_node=2',
         str(ROOT / 'tools' / 'train.py'), str(config), '--launcher',
         'pytorch', '--work-dir', str(tmp_path / 'work')],
        env=env, cwd=tmp_path, text=True, timeout=300,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert run.returncode == 0, run.stdout[-3000:]
    for source in PARTS.values():
        if f'/{source.file}' in server.files:
            assert server.fetched(f'/{source.file}') == 1, source.file
    assert 'initial weights from mdetr_resnet101' in run.stdout
    assert 'initial weights from i3d_resnet50_kinetics400' in run.stdout
    assert (tmp_path / 'work' / 'last_checkpoint').is_file()
