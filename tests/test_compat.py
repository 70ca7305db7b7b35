# Copyright (c) costa_mm authors. All rights reserved.
import argparse
import importlib.util
import os
import pickle
import pkgutil
import subprocess
import sys
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from mmengine.logging import HistoryBuffer, MessageHub

import costa_mm.models  # noqa: F401  everything is imported by now
from costa_mm import compat

LITE = importlib.util.find_spec('mmcv._ext') is None


@pytest.mark.parametrize('version, options', [
    ('16.1.0', {}),
    ('17.0.0', dict(threads=2)),
    ('18.1.0', dict(threads=2)),
])
def test_pixel_conversion_options(monkeypatch, version, options):
    monkeypatch.setattr(av, '__version__', version)
    assert compat.pixel_conversion_options(2) == options


# ----------------------------------------------------------------- stand-ins
def test_no_stand_in_stays_behind():
    if LITE:
        assert 'mmcv._ext' not in sys.modules
        # mmengine's mmcv_full_available asks this way and must not crash
        assert importlib.util.find_spec('mmcv._ext') is None
        assert not hasattr(pkgutil, 'find_loader') or pkgutil.find_loader(
            'mmcv._ext') is None
    for name in ('mmaction.models.localizers.drn',
                 'mmaction.models.localizers.drn.drn'):
        module = sys.modules.get(name)
        assert module is None or module.__spec__ is not None


def test_transformers_models_are_listed_as_transformers_does_it():
    import transformers
    from transformers.utils import import_utils
    define = getattr(import_utils, 'define_import_structure', None)
    if define is None:
        pytest.skip('this transformers lists its models by hand')
    folder = Path(transformers.__file__).parent / 'models'
    ours = compat._without_prefix(define(folder, prefix='models'), 'models.')
    assert ours == define(str(folder / '__init__.py'))
    assert any('bert.modeling_bert' in modules for modules in ours.values())


@pytest.mark.skipif(not LITE, reason='full mmcv has the compiled ops')
def test_a_missing_op_says_so_when_it_is_called():
    from mmcv.ops import nms
    with pytest.raises(RuntimeError, match='needs full mmcv.*pip'):
        nms(torch.rand(2, 4), torch.rand(2), 0.5)


def test_the_borrowed_classes_are_there():
    from mmaction.registry import MODELS as MMACTION
    from mmdet.registry import MODELS as MMDET
    assert MMDET.get('ResNet') and MMACTION.get('ResNet3d')


def test_drn_says_what_is_missing():
    stand_ins = compat._drn_stand_ins()
    if not stand_ins:
        pytest.skip('this mmaction2 has DRN')
    with pytest.raises(RuntimeError, match='2714'):
        stand_ins['mmaction.models.localizers.drn.drn'].DRN()


def test_multimodal_flag_is_put_back():
    import mmaction.utils.dependency as dependency
    before = dependency.WITH_MULTIMODAL
    with compat._without_mmaction_multimodal():
        assert dependency.WITH_MULTIMODAL is False
    assert dependency.WITH_MULTIMODAL == before


def test_models_import_in_a_fresh_process():
    code = ('import costa_mm.models, sys; '
            'assert "mmcv._ext" not in sys.modules or '
            'sys.modules["mmcv._ext"].__spec__ is not None; '
            'print("fine")')
    done = subprocess.run([sys.executable, '-W', 'ignore', '-c', code],
                          capture_output=True, text=True)
    assert done.stdout.strip() == 'fine', done.stderr


# --------------------------------------------------------------- checkpoints
def test_a_checkpoint_with_history_is_read_weights_only(tmp_path):
    hub = MessageHub.get_instance('test_compat')
    for value in (1., 2., 3.):
        hub.update_scalar('train/loss', value)
    hub.update_info('iter', np.int64(3))
    buffer = hub.get_scalar('train/loss')
    state = dict(
        state_dict=dict(w=torch.ones(2)),
        message_hub=hub.state_dict(),
        meta=dict(score=np.float64(0.5), small=np.float32(1.5)))
    torch.save(state, tmp_path / 'a.pth')
    back = torch.load(tmp_path / 'a.pth', weights_only=True)
    read = back['message_hub']['log_scalars']['train/loss']
    assert isinstance(read, HistoryBuffer)
    np.testing.assert_array_equal(read.data[0], buffer.data[0])
    assert read.mean() == 2. and read.current() == 3.
    assert back['meta']['score'] == 0.5


def test_a_namespace_is_read_weights_only(tmp_path):
    args = argparse.Namespace(lr=1e-4, backbone='resnet101')
    torch.save(dict(model={}, args=args), tmp_path / 'b.pth')
    back = torch.load(tmp_path / 'b.pth', weights_only=True)
    assert back['args'].backbone == 'resnet101'


class Harmful:
    """Anything that was not allowed."""


def test_other_classes_are_still_refused(tmp_path):
    torch.save(dict(x=Harmful()), tmp_path / 'c.pth')
    with pytest.raises(Exception, match='Harmful'):
        torch.load(tmp_path / 'c.pth', weights_only=True)


# --------------------------------------------------------------- distributed
def test_launchers_say_what_they_need(monkeypatch):
    monkeypatch.delenv('SLURM_PROCID', raising=False)
    with pytest.raises(KeyError, match='SLURM_PROCID'):
        compat.init_dist_without_cuda('slurm', 10)
    with pytest.raises(ValueError, match='none of'):
        compat.init_dist_without_cuda('smoke signals', 10)
    assert not torch.distributed.is_initialized()


def test_ranks_of_slurm_are_given_to_torch(monkeypatch):
    for name in ('RANK', 'WORLD_SIZE', 'LOCAL_RANK'):
        monkeypatch.setenv(name, 'unset')
    names = ('SLURM_PROCID', 'SLURM_NTASKS', 'SLURM_LOCALID')
    for name, value in zip(names, '580'):
        monkeypatch.setenv(name, value)
    compat._export_ranks('slurm')
    assert [os.environ[n] for n in ('RANK', 'WORLD_SIZE', 'LOCAL_RANK')
            ] == ['5', '8', '0']


def test_cpu_wrapper_has_no_device():
    cfg = dict(find_unused_parameters=True, device_ids=[0])
    wrapper = compat.cpu_model_wrapper(cfg, find_unused_parameters=False)
    assert wrapper['device_ids'] is None
    assert wrapper['find_unused_parameters'] is True
    assert wrapper['type'] == 'mmengine.MMDistributedDataParallel'
    assert cfg['device_ids'] == [0]


def test_checkpoint_may_not_reach_for_other_attributes(tmp_path):
    """Only HistoryBuffer's statistics may be looked up by getattr."""

    class Reach:

        def __reduce__(self):
            return getattr, (HistoryBuffer, '__subclasses__')

    torch.save({'evil': Reach()}, tmp_path / 'evil.pth')
    with pytest.raises(pickle.UnpicklingError, match='may not ask for'):
        torch.load(tmp_path / 'evil.pth', weights_only=True)


@pytest.mark.parametrize('name', ['OMP_WAIT_POLICY', 'KMP_BLOCKTIME',
                                  'GOMP_SPINCOUNT'])
def test_threads_wait_as_the_user_says(name, monkeypatch):
    for other in ('OMP_WAIT_POLICY', 'KMP_BLOCKTIME', 'GOMP_SPINCOUNT'):
        monkeypatch.delenv(other, raising=False)
    monkeypatch.setenv(name, 'as the user says')
    before = dict(os.environ)
    compat.wait_without_spinning()
    assert dict(os.environ) == before
