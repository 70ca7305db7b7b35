# Copyright (c) costa_mm authors. All rights reserved.
"""Runs that go on with other settings."""
import logging

import pytest
import torch
from engine_toy import differences, final_state, toy_config, train
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.logging import MMLogger

from costa_mm.engine import STVGRunner
from costa_mm.engine.resuming import compare_configs

SCHEDULE = {'param_scheduler.1.milestones': [1]}  # of two epochs


def changes(old, new):
    return [(c.key, c.old, c.new, c.kept)
            for c in compare_configs(Config(old), Config(new))]


def test_what_differs_and_what_counts():
    old = dict(
        model=dict(depth=1, parts=[dict(type='A', n=(1, 2))]),
        randomness=dict(seed=3), base_lr=1, work_dir='a', resume=False,
        param_scheduler=[dict(type='MultiStepLR', milestones=[2]),
                         dict(type='costa_mm.GroupwiseLR', end=5)])
    new = dict(
        model=dict(parts=[dict(type='A', n=[1, 2]), dict(type='B')], deep=1),
        randomness=dict(seed=4), base_lr=2, work_dir='b', resume=True,
        param_scheduler=[dict(type='MultiStepLR', milestones=[3]),
                         dict(type='costa_mm.GroupwiseLR', end=6)])
    assert changes(old, new) == [
        ('model.parts.1.type', '(absent)', 'B', False),
        ('model.deep', '(absent)', 1, False),
        ('randomness.seed', 3, 4, True),
        ('param_scheduler.0.milestones', [2], [3], True),
        ('param_scheduler.1.end', 5, 6, False),
        ('model.depth', 1, '(absent)', False)]
    assert changes(old, old) == []
    assert changes(dict(custom_hooks=[]), dict(custom_hooks=[dict(a=1)])) == [
        ('custom_hooks.0.a', '(absent)', 1, False),
        ('custom_hooks', [], '(absent)', False)]


@pytest.fixture(scope='module')
def begun(tmp_path_factory):
    """A run of two epochs, 12 iterations, and its checkpoint."""
    folder = tmp_path_factory.mktemp('begun')
    train(folder, **{'train_cfg.max_epochs': 2, **SCHEDULE})
    return folder / 'iter_12.pth'


@pytest.fixture
def resumed(begun, tmp_path, caplog):
    """Resumes with changed settings; the runner and what was logged."""

    def run(path=begun, **options):
        cfg = toy_config(tmp_path, load_from=str(path), resume=True, **{
            'train_cfg.max_epochs': 3, 'log_level': 'WARNING', **SCHEDULE,
            **options})
        runner = STVGRunner.from_cfg(cfg)
        logger = MMLogger.get_current_instance()
        logger.addHandler(caplog.handler)
        with caplog.at_level(logging.WARNING):
            runner.train()
        return runner, caplog.text

    return run


def rates(runner):
    groups = runner.optim_wrapper.optimizer.param_groups
    return [g['lr'] for g in groups]


def test_unchanged_settings_change_nothing(resumed, tmp_path, finish):
    runner, said = resumed()
    assert 'train_cfg.max_epochs: 2 -> 3, the new value counts' in said
    assert said.count('counts') == 1
    # after its warm-up and its milestone
    assert rates(runner) == pytest.approx([0.001])


@pytest.mark.parametrize('options, rate, weight_decay', [
    ({'optim_wrapper.optimizer.lr': 1e-6}, 1e-7, 0.01),
    ({'optim_wrapper.optimizer.lr': 0.02,
      'optim_wrapper.optimizer.weight_decay': 0.3}, 0.002, 0.3)])
def test_a_new_learning_rate_counts(resumed, options, rate, weight_decay):
    runner, said = resumed(**options)
    assert rates(runner) == pytest.approx([rate])
    group = runner.optim_wrapper.optimizer.param_groups[0]
    assert group['weight_decay'] == weight_decay
    assert all(f'{k}: ' in said for k in options)
    saved = torch.load(runner.work_dir + '/iter_18.pth', weights_only=True)
    scheduler = saved['param_schedulers'][1]
    assert scheduler['base_values'][0] == options['optim_wrapper.optimizer.lr']


def test_a_learning_rate_without_a_schedule(begun, resumed, tmp_path):
    checkpoint = torch.load(begun, weights_only=True)
    plain = tmp_path / 'plain.pth'
    checkpoint['param_schedulers'] = []
    for group in checkpoint['optimizer']['param_groups']:
        del group['initial_lr']
    torch.save(checkpoint, plain)
    runner, said = resumed(plain, param_scheduler=None,
                           **{'optim_wrapper.optimizer.lr': 0.5})
    assert rates(runner) == [0.5]
    assert "param_scheduler.0.begin: 0 -> '(absent)'" in said


def test_a_schedule_of_mmengine_is_the_checkpoints(resumed):
    runner, said = resumed(**{'param_scheduler.1.milestones': [9]})
    assert "param_scheduler.1.milestones: [1] -> [9], the checkpoint's" in said
    assert rates(runner) == pytest.approx([0.001])


def test_another_optimizer_is_refused(resumed):
    with pytest.raises(ValueError, match='state of AdamW, and the .* now SGD'):
        resumed(**{'optim_wrapper.optimizer': dict(
            _delete_=True, type='SGD', lr=0.1)})


def test_other_groups_are_refused(resumed):
    with pytest.raises(ValueError, match='groups of .* parameters and that'):
        resumed(**{'optim_wrapper.constructor':
                   'costa_mm.GroupOptimWrapperConstructor',
                   'optim_wrapper.paramwise_cfg':
                   dict(groups=dict(head=dict(prefixes=['head'])))})


@pytest.mark.parametrize('place', ['ema', 'optimizer', 'weights'])
def test_states_that_are_not_finite_are_refused(begun, resumed, tmp_path,
                                                place):
    checkpoint = torch.load(begun, weights_only=True)
    tensor = dict(
        ema=checkpoint['ema_state_dict']['module.conv.weight'],
        optimizer=checkpoint['optimizer']['state'][2]['exp_avg'],
        weights=checkpoint['state_dict']['conv.weight'])[place]
    tensor.view(-1)[0] = float('nan')
    path = tmp_path / 'diverged.pth'
    torch.save(checkpoint, path)
    with pytest.raises(ValueError, match='diverged.pth: 1 of .* hold NaN or'):
        resumed(path)


def test_a_checkpoint_without_a_config(begun, resumed, tmp_path):
    checkpoint = torch.load(begun, weights_only=True)
    del checkpoint['meta']['cfg']
    torch.save(checkpoint, tmp_path / 'bare.pth')
    runner, said = resumed(tmp_path / 'bare.pth')
    assert 'holds no config' in said and runner.iter == 18
    assert differences({}, {}) == [] and final_state(tmp_path, 'iter_18.pth')


def holding(begun, tmp_path, *names, drop=()):
    """The checkpoint with some of its parts only."""
    checkpoint = torch.load(begun, weights_only=True)
    path = tmp_path / 'part.pth'
    torch.save({k: v for k, v in checkpoint.items()
                if (k in names if names else k not in drop)}, path)
    return path


@pytest.mark.parametrize('names, drop, lacking', [
    ((), ('optimizer', ), 'optimizer'),
    ((), ('param_schedulers', ), 'param_schedulers'),
    (('state_dict', ), (), 'meta.epoch, meta.iter, optimizer, message_hub')])
def test_a_file_that_cannot_be_gone_on_with(begun, resumed, tmp_path, names,
                                            drop, lacking):
    path = holding(begun, tmp_path, *names, drop=drop)
    with pytest.raises(ValueError, match=f'part.pth holds no {lacking}.*, as '
                       '.*last_checkpoint names'):
        resumed(path)


def test_the_best_weights_are_no_place_to_go_on(begun, resumed):
    best, = begun.parent.glob('best_*.pth')
    with pytest.raises(ValueError, match='best_.* holds no optimizer, param'):
        resumed(best)


def test_without_averaging_the_trained_weights_go_on(begun, resumed):
    """The checkpoint's own are averages."""
    hooks = [dict(type='SaveOnSignalHook'), dict(type='NonFiniteLossHook')]
    still = {'optim_wrapper.optimizer.lr': 0.0}
    runner, said = resumed(custom_hooks=hooks, **still)
    saved = torch.load(begun, weights_only=True)
    trained = saved['ema_state_dict']['module.conv.weight']
    assert not torch.equal(trained, saved['state_dict']['conv.weight'])
    assert torch.equal(runner.model.conv.weight, trained)
    assert 'averages nothing' in said


@pytest.mark.parametrize('parts', [False, True])
def test_resume_in_a_config_means_the_last_checkpoint(begun, tmp_path, parts):
    """Whatever initial weights it names; without one the run begins."""
    source = dict(weights=str(begun), prefix='')
    cfg = toy_config(tmp_path, resume=True, **{'train_cfg.max_epochs': 1})
    if parts:
        cfg.load_from = [source]
    runner = STVGRunner.from_cfg(cfg)
    runner.train()
    assert runner.iter == 6
    cfg = toy_config(tmp_path, resume=True, **{'train_cfg.max_epochs': 2})
    if parts:
        cfg.load_from = [source]
    runner = STVGRunner.from_cfg(cfg)
    seen = []
    runner.register_hook(Noting(seen))
    runner.train()
    assert seen == list(range(6, 12))


class Noting(Hook):
    """Notes the iterations."""

    def __init__(self, seen):
        self.seen = seen

    def before_train_iter(self, runner, *args, **kwargs):
        self.seen.append(runner.iter)
