# Copyright (c) costa_mm authors. All rights reserved.
"""The shipped protocol, and how it makes configs."""
import copy
from pathlib import Path

import pytest
from synthetic_benchmark import (BenchmarkProtocol, ProtocolError, check_data,
                                 config_digest, make_data, resize_model)

from costa_mm.synthetic import GENERATOR_VERSION, Settings

PATH = (
    Path(__file__).resolve().parents[3] / 'configs' / 'benchmark' /
    'protocol.json')
BACKBONES = dict(neither='spatial', no_st_encoder='spatial',
                 stcat='spatial', tubedetr='spatial')
BACKBONES.update({'2d_only': 'spatial', '3d_only': 'temporal'})


@pytest.fixture(scope='module')
def protocol():
    return BenchmarkProtocol(PATH)


@pytest.mark.parametrize('name', ['cpu', 'gpu'])
def test_configs_are_the_frozen_ones(protocol, name):
    scale = protocol.scale(name)
    assert len(scale.seeds) >= 3
    assert scale.data['version'] == GENERATOR_VERSION
    for method in protocol.methods:
        protocol.check_config(scale, method)
        assert scale.parameters[method] > 1e5
    digests = list(scale.digests.values())
    assert len(set(digests)) == len(digests) == len(protocol.methods)


def test_methods_differ_in_what_their_table_says_alone(protocol):
    scale = protocol.scale('gpu')
    configs = {m: protocol.config(scale, m) for m in protocol.methods}
    for method, cfg in configs.items():
        left = BACKBONES.get(method)
        for part in ('spatial', 'temporal'):
            there = cfg.model.backbone[part] is not None
            assert there == (left in (None, part)), (method, part)
        head = cfg.model.head
        assert head.embed_dims == cfg.model.neck.embed_dims == 128
        depth = head.get('num_layers', head.get('num_temporal_layers'))
        assert depth == 4
        for key in ('optim_wrapper', 'param_scheduler', 'train_cfg',
                    'train_dataloader', 'test_dataloader'):
            assert cfg[key] == configs['costa'][key], (method, key)
        for loss in ('loss_bbox', 'loss_giou', 'loss_span', 'loss_cell'):
            assert head[loss] == configs['costa'].model.head[loss]
    kinds = {
        m: configs[m].model.backbone.connection.type
        for m in ('costa', 'concat', 'hadamard')
    }
    assert len(set(kinds.values())) == 3
    assert [configs[f'beta{b}'].model.head.beta
            for b in (0, 100)] == [0., 1.]
    assert configs['costa'].model.head.beta == .9


def test_clips_and_steps_come_from_the_scale(protocol):
    for name, frames in (('cpu', 16), ('gpu', 32)):
        scale = protocol.scale(name)
        cfg = protocol.config(scale, 'costa')
        assert cfg.train_cfg.max_iters % cfg.train_cfg.val_interval == 0
        assert 'max_epochs' not in cfg.train_cfg
        for loader in (cfg.train_dataloader, cfg.test_dataloader):
            sample, = (t for t in loader.dataset.pipeline
                       if t.type == 'SampleFrames')
            resize, = (t for t in loader.dataset.pipeline
                       if t.type == 'ResizeClip')
            assert sample.num_frames == frames
            assert list(resize.scale) == scale.clip['scale']
        # an unfinished schedule would not be a comparison
        assert cfg.param_scheduler[-1].end == cfg.train_cfg.max_iters


def test_trials_are_equal_but_for_what_is_tried(protocol):
    trials = BenchmarkProtocol(PATH.with_name('trials.json'))
    scale = trials.scale('cpu')
    assert trials.evaluation['split'] == 'val'
    per_method = {}
    for name in trials.methods:
        cfg = trials.check_config(scale, name)
        assert cfg.test_dataloader.dataset.ann_file == 'val.json'
        method, rate = name.split('_lr')
        assert cfg.optim_wrapper.optimizer.lr == float(rate)
        cfg.optim_wrapper.optimizer.lr = None
        per_method.setdefault(method, []).append(config_digest(cfg))
    assert len(per_method) >= 3
    for digests in per_method.values():
        assert len(digests) == 2 and len(set(digests)) == 1


def test_what_was_tuned_replaces_what_is_shared(protocol):
    data = copy.deepcopy(protocol.data)
    changed = BenchmarkProtocol(PATH)
    changed.data = data
    data['scales']['cpu']['tuned'] = dict(
        stcat=dict(optim_wrapper=dict(optimizer=dict(lr=0.125))))
    scale = changed.scale('cpu')
    stcat, costa = (changed.config(scale, m) for m in ('stcat', 'costa'))
    assert stcat.optim_wrapper.optimizer.lr == 0.125
    assert stcat.optim_wrapper.optimizer.type == 'AdamW'
    assert costa.optim_wrapper.optimizer.lr != 0.125


def test_digest(protocol):
    cfg = protocol.config(protocol.scale('cpu'), 'costa')
    before = config_digest(cfg)
    cfg.train_dataloader.dataset.data_root = 'elsewhere'
    cfg.train_dataloader.num_workers = 7
    cfg.randomness = dict(seed=5)
    assert config_digest(cfg) == before
    changed = copy.deepcopy(cfg)
    changed.model.head.loss_bbox.loss_weight += 1
    assert config_digest(changed) != before
    changed = copy.deepcopy(cfg)
    changed.train_dataloader.dataset.pipeline[0].num_frames = 3
    assert config_digest(changed) != before


def test_resize_model_leaves_out_what_is_not_there():
    model = dict(backbone=dict(spatial=dict(width=1), temporal=None),
                 head=dict(layers=2))
    resize_model(
        model,
        dict(
            backbone=dict(spatial=dict(width=3), temporal=dict(width=3)),
            head=dict(layers=4, other_layers=4)))
    assert model == dict(
        backbone=dict(spatial=dict(width=3), temporal=None),
        head=dict(layers=4))


def test_data_are_made_once_and_checked(tmp_path):
    data = dict(
        Settings('easy', 3, 48, 24, 8).to_dict(),
        sizes=dict(train=1, val=0, test=1))
    folder = tmp_path / 'data'
    with pytest.raises(FileNotFoundError, match='meta.json'):
        check_data(folder, data)
    make_data(folder, data, num_workers=1)
    written = (folder / 'meta.json').stat().st_mtime_ns
    make_data(folder, data, num_workers=1)
    assert (folder / 'meta.json').stat().st_mtime_ns == written
    with pytest.raises(ProtocolError, match="'seed' is 3.*demands 4"):
        make_data(folder, dict(data, seed=4), num_workers=1)
    with pytest.raises(ProtocolError, match='generator is of version'):
        make_data(tmp_path / 'old', dict(data, version='0.1'), num_workers=1)
