# Copyright (c) costa_mm authors. All rights reserved.
"""Losses that are read when they are looked at."""
import copy
import pickle
from types import SimpleNamespace
from unittest import mock

import numpy as np
import pytest
import torch
from engine_toy import toy_config
from mmengine.hooks import RuntimeInfoHook
from mmengine.logging import HistoryBuffer, MessageHub

from costa_mm.engine import STVGRunner, STVGRuntimeInfoHook
from costa_mm.engine.hooks import runtime_info_hook
from costa_mm.engine.run_state import forget_old_scalars


@pytest.fixture
def hub():
    return MessageHub('test_runtime_info_hook')


def run(hub, hook, losses):
    for value in losses:
        out = dict(
            loss=torch.tensor(value, requires_grad=True) * 1, count=3,
            whole=torch.tensor(2))
        hook.after_train_iter(SimpleNamespace(message_hub=hub), 0,
                              outputs=out)


LOSSES = [0.1, 0.7, 1e-7, 3.3]


def test_history_is_mmengines(hub):
    other = MessageHub('mmengines')
    run(hub, STVGRuntimeInfoHook(), LOSSES)
    run(other, RuntimeInfoHook(), LOSSES)
    assert hub.log_scalars.keys() == other.log_scalars.keys()
    for key, buffer in other.log_scalars.items():
        for a, b in zip(hub.get_scalar(key).data, buffer.data):
            np.testing.assert_array_equal(a, b)
    assert hub.get_scalar('train/loss').mean(2) == other.get_scalar(
        'train/loss').mean(2)
    assert hub.state_dict()['resumed_keys'] == other.state_dict()[
        'resumed_keys']


def test_values_are_read_once_and_no_graph_is_kept(hub):
    hook = STVGRuntimeInfoHook()
    with mock.patch.object(
            runtime_info_hook.torch, 'cat', wraps=torch.cat) as read:
        run(hub, hook, LOSSES)
        assert not read.called
        assert not any(v.requires_grad for v in hook._pending._values)
        loss = hub.get_scalar('train/loss')
        assert loss.current() == np.float32(LOSSES[-1])
        loss.mean()
    assert read.call_count == 1


def test_what_nobody_reads_does_not_pile_up(hub, monkeypatch):
    monkeypatch.setattr(runtime_info_hook, 'MOST_WAITING', 3)
    hook = STVGRuntimeInfoHook()
    run(hub, hook, LOSSES * 3)
    assert len(hook._pending._values) < 3
    assert len(hub.get_scalar('train/loss').data[0]) == 12


@pytest.mark.parametrize('copied', [
    copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))])
def test_copies_are_plain(hub, copied):
    run(hub, STVGRuntimeInfoHook(), LOSSES)
    buffer = copied(hub.get_scalar('train/loss'))
    assert type(buffer) is HistoryBuffer
    np.testing.assert_array_equal(buffer.data[0], np.float32(LOSSES))


def test_old_values_are_forgotten(hub):
    run(hub, STVGRuntimeInfoHook(), LOSSES)
    processor = SimpleNamespace(window_size=2, custom_cfg=[])
    forget_old_scalars(
        SimpleNamespace(message_hub=hub, log_processor=processor))
    np.testing.assert_array_equal(
        hub.get_scalar('train/loss').data[0], np.float32(LOSSES[-2:]))


def test_a_run_has_the_hook_unless_it_names_another(tmp_path):
    for given, kind in ((None, STVGRuntimeInfoHook),
                        (dict(type='RuntimeInfoHook'), RuntimeInfoHook)):
        cfg = toy_config(tmp_path / kind.__name__)
        if given:
            cfg.default_hooks.runtime_info = given
        hooks = STVGRunner.from_cfg(cfg).hooks
        found = [h for h in hooks if isinstance(h, RuntimeInfoHook)]
        assert [type(h) for h in found] == [kind]
