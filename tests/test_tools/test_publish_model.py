# Copyright (c) costa_mm authors. All rights reserved.
"""A published checkpoint: small, clean, named by its hash."""
import hashlib
import re
import runpy
import sys
from pathlib import Path

import pytest
import torch
from mmengine.logging import HistoryBuffer

from costa_mm.engine import read_checkpoint

TOOL = Path(__file__).resolve().parents[2] / \
    'tools' / 'model_converters' / 'publish_model.py'
CFG = ("default_scope = 'costa_mm'\nwork_dir = '/home/me/secret'\n"
       "load_from = '/home/me/init.pth'\nmodel = dict(type='X')\n")


@pytest.fixture
def checkpoint():
    large = torch.arange(10000.).reshape(100, 100)
    return dict(
        meta=dict(cfg=CFG, epoch=3, iter=12, experiment_name='me_2026',
                  hook_msgs=dict(last='/home/me/secret/x.pth')),
        # a view that would drag its whole storage along
        state_dict=dict(a=large[:2].t(), b=torch.tensor(3)),
        ema_state_dict=dict(a=large[:2].t() + 1),
        optimizer=dict(state={}, param_groups=[]),
        message_hub=dict(log=HistoryBuffer([1.], [1])))


@pytest.fixture
def publish(tmp_path, monkeypatch, checkpoint):
    source = tmp_path / 'epoch_3.pth'

    def call(*options):
        torch.save(checkpoint, source)
        monkeypatch.setattr(
            sys, 'argv', [str(TOOL), str(source),
                          str(tmp_path / 'out' / 'tiny.pth'), *options])
        runpy.run_path(str(TOOL))['main']()
        path, = (tmp_path / 'out').iterdir()
        return path

    return call


def test_what_is_kept(publish, checkpoint, capsys):
    path = publish()
    out = torch.load(path, weights_only=True)
    assert sorted(out) == ['meta', 'state_dict']
    assert sorted(out['meta']) == ['cfg', 'epoch', 'iter']
    assert 'secret' not in out['meta']['cfg']
    assert "type='X'" in out['meta']['cfg']
    for name, value in checkpoint['state_dict'].items():
        assert torch.equal(out['state_dict'][name], value)
    assert path.stat().st_size < 5000
    text = capsys.readouterr().out
    assert '2 tensors, 201 numbers' in text
    assert 'left out: ema_state_dict, message_hub, optimizer' in text


def test_the_name_holds_the_hash_and_does_not_change(publish):
    first = publish()
    digits = re.fullmatch(r'tiny-([0-9a-f]{8})\.pth', first.name).group(1)
    assert hashlib.sha256(first.read_bytes()).hexdigest()[:8] == digits
    assert publish() == first


def test_further_keys(publish):
    path = publish('--save-keys', 'state_dict', 'ema_state_dict')
    assert sorted(read_checkpoint(str(path))) == [
        'ema_state_dict', 'state_dict']


def test_errors(publish, checkpoint):
    with pytest.raises(ValueError, match=r"has no \['nothing'\] among"):
        publish('--save-keys', 'state_dict', 'nothing')
    checkpoint['state_dict']['a'] = torch.tensor([1., float('nan')])
    with pytest.raises(ValueError, match='1 tensors are not finite, the '
                       'first is a'):
        publish()
