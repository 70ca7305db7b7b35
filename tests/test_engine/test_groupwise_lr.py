# Copyright (c) costa_mm authors. All rights reserved.
import pytest
import torch
from mmengine.optim import OptimWrapper, build_optim_wrapper
from torch import nn

from costa_mm.engine import GroupwiseLR
from costa_mm.engine.schedulers import lr_factor


class Parts(nn.Module):
    """Three parts and a frozen one."""

    def __init__(self):
        super().__init__()
        self.backbone = nn.Linear(2, 2)
        self.text_encoder = nn.Linear(2, 3)
        self.head = nn.Linear(3, 1)
        self.frozen = nn.Linear(5, 5).requires_grad_(False)


def optimizer(**groups):
    groups = groups or dict(
        text=dict(prefixes=('text_encoder.', ), lr=5e-5),
        video=dict(prefixes=('backbone.', ), lr=2e-5))
    return build_optim_wrapper(
        Parts(),
        dict(
            type='OptimWrapper',
            constructor='costa_mm.GroupOptimWrapperConstructor',
            optimizer=dict(type='AdamW', lr=1e-4, weight_decay=1e-4),
            paramwise_cfg=dict(groups=groups)))


def test_groups_by_name():
    wrapper = optimizer()
    assert isinstance(wrapper, OptimWrapper)
    found = {
        g['name']: (g['lr'], sum(p.numel() for p in g['params']))
        for g in wrapper.optimizer.param_groups
    }
    assert found == dict(text=(5e-5, 9), video=(2e-5, 6), rest=(1e-4, 4))


def test_a_group_without_parameters_raises():
    with pytest.raises(ValueError, match="'text'.*'txt_encoder.'"):
        optimizer(text=dict(prefixes=('txt_encoder.', )))
    with pytest.raises(ValueError, match='frozen'):
        optimizer(x=dict(prefixes=('frozen.', )))


@pytest.mark.parametrize('step,options,factor', [
    (0, {}, 1.),
    (49, dict(milestones=[50]), 1.),
    (50, dict(milestones=[50]), 0.1),
    (80, dict(milestones=[50, 80]), 0.01),
    (0, dict(warmup=0.1), 0.1),
    (5, dict(warmup=0.1), 0.5),
    (10, dict(warmup=0.1), 1.),
    (10, dict(warmup=0.1, to_zero=True), 1.),
    (55, dict(warmup=0.1, to_zero=True), 0.5),
    (100, dict(warmup=0.1, to_zero=True), 0.),
])
def test_factors_by_hand(step, options, factor):
    assert lr_factor(step, 100, **options) == pytest.approx(factor)


def steps(scheduler, wrapper, count):
    rates = []
    for _ in range(count):
        groups = wrapper.optimizer.param_groups
        rates.append({g['name']: g['lr'] for g in groups})
        wrapper.step()
        scheduler.step()
    return rates


SCHEDULES = dict(
    text=dict(warmup=0.1, to_zero=True), rest=dict(milestones=[5]))


def make(wrapper):
    # 10 epochs of 2 iterations
    return GroupwiseLR.build_iter_from_epoch(
        wrapper, schedules=SCHEDULES, end=10, epoch_length=2)


def test_each_group_has_its_own_schedule():
    wrapper = optimizer()
    rates = steps(make(wrapper), wrapper, 20)
    assert [r['video'] for r in rates] == pytest.approx([2e-5] * 10 +
                                                        [2e-6] * 10)
    assert [r['rest'] for r in rates] == pytest.approx([1e-4] * 10 +
                                                       [1e-5] * 10)
    assert rates[1]['text'] == pytest.approx(2.5e-5)
    assert rates[2]['text'] == pytest.approx(5e-5)
    assert rates[11]['text'] == pytest.approx(2.5e-5)
    assert 0 < rates[19]['text'] < 5e-6


def test_resumed_schedule_goes_on():
    wrapper, other = optimizer(), optimizer()
    one = make(wrapper)
    steps(one, wrapper, 7)
    state, groups = one.state_dict(), wrapper.state_dict()
    two = make(other)
    other.load_state_dict(groups)
    two.load_state_dict(state)
    assert steps(one, wrapper, 6) == steps(two, other, 6)


@pytest.mark.parametrize('kwargs', [
    dict(schedules=dict(txt={}), end=3),
    dict(schedules=dict(text=dict(warm_up=1)), end=3),
    dict(schedules={}),
])
def test_mistakes_raise(kwargs):
    with pytest.raises(ValueError):
        GroupwiseLR(optimizer(), **kwargs)


def test_scaled_rates_are_kept():
    wrapper = optimizer()
    for group in wrapper.param_groups:  # what --auto-scale-lr does
        group['lr'] *= 2
    make(wrapper)
    rates = {g['name']: g['lr'] for g in wrapper.optimizer.param_groups}
    assert rates['video'] == pytest.approx(4e-5)
    assert torch.is_tensor(wrapper.param_groups[0]['params'][0])


def test_another_epoch_length_goes_on_at_the_same_place():
    schedules = dict(
        text=dict(warmup=0.1, to_zero=True), rest=dict(milestones=[5]))

    def scheduler(epoch_length):
        return GroupwiseLR.build_iter_from_epoch(
            optimizer(), schedules=schedules, end=10,
            epoch_length=epoch_length)

    eight, one = scheduler(10), scheduler(80)
    for _ in range(40):
        eight.optimizer.step()
        eight.step()
    one.load_state_dict(eight.state_dict())
    assert (one.last_step, one.end) == (320, 800)
    assert one._get_value() == pytest.approx(eight._get_value())
    # the drop comes at the fifth epoch of the new length
    for _ in range(79):
        one.optimizer.step()
        one.step()
    rest = [g.get('name') for g in one.optimizer.param_groups].index('rest')
    assert one._get_value()[rest] == pytest.approx(1e-4)
    one.step()
    assert one._get_value()[rest] == pytest.approx(1e-5)
    # the same length: the same step
    again = scheduler(10)
    again.load_state_dict(eight.state_dict())
    assert (again.last_step, again.end) == (40, 100)


@pytest.mark.parametrize('before, now', [(80, 10), (10, 80), (10, 9)])
def test_every_rate_of_the_rest_is_that_of_an_uninterrupted_run(before, now):
    """More processes make an epoch shorter, fewer make it longer."""

    def scheduler(epoch_length):
        return GroupwiseLR.build_iter_from_epoch(
            optimizer(), schedules=SCHEDULES, end=10,
            epoch_length=epoch_length)

    def run(scheduler, epochs):
        count = epochs * scheduler.epoch_length
        return steps(scheduler, scheduler.optimizer, count)

    interrupted, resumed, whole = map(scheduler, (before, now, now))
    run(interrupted, 4)
    resumed.load_state_dict(interrupted.state_dict())
    # the rates of the groups are in the optimizer's own state
    resumed.optimizer.load_state_dict(interrupted.optimizer.state_dict())
    run(whole, 4)
    found, wanted = run(resumed, 6), run(whole, 6)
    assert [r['rest'] for r in found] == pytest.approx(
        [r['rest'] for r in wanted])
    assert [r['text'] for r in found] == pytest.approx(
        [r['text'] for r in wanted], abs=1e-12)
    assert resumed.last_step == resumed.end - 1 == whole.last_step


def test_one_prefix_is_no_row_of_letters():
    wrapper = optimizer(head=dict(prefixes='head.', lr=1.))
    assert {g['name']: len(g['params'])
            for g in wrapper.optimizer.param_groups} == dict(head=2, rest=4)


@pytest.mark.parametrize('options, match', [
    (dict(lr_mult=0.1), r"'head' has \['lr_mult'\], which AdamW does not know"
     ".*'lr'.*; give lr itself in place of lr_mult"),
    (dict(decay_mult=0.), 'give decay itself|decay_mult'),
    (dict(weigth_decay=0.5, lr=1.), "weigth_decay.*'weight_decay'")])
def test_an_option_that_nothing_reads_is_an_error(options, match):
    with pytest.raises(ValueError, match=match):
        optimizer(head=dict(prefixes=('head.', ), **options))
