# Copyright (c) costa_mm authors. All rights reserved.
"""Published settings of the baselines' configs (see also test_configs.py)."""
import copy
from pathlib import Path

import pytest
from mmengine.config import Config
from mmengine.optim import build_optim_wrapper
from mmengine.registry import DefaultScope
from tiny_model import BASE, C, swin_cfg, text_cfg

import costa_mm.engine  # noqa: F401
from costa_mm.registry import MODELS

ROOT = Path(__file__).resolve().parents[1] / 'configs' / 'baselines'
RATES = dict(
    stcat_hcstvg=dict(rest=1e-4, video=2e-5, text=5e-5, temporal=1e-4),
    stcat_vidstg=dict(rest=1e-4, video=1e-5, text=5e-5),
    tubedetr_hcstvg=dict(rest=5e-5, video=1e-5, text=5e-5),
    tubedetr_vidstg=dict(rest=5e-5, video=1e-5, text=5e-5),
    tubedetr_hcstvg_v2=dict(rest=5e-5, video=1e-5, text=5e-5),
    tubedetr_hcstvg_imagenet=dict(rest=5e-5, video=1e-5, text=1e-5),
    tubedetr_vidstg_imagenet=dict(rest=2e-5, video=1e-5, text=2e-5))
# CG-STVG's and TA-STVG's, by the name of the group
_CG = dict(rest=3e-4, video=2e-5, text=5e-5, temporal=1e-4)
_TA = dict(rest=2e-4, text=5e-5, temporal=2e-4, classifiers=5e-4)
RATES.update(
    cgstvg_hcstvg=_CG,
    cgstvg_hcstvg_v2=_CG,
    cgstvg_vidstg={**_CG, 'video': 1e-5},
    tastvg_hcstvg={**_TA, 'video': 1e-6},
    tastvg_hcstvg_v2={**_TA, 'rest': 3e-4, 'video': 5e-6},
    tastvg_vidstg={**_TA, 'video': 1e-5, 'classifiers': 3e-4})
EPOCHS = dict(
    cgstvg_hcstvg=90,
    cgstvg_hcstvg_v2=90,
    cgstvg_vidstg=10,
    tastvg_hcstvg=90,
    tastvg_hcstvg_v2=90,
    tastvg_vidstg=11,
    stcat_hcstvg=90,
    stcat_vidstg=10,
    tubedetr_hcstvg=40,
    tubedetr_vidstg=10,
    tubedetr_hcstvg_v2=20,
    tubedetr_hcstvg_imagenet=70,
    tubedetr_vidstg_imagenet=20)
# short sides in training, short and long side in testing
SIZES = {
    'stcat_hcstvg': ((352, 384, 416, 448), 448, 720),
    'stcat_hcstvg_416': ((320, 352, 384, 416), 416, 720),
    'stcat_vidstg': ((352, 384, 416, 448), 448, 720),
    'stcat_vidstg_416': ((320, 352, 384, 416), 416, 720),
    'tubedetr_hcstvg': ((224, 256, 288, 320, 352), 352, 587),
    'tubedetr_vidstg': ((224, 256, 288, 320, 352), 352, 587),
    'tubedetr_vidstg_k2_res224': ((128, 160, 192, 224), 224, 373),
    'tubedetr_hcstvg_v2_k2_res224': ((128, 160, 192, 224), 224, 373),
}


@pytest.fixture(autouse=True)
def scope():
    """Tools set the scope of the config; tests do it here."""
    before = dict(DefaultScope._instance_dict)
    DefaultScope._instance_dict.clear()
    DefaultScope.get_instance('test_baselines', scope_name='costa_mm')
    yield
    DefaultScope._instance_dict.clear()
    DefaultScope._instance_dict.update(before)


def shrunk(cfg):
    """The model with small parts of the same kinds."""
    model = copy.deepcopy(cfg.model)
    model.backbone.spatial.update(
        depth=18, base_channels=BASE, stem_channels=BASE)
    if model.backbone.get('motion'):
        model.backbone.motion = swin_cfg()
        model.neck.motion_channels = 64
    model.text_encoder = text_cfg()
    small = dict(
        embed_dims=C, num_layers=1, num_heads=2, feedforward_channels=16)
    model.neck.update(in_channels=8 * BASE, **small)
    model.head.update(**small)
    return MODELS.build(model)


@pytest.mark.parametrize('name', sorted(RATES))
def test_rates_and_lengths(name):
    cfg = Config.fromfile(ROOT / f'{name}.py')
    model = shrunk(cfg)
    wrapper = build_optim_wrapper(model, copy.deepcopy(cfg.optim_wrapper))
    groups = wrapper.optimizer.param_groups
    assert {g['name']: g['lr'] for g in groups} == RATES[name]
    assert {g['weight_decay'] for g in groups} == {1e-4}
    assert cfg.optim_wrapper.clip_grad.max_norm == 0.1
    assert cfg.train_cfg.max_epochs == EPOCHS[name]
    assert cfg.param_scheduler.end == EPOCHS[name]
    assert cfg.train_dataloader.batch_size == 1
    assert any(h.type == 'STVGEMAHook' for h in cfg.custom_hooks)
    # TubeDETR's text projection goes with the rest, others' with the text
    text = {
        id(p)
        for g in groups if g['name'] == 'text' for p in g['params']
    }
    projection = id(model.text_encoder.proj.weight)
    assert (projection in text) == (not name.startswith('tubedetr'))


@pytest.mark.parametrize('name', ['hcstvg', 'vidstg', 'tiny_synthetic'])
def test_gradients_come_from_tubedetrs_slow_frames(name):
    model = Config.fromfile(ROOT / f'tubedetr_{name}.py').model
    assert model.backbone.type == 'StridedGradResNet'
    assert model.backbone.grad_stride == model.neck.stride
    assert model.backbone.get('temporal') is None


@pytest.mark.parametrize('name', ['hcstvg', 'vidstg'])
def test_weights_of_the_losses(name):
    stcat = Config.fromfile(ROOT / f'stcat_{name}.py').model.head
    tube = Config.fromfile(ROOT / f'tubedetr_{name}.py').model.head
    giou = dict(hcstvg=4., vidstg=3.)[name]
    assert stcat.loss_giou.loss_weight == giou
    assert tube.loss_giou.loss_weight == 2.
    for head, sigma in ((stcat, 2.), (tube, 1.)):
        assert head.loss_bbox.loss_weight == 5.
        assert head.loss_span.loss_weight == 10.
        assert head.loss_span.sigma == sigma
        assert head.loss_guided.loss_weight == 1.
    assert stcat.loss_attend_dec.loss_weight == 2.
    assert stcat.loss_attend_dec.outside_weight == 0.3


def test_stcat_is_tested_in_two_passes():
    for name in ('hcstvg', 'vidstg'):
        cfg = Config.fromfile(ROOT / f'stcat_{name}.py')
        assert cfg.model.test_cfg.two_pass
        train, test = (
            next(t for t in loader.dataset.pipeline
                 if t.type == 'SampleFrames')
            for loader in (cfg.train_dataloader, cfg.test_dataloader))
        key = 'fps' if name == 'hcstvg' else 'num_frames'
        assert test[key] == 2 * train[key]


@pytest.mark.parametrize('name', sorted(SIZES))
def test_sizes_of_the_frames(name):
    cfg = Config.fromfile(ROOT / f'{name}.py')
    sides, short, long = SIZES[name]
    for key in ('val_dataloader', 'test_dataloader'):
        if cfg.get(key):
            resize, = (t for t in cfg[key].dataset.pipeline
                       if t.type == 'ResizeClip')
            assert (resize.short_side, resize.max_size) == (short, long)
    branches, = (t.branches for t in cfg.train_dataloader.dataset.pipeline
                 if t.type == 'RandomBranch')
    for branch in branches:
        assert tuple(branch[-1].short_side) == sides
        assert branch[-1].max_size == long
    if name.endswith('res224'):
        assert branches[1][0].short_side == (100, 150, 200)
        assert (branches[1][1].min_size, branches[1][1].max_size) == (96, 373)


@pytest.mark.parametrize('name', [
    'tubedetr_vidstg_k2_res224', 'tubedetr_hcstvg_v2_k2_res224'])
def test_every_second_frame_is_slow(name):
    cfg = Config.fromfile(ROOT / f'{name}.py')
    assert cfg.model.backbone.grad_stride == cfg.model.neck.stride == 2


@pytest.mark.parametrize('name', ['hcstvg', 'vidstg'])
def test_from_imagenet(name):
    cfg = Config.fromfile(ROOT / f'tubedetr_{name}_imagenet.py')
    assert [part.weights for part in cfg.load_from] == ['resnet101_imagenet']
    assert cfg.model.head.loss_span.loss_weight == dict(
        hcstvg=10., vidstg=5.)[name]
    assert cfg.param_scheduler.schedules.rest.milestones == []


@pytest.mark.parametrize('name', ['hcstvg_v2', 'hcstvg_v2_k2_res224'])
def test_tubedetr_reads_the_second_version(name):
    cfg = Config.fromfile(ROOT / f'tubedetr_{name}.py')
    whole = Config.fromfile(ROOT.parent / '_base_/datasets/hcstvg_v2.py')
    for key in ('train_dataloader', 'test_dataloader'):
        ours, base = cfg[key].dataset, whole[key].dataset
        for field in ('data_root', 'ann_file', 'filter_cfg', 'data_prefix'):
            assert ours[field] == base[field]
    assert cfg.param_scheduler.schedules.rest.milestones == [10]


# thresholds and weights of L1, GIoU, start/end, actioness
TWO_STREAMS = dict(
    cgstvg_hcstvg=((0.8, 0.8, 0.5), (5, 4, 10, 2)),
    cgstvg_hcstvg_v2=((0.7, 0.8, 0.5), (5, 4, 10, 2)),
    cgstvg_vidstg=((0.5, 0.5, -0.5), (5, 3, 1, 2)),
    tastvg_hcstvg=((0.7, 15, 60), (5, 4, 12, 2)),
    tastvg_hcstvg_v2=((0.7, 15, 60), (5, 4, 10, 2)),
    tastvg_vidstg=((0.45, 20, 34), (5, 3, 2, 2)))
OPTIONS = dict(
    cg=('context_giou', 'context_confidence', 'context_attend'),
    ta=('frame_threshold', 'num_appearances', 'num_motions'))


@pytest.mark.parametrize('name', sorted(TWO_STREAMS))
def test_settings_of_the_two_stream_methods(name):
    cfg = Config.fromfile(ROOT / f'{name}.py')
    options, losses = TWO_STREAMS[name]
    head = cfg.model.head
    assert tuple(head[o] for o in OPTIONS[name[:2]]) == options
    assert losses == tuple(
        head[f'loss_{loss}'].loss_weight
        for loss in ('bbox', 'giou', 'span', 'attend_dec'))
    if name.startswith('cg'):
        assert head.corners == 'ceil_right'
        assert head.loss_confidence.kind == (
            'smooth_l1' if 'vidstg' in name else 'bce_of_sum')
    else:
        assert cfg.model.text_encoder.type == 'SubjectTextEncoder'
    vidstg = 'vidstg' in name
    drop = dict(cg=8, ta=9)[name[:2]] if vidstg else 50
    assert cfg.param_scheduler.schedules.rest.milestones == [drop]
    assert cfg.auto_scale_lr.base_batch_size == dict(cg=8, ta=32)[name[:2]]
    assert cfg.model.test_cfg.two_pass
    for key in ('val_dataloader', 'test_dataloader'):
        if cfg.get(key):
            squeeze, = (t for t in cfg[key].dataset.pipeline
                        if t.type == 'SqueezeClip')
            assert (squeeze.height, squeeze.max_ratio) == (420, 1.4)
    pipeline = cfg.train_dataloader.dataset.pipeline
    flip, = (t for t in pipeline if t.type == 'FlipWithText')
    assert flip.prob == 0.7
    branches, = (t.branches for t in pipeline if t.type == 'RandomBranch')
    for branch in branches:
        assert branch[-1].type == 'SqueezeClip'
        assert max(branch[-1].height) == 420
    version = 'train_v2' if 'v2' in name else 'train'
    assert version in cfg.train_dataloader.dataset.ann_file


@pytest.mark.parametrize('name', ['hcstvg', 'vidstg'])
def test_settings_of_stvgbert(name):
    cfg = Config.fromfile(ROOT / f'stvgbert_{name}.py')
    epochs, drop, batch, words = dict(
        hcstvg=(100, 80, 5, 40), vidstg=(15, 10, 1, 20))[name]
    assert cfg.optim_wrapper == dict(
        type='OptimWrapper', optimizer=dict(type='Adam', lr=1e-5, fused=True))
    assert cfg.train_cfg.max_epochs == epochs
    assert cfg.param_scheduler[0].milestones == [drop]
    assert cfg.train_dataloader.batch_size == batch
    assert cfg.auto_scale_lr.base_batch_size == batch
    assert cfg.model.text_encoder.max_length == words
    assert not any(h.type == 'STVGEMAHook' for h in cfg.custom_hooks)
    head = cfg.model.head
    weights = dict(heatmap=1, size=0.1, offset=1, score=1, span=1)
    for loss, weight in weights.items():
        assert head[f'loss_{loss}'].loss_weight == weight
    for loader in (cfg.train_dataloader, cfg.test_dataloader):
        sampling = loader.dataset.pipeline[0]
        assert (sampling.mode, sampling.num_frames) == ('uniform', 64)
        resize = [t for t in loader.dataset.pipeline
                  if t.type == 'ResizeClip' or t.get('branches')][-1]
        resize = resize.branches[1][-1] if resize.get('branches') else resize
        assert tuple(resize.scale) == (256, 256) and resize.keep_ratio
    parts = [part.weights for part in cfg.load_from]
    assert parts == ['resnet101_imagenet', 'vilbert_conceptual_captions']
    # anchors of 3 to 63 frames, as many as the public code has
    assert 2 * (2**head.num_scales - 1) + 1 == 63
