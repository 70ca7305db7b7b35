# Copyright (c) costa_mm authors. All rights reserved.
"""configs/costa_hcstvg_1x24g.py does the updates of the 8-GPU recipe."""
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from torch import nn

from costa_mm.engine.averaging import TrainableEMA

CONFIGS = Path(__file__).resolve().parents[1] / 'configs'


@pytest.fixture(scope='module')
def recipes():
    return (Config.fromfile(CONFIGS / 'costa_hcstvg.py'),
            Config.fromfile(CONFIGS / 'costa_hcstvg_1x24g.py'))


def average(cfg):
    hook, = [h for h in cfg.custom_hooks if h['type'] == 'STVGEMAHook']
    return hook


def test_updates_are_those_of_eight_processes(recipes):
    eight, one = recipes
    count = one.optim_wrapper.accumulative_counts
    batch = one.train_dataloader.batch_size
    assert count * batch == one.auto_scale_lr.base_batch_size == 8
    for key in ('optimizer', 'clip_grad', 'paramwise_cfg', 'constructor'):
        assert one.optim_wrapper[key] == eight.optim_wrapper[key]
    assert one.param_scheduler == eight.param_scheduler
    assert one.train_cfg == eight.train_cfg
    assert average(one)['momentum'] == average(eight)['momentum']
    assert average(one)['interval'] == count


def test_memory_options_are_on(recipes):
    _, one = recipes
    model = one.model
    assert one.optim_wrapper.type == 'STVGAmpOptimWrapper'
    assert one.optim_wrapper.dtype == 'bfloat16'
    assert model.with_cp
    assert model.backbone.efficient_conv_bn_eval
    assert model.backbone.channels_last


def test_average_of_an_interval_is_that_of_every_update(recipes):
    """Between updates the weights stay, and the average has to as well."""
    count = average(recipes[1])['interval']
    model = nn.Linear(2, 2)
    every = TrainableEMA(model, momentum=0.1)
    interval = TrainableEMA(model, momentum=0.1, interval=count)
    every.update_parameters(model)
    for step in range(3 * count + 1):
        if step and step % count == 0:  # the first video of the next update
            with torch.no_grad():
                model.weight.add_(1.)
            every.update_parameters(model)
        interval.update_parameters(model)
    torch.testing.assert_close(interval.module.weight, every.module.weight)
    assert not torch.equal(every.module.weight, model.weight)
