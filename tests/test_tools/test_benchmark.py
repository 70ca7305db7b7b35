# Copyright (c) costa_mm authors. All rights reserved.
import importlib
import json
import sys
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import DefaultScope
from tiny_model import backbone_cfg, grounder_cfg
from torch import nn

TOOLS = Path(__file__).resolve().parents[2] / 'tools/analysis_tools'


@pytest.fixture
def tool(monkeypatch):
    """Imports the tool's modules by name, under no default scope before."""
    monkeypatch.syspath_prepend(str(TOOLS))
    before = dict(DefaultScope._instance_dict)
    yield importlib.import_module
    DefaultScope._instance_dict.clear()
    DefaultScope._instance_dict.update(before)
    for name in [n for n in sys.modules
                 if n.split('.')[0] in ('benchmark', 'benchmarking',
                                     'benchmark_loading')]:
        del sys.modules[name]


def frozen_backbone():
    cfg = backbone_cfg()
    for part, kind in (('spatial', 'BN'), ('temporal', 'BN3d')):
        cfg[part].update(norm_cfg=dict(type=kind, requires_grad=False),
                         norm_eval=True, zero_init_residual=False)
    return cfg


@pytest.fixture
def config(tmp_path):
    path = tmp_path / 'tiny.py'
    optim = dict(
        type='OptimWrapper', optimizer=dict(type='AdamW', lr=1e-4),
        clip_grad=dict(max_norm=0.1), accumulative_counts=8)
    pipeline = [
        dict(type='SampleFrames', mode='uniform', num_frames=4),
        dict(type='LoadVideoFrames'),
        dict(type='LoadTubeAnnotations'),
        dict(type='ResizeClip', short_side=32),
        dict(type='PackSTVGInputs'),
    ]
    Config(
        dict(
            default_scope='costa_mm',
            model=grounder_cfg(backbone=frozen_backbone()),
            optim_wrapper=optim,
            train_dataloader=dict(dataset=dict(pipeline=pipeline)))).dump(path)
    return str(path)


def spec(tool, config, mode, task='predict', frames=3):
    return tool('benchmarking.subjects').Spec(config, mode, task, frames,
                                              (32, 48), 1, 'cpu')


@pytest.mark.parametrize('mode, kind', [
    ('fp32', 'OptimWrapper'), ('tf32+cp', 'OptimWrapper'),
    ('bf16', 'STVGAmpOptimWrapper')])
def test_the_mode_decides_where_a_config_trains_in_16_bits(
        tool, config, mode, kind):
    cfg = Config.fromfile(config)
    cfg.optim_wrapper.update(
        type='STVGAmpOptimWrapper', dtype='float16', loss_scale=512.)
    cfg.dump(config)
    read = tool('benchmarking.subjects').read_config
    wrapper = read(spec(tool, config, mode, 'train')).optim_wrapper
    assert wrapper.type == kind
    assert wrapper.get('dtype') == ('bfloat16' if mode == 'bf16' else None)
    assert 'loss_scale' not in wrapper


def test_published_way_gives_the_same_features(tool, config):
    compare = tool('benchmarking.measuring').compare
    modes = ('fp32+published', 'fp32', 'fp32+plain', 'fp32+chunk2')
    out = compare([spec(tool, config, m, 'backbone') for m in modes], 1)
    assert len(out['seconds']) == 4
    assert out['ratio'][f'{config} fp32+published'] == 1
    assert max(out['difference'].values()) < 1e-4
    assert out['difference'][f'{config} fp32'] > 0  # not the same code


def test_each_is_compared_in_its_own_precision(tool, config, monkeypatch):
    """TF32 is a setting of the process, not of a model."""
    subject, seen = tool('benchmarking.subjects').Subject, []
    backends = torch.backends.cuda.matmul, torch.backends.cudnn
    before = [backend.allow_tf32 for backend in backends]

    def backbone(self):
        seen.append((self.spec.mode, *{b.allow_tf32 for b in backends}))
        return torch.ones(1)

    monkeypatch.setattr(subject, 'backbone', backbone)
    try:
        tool('benchmarking.measuring').compare(
            [spec(tool, config, m, 'backbone') for m in ('tf32', 'fp32')], 1)
    finally:
        for backend, allowed in zip(backends, before):
            backend.allow_tf32 = allowed
    assert seen == [('tf32', True), ('fp32', False)] * 2


def test_a_compiled_model_is_not_compiled_again(tool, config, monkeypatch):
    """Its parts are not watched: each would break the graph."""
    measuring, runs = tool('benchmarking.measuring'), []

    class Compiled:
        parts, model = {}, nn.Module()

        def __init__(self, spec):
            pass

        def run(self):
            runs.append(1)

    monkeypatch.setattr(measuring, 'Subject', Compiled)
    out = measuring.measure(spec(tool, config, 'fp32+compile'), 3,
                            torch.get_num_threads())
    assert out['parts'] == {} and out['flops'] is None
    assert len(runs) == 2 + 3  # compiles, warms up, is measured


def test_training_is_compared_by_time_alone(tool, config, capsys):
    """Every way of attention draws its own dropout."""
    out = tool('benchmarking.measuring').compare(
        [spec(tool, config, m, 'train') for m in ('fp32+published', 'fp32')],
        2)
    assert out['difference'] == {}
    assert [len(times) for times in out['rounds'].values()] == [2, 2]
    tool('benchmark').main(
        [config, '--task', 'train', '--mode', 'fp32', 'fp32+published',
         '--frames', '3', '--size', '32x48', '--device', 'cpu', '--compare',
         '--alone-rounds', '0', '--rounds', '2', '--threads',
         str(torch.get_num_threads())])
    lines = capsys.readouterr().out.strip().splitlines()[2:-2]
    assert 'median of 2' in lines[0] and len(lines) == 6
    assert lines[4].split('|')[5].strip() == '-'
    assert all(line.count('|') == 6 for line in lines[2:])


def test_nothing_alone(tool, config, monkeypatch, capsys):
    benchmark = tool('benchmark')
    monkeypatch.setattr(benchmark, 'compare', lambda specs, rounds: dict(
        seconds={f'{config} fp32': 2., f'{config} bf16': 1.},
        ratio={f'{config} fp32': 1., f'{config} bf16': .5},
        difference={f'{config} bf16': 1e-3}))
    benchmark.main([config, '--mode', 'fp32', 'bf16', '--device', 'cpu',
                    '--compare', '--alone-rounds', '0'])
    text = capsys.readouterr().out
    assert 'matrix products' not in text
    assert '| tiny           | bf16           |    1.000 |  0.500 |' in text


def test_published_parts(tool, config):
    make_subject = tool('benchmarking.subjects').Subject
    model = make_subject(spec(tool, config, 'fp32+published')).model
    kinds = {type(m).__name__ for m in model.modules()}
    assert {'PublishedBatchNorm2d', 'PublishedBatchNorm3d',
            'PublishedMultiheadAttention',
            'PublishedConcatCrossAttention'} <= kinds
    assert not {'BatchNorm2d', 'MultiheadAttention',
                'FoldingConv2d'} & kinds
    ours = make_subject(spec(tool, config, 'fp32')).model
    assert {'FoldingConv2d', 'FoldingConv3d',
            'MultiheadAttention'} <= {type(m).__name__ for m in ours.modules()}


def test_published_norm_is_a_frozen_batch_norm(tool):
    run_as_published = tool('benchmarking.subjects').run_as_published
    norm = nn.BatchNorm2d(4).eval().requires_grad_(False)
    norm.running_mean.copy_(torch.tensor([0., 1., -2., .5]))
    norm.running_var.copy_(torch.tensor([1., 2., .5, 4.]))
    norm.weight.copy_(torch.tensor([1., .5, 2., -1.]))
    x = torch.randn(2, 4, 5, 5)
    want = norm(x)
    model = nn.Sequential(norm)
    run_as_published(model)
    assert type(norm).__name__ == 'PublishedBatchNorm2d'
    torch.testing.assert_close(model(x), want)
    with pytest.raises(ValueError, match='no frozen'):
        run_as_published(nn.Sequential(nn.BatchNorm2d(4)))


@pytest.mark.parametrize('mode', ['fp32', 'bf16+cp'])
def test_a_training_step_is_measured_with_its_parts(tool, config, mode):
    row = tool('benchmarking.measuring').measure(
        spec(tool, config, mode, 'train'), 1, torch.get_num_threads())
    assert row['seconds'] > 0 and len(row['rounds']) == 1
    parts = row['parts']
    for name in ('data_preprocessor', 'backbone', 'backbone.spatial',
                 'backbone.connections', 'text_encoder', 'neck', 'head',
                 'backward', 'step', 'update_parameters'):
        assert 0 < parts[name] < 60
    assert parts['backbone.spatial'] < parts['backbone']
    model = tool('benchmarking.subjects').Subject(
        spec(tool, config, 'fp32')).model
    trained = sum(p.numel() for p in model.parameters() if p.requires_grad)
    # weights, gradients, two moments, average
    assert row['live_bytes'] > 5 * 4 * trained
    assert row['peak_bytes'] > row['live_bytes']
    assert row['flops'] > 1e6


def test_folding_and_checkpointing_keep_less(tool, config):
    measuring = tool('benchmarking.measuring')
    subjects = tool('benchmarking.subjects')
    live = {
        mode: measuring.count(subject.run, subject.state)['live_bytes']
        for mode in ('fp32+plain', 'fp32', 'fp32+cp')
        for subject in [subjects.Subject(spec(
            tool, config, mode, 'train', frames=6)._replace(size=(192, 192)))]
    }
    assert live['fp32'] < 0.85 * live['fp32+plain']
    assert live['fp32+cp'] < live['fp32']


@pytest.mark.parametrize('mode', ['fp32', 'bf16+cp'])
def test_counting_without_computing(tool, config, mode):
    own = spec(tool, config, mode, 'train', frames=6)._replace(size=(96, 96))
    counted = tool('benchmarking.measuring').count_training(own)
    subject = tool('benchmarking.subjects').Subject(own)
    real = tool('benchmarking.measuring').count(
        subject.run, subject.state)
    assert counted['flops'] == real['flops']
    assert counted['live_bytes'] == pytest.approx(real['live_bytes'], rel=0.1)
    trained = sum(p.numel() for p in subject.model.parameters()
                  if p.requires_grad)
    # weights, two moments, average; gradients come and go
    assert 4 * 4 * trained < counted['state_bytes'] < counted['live_bytes']


def test_count_only_is_for_training(tool, config, capsys):
    with pytest.raises(SystemExit):
        tool('benchmark').parse_args(
            [config, '--count-only', '--task', 'predict', '--device', 'cpu'])
    assert '--task train' in capsys.readouterr().err


def test_live_memory_by_hand(tool):
    live = tool('benchmarking.measuring').LiveMemory
    x = torch.randn(1000)
    with live([x]) as memory:
        y = x * 2
        z = (y + 1).relu()  # x, y, the sum and z: 4 x 4000 bytes
        del y
        torch.zeros(10)
    assert memory.peak == 16000
    assert memory.live == 8000 and z.numel() == 1000


def test_matmul_rate_and_machine(tool):
    machine = tool('benchmarking.machine')
    assert 1e8 < machine.matmul_rate('cpu', 'fp32', 0.01) < 1e14
    assert machine.describe('cpu')['torch'] == torch.__version__


def test_command_line_goes_on_where_it_was(tool, config, tmp_path,
                                           monkeypatch, capsys):
    benchmark = tool('benchmark')
    done = []

    def alone(own, rounds, threads):
        done.append(own.mode)
        if own.mode == 'bf16':
            return dict(error='killed, most likely out of memory')
        return dict(seconds=2., rounds=[2.], parts=dict(neck=0.5), flops=10**9,
                    live_bytes=2**30, peak_bytes=2**31)

    monkeypatch.setattr(benchmark, 'measure_alone', alone)
    monkeypatch.setattr(benchmark, 'matmul_rate', lambda *args: 1e9)
    out = tmp_path / 'out' / 'rows.json'
    args = [config, '--task', 'train', '--mode', 'fp32', 'bf16', '--device',
            'cpu', '--frames', '3', '--size', '32x48', '--json', str(out)]
    for _ in range(2):
        benchmark.main(args)
        assert done == ['fp32', 'bf16']
        text = capsys.readouterr().out
        assert [c.strip() for c in text.split('| fp32 ')[1].split('|')[1:6]] \
            == ['2.000', '2.00', '1.00', '0.001', '50.0%']
        assert 'killed, most likely' in text and 'neck 0.500' in text
    rows = json.loads(out.read_text())['rows']
    assert rows[f'{config} fp32 train 3 32x48 1 cpu']['seconds'] == 2


@pytest.mark.parametrize('args', [
    ['--mode', 'fp8'], ['--mode', 'fp32+fast'], ['--mode', 'fp32+chunk0'],
    ['--size', '224'], ['--task', 'test']])
def test_bad_arguments(tool, config, args, capsys):
    with pytest.raises(SystemExit):
        tool('benchmark').parse_args([config, *args])
    assert args[1] in capsys.readouterr().err
    with pytest.raises(SystemExit):
        tool('benchmark').parse_args(['no_such_config.py'])


def test_loading_is_timed_by_transform(tool, config, monkeypatch):
    loading = tool('benchmark_loading')
    monkeypatch.setattr(loading, 'SHAPE', (96, 128))
    out = loading.loading_times(config, 1, seconds=1)
    assert list(out) == ['train']
    assert list(out['train']) == [
        'SampleFrames', 'LoadVideoFrames', 'LoadTubeAnnotations',
        'ResizeClip', 'PackSTVGInputs']
    assert out['train']['LoadVideoFrames'] > 0
