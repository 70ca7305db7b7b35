# Copyright (c) costa_mm authors. All rights reserved.
"""Every shipped config is read, built at its size, and trained for a step."""
import ast
import copy
import re
from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest
import torch
from mmengine.config import Config
from mmengine.optim import build_optim_wrapper
from mmengine.registry import DefaultScope
from tiny_model import BASE, C, make_batch, swin_cfg, text_cfg

import costa_mm.datasets
import costa_mm.engine
import costa_mm.evaluation
import costa_mm.visualization  # noqa: F401
from costa_mm.engine import GroupOptimWrapperConstructor
from costa_mm.engine.config import check_config
from costa_mm.models.text_encoders import without_weights
from costa_mm.registry import (HOOKS, METRICS, MODELS, PARAM_SCHEDULERS,
                               TRANSFORMS, VISUALIZERS)

ROOT = Path(__file__).resolve().parents[1] / 'configs'
CONFIGS = sorted(
    str(p.relative_to(ROOT)) for p in ROOT.rglob('*.py')
    if '_base_' not in p.parts)
TRAINED = [n for n in CONFIGS if not n.startswith('zero_shot/')]
PAPER = [n for n in CONFIGS if n.startswith(('costa_', 'ablations/'))]

# elements of the state_dict in millions where the paper's own size holds;
# the rows of Tables 2 and 3 differ by the parts that they leave out
SIZES = {name: 235.0 for name in PAPER}
SIZES.update({
    # without the I3D pathway (27.28) and its connections (0.02)
    'ablations/table3a_2d_only.py': 207.3,
    # without ResNet-101 (42.61) and the connections
    'ablations/table3a_3d_only.py': 192.0,
    # and without six temporal layers (7.89)
    'ablations/table2_no_st_encoder.py': 199.4,
    'ablations/table2_neither.py': 199.5,
    # four 1x1x1 convolutions, 2C to C (11.15)
    'ablations/table3b_concat.py': 245.7,
})


@pytest.fixture(autouse=True)
def scope():
    """Tools set the scope of the config; tests do it here."""
    before = dict(DefaultScope._instance_dict)
    DefaultScope._instance_dict.clear()
    DefaultScope.get_instance('test_configs', scope_name='costa_mm')
    yield
    DefaultScope._instance_dict.clear()
    DefaultScope._instance_dict.update(before)


def read(name: str) -> Config:
    return Config.fromfile(ROOT / name)


def without_files(model: dict) -> dict:
    """The model config, told to take no weights and to ask no hub."""
    return {**model, 'text_encoder': without_weights(model['text_encoder'])}


@lru_cache(maxsize=None)
def full_size(name: str) -> torch.nn.Module:
    """The model at its own size: shapes without memory."""
    with torch.device('meta'):
        return MODELS.build(without_files(read(name).model))


def shrink(model: dict) -> dict:
    """The model config with the same parts, each as small as possible.

    Kinds of parts, connections, norms, losses and options stay; widths,
    depths and the text encoder become those of ``tiny_model``.
    """
    motion = model['backbone'].get('motion')
    model = _shrink_sizes(copy.deepcopy(model))
    backbone = model['backbone']
    if 'stage_channels' in (backbone.get('spatial') or {}):
        backbone['spatial'].update(
            stage_channels=[BASE * 2**i for i in range(4)], init_cfg=None)
    elif backbone.get('spatial'):
        backbone['spatial'].update(
            depth=18, base_channels=BASE, stem_channels=BASE)
    if backbone.get('temporal'):
        backbone['temporal'].update(
            depth=18,
            stage_blocks=(1, 1, 1, 1),
            base_channels=BASE,
            inflate=(1, 1, 1, 1))
    if backbone.get('motion'):
        # a trained one has three stages, stride 16, as its 2D pathway has
        depths = [1] * len(motion['arch']['depths']) if isinstance(
            motion['arch'], dict) else [1] * 4
        backbone['motion'] = swin_cfg(
            frozen=motion.get('frozen', True),
            arch=dict(embed_dims=8, depths=depths, num_heads=depths),
            out_indices=(len(depths) - 1, ))
        model['neck']['motion_channels'] = 8 * 2**(len(depths) - 1)
    model['neck']['in_channels'] = 8 * BASE
    if 'in_channels' in model['head']:
        model['head']['in_channels'] = 8 * BASE
    frozen = model['text_encoder'].get('frozen', False)
    model['text_encoder'] = text_cfg(
        frozen=frozen, type=model['text_encoder']['type'])
    return model


SMALL = dict(
    embed_dims=C,
    feedforward_channels=32,
    num_heads=2,
    num_layers=2,
    num_temporal_layers=2,
    num_spatial_layers=2,
    out_channels=C,
    text_channels=C)


def _shrink_sizes(value: Any) -> Any:
    if isinstance(value, dict):
        return {
            k: SMALL[k] if k in SMALL else _shrink_sizes(v)
            for k, v in value.items()
        }
    return value


def depth(path: Path) -> int:
    """Files on the longest chain of ``_base_``, this one included."""
    found = re.search(r"^_base_ = (\[.*?\]|'.*?')", path.read_text(),
                      re.DOTALL | re.MULTILINE)
    if found is None:
        return 1
    bases = ast.literal_eval(found.group(1))
    bases = [bases] if isinstance(bases, str) else bases
    return 1 + max(depth((path.parent / b).resolve()) for b in bases)


def test_the_papers_configs_are_all_there():
    names = {n.removeprefix('ablations/table') for n in PAPER}
    assert {'costa_hcstvg.py', 'costa_hcstvg_v2.py',
            'costa_vidstg.py'} <= names
    for row in ('2_no_st_encoder', '2_no_st_decoder', '3a_2d_only',
                '3a_3d_only', '3b_concat', '3b_hadamard', '3b_norm_sum',
                *(f'3c_beta{b}' for b in (0, 30, 50, 90, 100))):
        assert f'{row}.py' in names


@pytest.mark.parametrize('name', CONFIGS)
def test_config_is_read_and_not_deep(name):
    assert depth(ROOT / name) <= 3
    cfg = read(name)
    check_config(cfg)
    assert cfg.default_scope == 'costa_mm'


@pytest.mark.parametrize('name', CONFIGS)
def test_parts_are_built(name):
    cfg = read(name)
    for key in ('train_dataloader', 'val_dataloader', 'test_dataloader'):
        if cfg.get(key):
            for transform in cfg[key].dataset.pipeline:
                TRANSFORMS.build(transform)
    for key in ('val_evaluator', 'test_evaluator'):
        found = cfg.get(key) or []
        for metric in found if isinstance(found, list) else [found]:
            METRICS.build(metric)
    hooks = list(cfg.default_hooks.values()) + cfg.get('custom_hooks', [])
    for hook in hooks:
        HOOKS.build(hook)
    VISUALIZERS.build({**cfg.visualizer, 'vis_backends': None})


@pytest.mark.parametrize('name', PAPER)
def test_full_size(name):
    model = full_size(name)
    count = sum(v.numel() for v in model.state_dict().values()) / 1e6
    assert count == pytest.approx(SIZES[name], abs=1.0)
    names = list(model.named_parameters(remove_duplicate=False))
    assert len({id(p) for _, p in names}) == len(names)  # no tensor twice


def test_parts_have_their_known_sizes():
    model = full_size('costa_hcstvg.py')

    def millions(part):
        return sum(v.numel() for v in part.state_dict().values()) / 1e6

    # STCAT's vis_encoder has 42.6055 (no batch counters), its RoBERTa
    # 124.6456 with a pooler of 0.5906
    assert millions(model.backbone.spatial) == pytest.approx(42.6, abs=0.05)
    assert millions(model.backbone.temporal) == pytest.approx(27.22, abs=0.1)
    assert millions(model.text_encoder.model) == pytest.approx(
        124.6456 - 0.5906, abs=0.01)
    transformer = millions(model.neck) + millions(model.head)
    assert transformer == pytest.approx(40.45, abs=0.2)


@pytest.mark.parametrize('name', PAPER)
def test_batch_norms_stem_and_first_stage_are_frozen(name):
    model = full_size(name).train()
    for part in (model.backbone.spatial, model.backbone.temporal):
        if part is None:
            continue
        for module in part.modules():
            if 'BatchNorm' in type(module).__name__:
                assert not module.training
                assert not any(p.requires_grad for p in module.parameters())
        frozen = {n for n, p in part.named_parameters() if not p.requires_grad}
        assert {n for n, _ in part.named_parameters()
                if n.startswith(('conv1', 'layer1'))} <= frozen


@pytest.mark.parametrize('name', TRAINED)
def test_one_training_step_at_reduced_size(name):
    torch.manual_seed(0)
    cfg = read(name)
    model = MODELS.build(shrink(cfg.model))
    model.init_weights()
    model.train()
    optim_cfg = copy.deepcopy(cfg.optim_wrapper)
    optim_cfg.pop('accumulative_counts', None)  # one step, one update
    wrapper = build_optim_wrapper(model, optim_cfg)
    schedulers = cfg.param_scheduler
    for scheduler in [schedulers] if isinstance(schedulers,
                                                dict) else schedulers:
        scheduler = dict(scheduler)
        if scheduler.pop('convert_to_iter_based', False):
            kind = PARAM_SCHEDULERS.get(scheduler.pop('type'))
            kind.build_iter_from_epoch(wrapper, epoch_length=3, **scheduler)
        else:
            PARAM_SCHEDULERS.build({**scheduler, 'optimizer': wrapper})
    before = {n: p.detach().clone() for n, p in model.named_parameters()}
    log = model.train_step(make_batch(), wrapper)
    assert all(torch.isfinite(v).all() for v in log.values()), log
    changed = 0
    for n, p in model.named_parameters():
        assert p.isfinite().all(), n
        changed += not torch.equal(p, before[n])
    assert changed > 20


@pytest.mark.parametrize('name', PAPER)
def test_no_dead_parameters(name):
    torch.manual_seed(0)
    model = MODELS.build(shrink(read(name).model))
    model.init_weights()
    # boxes begin as their anchors, so that the first step trains the box head
    # before what lies below it
    last = model.head.spatial_decoder.box_head.layers[-1]
    torch.nn.init.normal_(last.weight, std=0.1)
    model.train()
    data = model.data_preprocessor(make_batch())
    sum(model(**data, mode='loss').values()).backward()
    sizes = {
        n: (p.numel(), p.grad is not None and bool(p.grad.any()))
        for n, p in model.named_parameters() if p.requires_grad
    }
    assert all(model.get_parameter(n).grad is not None for n in sizes)
    # rows of embedding tables that no word of the batch uses count as trained
    trained = sum(n for n, alive in sizes.values() if alive)
    dead = [n for n, (_, alive) in sizes.items() if not alive]
    assert trained / sum(n for n, _ in sizes.values()) > 0.99, dead


def test_pipelines_of_both_versions_of_hcstvg_are_one():
    first, second = read('costa_hcstvg.py'), read('costa_hcstvg_v2.py')
    for loader in ('train_dataloader', 'test_dataloader'):
        assert first[loader].dataset.pipeline == \
            second[loader].dataset.pipeline


@pytest.mark.parametrize('name', ['costa_hcstvg.py', 'costa_vidstg.py'])
def test_pipelines_on_a_real_clip(name, test_data):
    from costa_mm.datasets import HCSTVGDataset
    from costa_mm.structures import EpochIndex
    cfg = read(name)
    folder = test_data / 'real_clips'
    for loader, most in ((cfg.train_dataloader, 65), (cfg.test_dataloader,
                                                      129)):
        dataset = HCSTVGDataset(
            str(folder / 'real_clips.json'),
            data_prefix=dict(video=str(folder)),
            pipeline=loader.dataset.pipeline,
            test_mode=loader.dataset.get('test_mode', False),
            clip_seconds=20.)
        for epoch in range(2):
            item = dataset[EpochIndex(0, epoch)]
            frames, sample = item['inputs'], item['data_samples']
            assert 1 < len(frames) <= most
            assert max(frames.shape[-2:]) <= 720
            assert 300 < min(frames.shape[-2:]) <= 448
            assert sample.sentence == sample.sentence.lower()
            assert sample.gt_box_mask.any() and 'gt_span' in sample
            h, w = frames.shape[-2:]
            limit = torch.tensor([w, h, w, h]) + 1e-3
            assert (sample.gt_boxes <= limit).all()


@pytest.mark.parametrize('name', PAPER)
def test_the_model_is_the_papers(name):
    model = full_size(name)
    neck, head = model.neck, model.head
    # what helps small models that start from nothing is not the paper's
    assert not neck.pos_in_tokens
    assert not hasattr(head, 'loss_cell')
    assert isinstance(neck.input_norm, torch.nn.Identity)
    assert head.spatial_decoder.object_query.prior is None
    assert len(neck.spatial_layers) == 6
    assert len(neck.temporal_layers) == (0 if 'encoder' in name or
                                         'neither' in name else 6)
    assert len(head.temporal_decoder.layers) == 6
    assert len(head.spatial_decoder.layers) == 6
    for layer in (*neck.spatial_layers, *head.temporal_decoder.layers):
        assert layer.self_attn.num_heads == 8
        assert layer.self_attn.dropout == 0.1
        assert layer.ffn.layers[0][0].weight.shape == (2048, 256)
    beta = re.search(r'beta(\d+)', name)
    assert head.beta == (int(beta.group(1)) / 100 if beta else 0.9)
    assert not head.beta_per_frame and head.box_average == 'video'
    weights = dict(bbox=5., giou=3. if 'vidstg' in name else 4., span=10.,
                   attend_enc=2., attend_dec=2.)
    for loss, weight in weights.items():
        assert getattr(head, f'loss_{loss}').loss_weight == weight
    assert head.loss_span.options == dict(
        sigma=2., direction='pred_true', average='video')
    for loss in (head.loss_attend_enc, head.loss_attend_dec):
        assert loss.options == dict(outside_weight=0.3, average='video')
    assert model.test_cfg.two_pass and model.test_cfg.span_ends == 'sampled'
    assert model.test_cfg.window is None


@pytest.mark.parametrize('name', PAPER)
def test_the_recipe_is_the_lineages(name):
    cfg, vidstg = read(name), 'vidstg' in name
    epochs, drop = (10, 8) if vidstg else (90, 50)
    assert cfg.train_cfg.max_epochs == cfg.param_scheduler.end == epochs
    schedules = cfg.param_scheduler.schedules
    assert schedules.rest.milestones == [drop] and schedules.rest.gamma == .1
    assert schedules.rest.get('warmup', 0) == (0.01 if vidstg else 0)
    if not vidstg:
        linear = dict(warmup=0.01, to_zero=True)
        assert schedules.text == linear == schedules.temporal
    assert cfg.optim_wrapper.clip_grad.max_norm == 0.1
    ema, = (h for h in cfg.custom_hooks if h.type == 'STVGEMAHook')
    assert ema.momentum == pytest.approx(1 - 0.9998)
    batch = cfg.train_dataloader.batch_size
    assert batch == 1 and cfg.auto_scale_lr.base_batch_size == 8
    train, test = (loader.dataset.pipeline
                   for loader in (cfg.train_dataloader, cfg.test_dataloader))
    sampling = [step for step in (*train, *test)
                if step.type == 'SampleFrames']
    key, rates = ('num_frames', [64, 128]) if vidstg else ('fps', [3.2, 6.4])
    assert [step[key] for step in sampling] == rates
    names = [step.type for step in train]
    crop = names.index('RandomTemporalCrop')
    assert train[crop].prob == 0.5
    assert (crop < names.index('SampleFrames')) == vidstg
    flip, = (step for step in train if step.type == 'FlipWithText')
    assert flip.prob == 0.5 and 'ClipColorJitter' not in names
    (plain, ), (first, cut, last) = next(
        step for step in train if step.type == 'RandomBranch').branches
    assert plain == last and plain.max_size == 720
    assert sorted(plain.short_side) == [352, 384, 416, 448]
    assert sorted(first.short_side) == [400, 500, 600]
    assert (cut.min_size, cut.max_size, cut.tries) == (384, 600, 50)
    resize, = (step for step in test if step.type == 'ResizeClip')
    assert (resize.short_side, resize.max_size) == (448, 720)
    protocols = cfg.test_evaluator.protocol
    assert protocols == ['paper', f'stcat_{"vidstg" if vidstg else "hcstvg"}']
    # never the best on a test split
    best = cfg.default_hooks.checkpoint.save_best
    assert best == ('stvg/m_vIoU' if 'holdout' in name else None)


# where the parameters of the paper's model belong; what is new goes with the
# rest, as does STCAT's span head
GROUPS = {
    'backbone.spatial': 'video', 'backbone.temporal': 'video',
    'backbone.connections': 'rest', 'text_encoder': 'text', 'neck': 'rest',
    'head.temporal_decoder.layers': 'temporal',
    'head.temporal_decoder.query_proj': 'temporal',
    'head.temporal_decoder.theta_t': 'temporal',
    'head.temporal_decoder.span_head': 'rest',
    'head.spatial_decoder': 'rest', 'head.event_query': 'rest',
    'head.attend_enc': 'rest', 'head.attend_dec': 'rest'}


@pytest.mark.parametrize('name', PAPER)
def test_every_parameter_learns_at_the_rate_of_its_part(name):
    cfg = read(name)
    with torch.device('meta'):
        model = MODELS.build(shrink(cfg.model))
    constructor = GroupOptimWrapperConstructor(
        dict(cfg.optim_wrapper), dict(cfg.optim_wrapper.paramwise_cfg))
    of = {id(p): g['name'] for g in constructor.split(model)
          for p in g['params']}
    scheduled = 'temporal' in cfg.optim_wrapper.paramwise_cfg.groups
    for param, value in model.named_parameters():
        part, = (p for p in GROUPS if param.startswith(f'{p}.'))
        group = GROUPS[part]
        if group == 'temporal' and not scheduled:  # VidSTG has one schedule
            group = 'rest'
        if value.requires_grad:
            assert of[id(value)] == group, param


def test_span_and_attendance_heads_drop_as_stcats():
    head = MODELS.build(shrink(read('costa_hcstvg.py').model)).head
    for part in (head.temporal_decoder.span_head, head.attend_enc,
                 head.attend_dec):
        assert part.dropout.p == 0.3


def test_rates_are_the_published_ones():
    for name, video in (('costa_hcstvg.py', 2e-5), ('costa_vidstg.py', 1e-5)):
        cfg = read(name)
        model = MODELS.build(shrink(cfg.model))
        wrapper = build_optim_wrapper(model, copy.deepcopy(cfg.optim_wrapper))
        rates = {g['name']: g['lr'] for g in wrapper.optimizer.param_groups}
        assert rates['video'] == video and rates['text'] == 5e-5
        assert rates['rest'] == 1e-4 == rates.get('temporal', 1e-4)
        assert {g['weight_decay']
                for g in wrapper.optimizer.param_groups} == {1e-4}
