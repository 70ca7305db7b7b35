# Copyright (c) costa_mm authors. All rights reserved.
import argparse
import gc
import importlib.util
import os
import pickle
import pkgutil
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from mmengine.logging import HistoryBuffer, MessageHub

import costa_mm.models  # noqa: F401  everything is imported by now
from costa_mm import compat

LITE = importlib.util.find_spec('mmcv._ext') is None


# ------------------------------------------------------------------ versions
def pretend(monkeypatch, **versions):
    """Let ``metadata.version`` answer; None is 'not installed'."""
    real = metadata.version

    def version(name):
        if name not in versions:
            return real(name)
        if versions[name] is None:
            raise metadata.PackageNotFoundError(name)
        return versions[name]

    monkeypatch.setattr(metadata, 'version', version)


@pytest.mark.parametrize('version, options', [
    ('16.1.0', {}),
    ('17.0.0', dict(threads=2)),
    ('18.1.0', dict(threads=2)),
])
def test_pixel_conversion_options(monkeypatch, version, options):
    monkeypatch.setattr(av, '__version__', version)
    assert compat.pixel_conversion_options(2) == options


def test_these_versions_are_accepted():
    compat.check_dependencies()


def test_a_setuptools_without_pkg_resources_is_told(monkeypatch):
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, 'find_spec',
        lambda name, *args: None if name == 'pkg_resources' else find(
            name, *args))
    with pytest.warns(UserWarning, match='setuptools<81'):
        compat.check_dependencies()


@pytest.mark.parametrize('name,version', [
    ('mmdet', '3.4.0'),
    ('mmaction2', '1.0.0'),
    ('torch', '2.0.1+cu118'),
    ('transformers', '6.0.0'),
    ('mmengine', '0.9.9'),
])
def test_a_version_out_of_range_is_refused_with_its_mend(
        monkeypatch, name, version):
    pretend(monkeypatch, **{name: version})
    with pytest.raises(ImportError) as info:
        compat.check_dependencies()
    assert f'{name}' in str(info.value) and version in str(info.value)
    assert f'pip install {name}==' in str(info.value)


def test_every_offender_is_named(monkeypatch):
    pretend(monkeypatch, mmdet=None, mmaction2='9.9')
    with pytest.raises(ImportError) as info:
        compat.check_dependencies()
    assert 'mmdet is not installed' in str(info.value)
    assert 'mmaction2 9.9' in str(info.value)


def test_mmcv_may_be_full_or_lite(monkeypatch):
    pretend(monkeypatch, **{'mmcv': '2.1.0', 'mmcv-lite': None})
    compat.check_dependencies()
    pretend(monkeypatch, **{'mmcv': '2.2.0', 'mmcv-lite': None})
    with pytest.raises(ImportError, match='mmcv'):
        compat.check_dependencies()


@pytest.mark.parametrize('text,numbers', [
    ('2.13.0+cpu', (2, 13, 0)),
    ('0.10.7', (0, 10, 7)),
    ('3.0.0rc6', (3, 0, 0)),
    ('2.1', (2, 1)),
])
def test_release_numbers(text, numbers):
    assert compat._release(text) == numbers


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


def test_stand_ins_go_even_if_the_import_fails():
    with pytest.raises(RuntimeError), compat._stand_in({'no_such': sys}):
        assert sys.modules['no_such'] is sys
        raise RuntimeError
    assert 'no_such' not in sys.modules


FRESH = """
import sys
import costa_mm.apis
print(*(name in sys.modules for name in {names!r}))
from mmdet.utils import imshow_mot_errors
try:
    imshow_mot_errors(backend='none')
except NotImplementedError:  # mmdet's own word
    print('drawn by mmdet')
import torch
from torch.distributed.optim import as_functional_optim
print(type(as_functional_optim(torch.optim.SGD, lr=1.)).__name__)
import numpy as np
from mmdet.models.task_modules.assigners import hungarian_assigner
print(*hungarian_assigner.linear_sum_assignment(np.eye(2))[1])
from mmdet.models.task_modules.tracking import KalmanFilter
kalman = KalmanFilter()
state = kalman.initiate(np.array([4., 4., 1., 2.]))
print(*kalman.update(*state, np.array([4., 4., 1., 2.]))[0][:4])
from mmdet.evaluation.metrics import crowdhuman_metric
print(crowdhuman_metric.csr_matrix(np.eye(2)).nnz)
print(*(sys.modules[name].__spec__ is not None for name in {used!r}))
"""


def test_what_imports_late_is_there_when_it_is_called():
    used = ['mmdet.utils.mot_error_visualize',
            'torch.distributed.optim.functional_sgd', 'scipy.linalg',
            'scipy.optimize', 'scipy.sparse']
    assert set(used) < set(compat._LATE_NAMES)
    names = [*compat._LATE_NAMES, 'matplotlib']
    done = subprocess.run(
        [sys.executable, '-c', FRESH.format(names=names, used=used)],
        capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        ' '.join(['False'] * len(names)), 'drawn by mmdet', '_FunctionalSGD',
        '1 0', '4.0 4.0 1.0 2.0', '2', 'True True True True True']


def test_a_late_module_gives_way_to_who_asks_for_more():
    stand_in = compat._LateModule('colorsys', ('rgb_to_hsv', ))
    sys.modules.pop('colorsys', None)
    with compat._stand_in({'colorsys': stand_in}):
        from colorsys import rgb_to_hsv
        assert sys.modules['colorsys'] is stand_in
        from colorsys import hsv_to_rgb
        real = sys.modules['colorsys']
        assert hsv_to_rgb is real.hsv_to_rgb and real is not stand_in
    assert sys.modules['colorsys'] is real
    assert rgb_to_hsv(1, 0, 0) == real.rgb_to_hsv(1, 0, 0)
    assert not hasattr(stand_in, '__path__')


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


def test_the_collector_runs_again_after_an_import():
    for running in (True, False):
        (gc.enable if running else gc.disable)()
        try:
            with pytest.raises(ImportError), compat.quick_imports():
                assert not gc.isenabled()
                raise ImportError('no such package')
            assert gc.isenabled() == running
        finally:
            gc.enable()


@pytest.mark.parametrize('name', ['OMP_WAIT_POLICY', 'KMP_BLOCKTIME',
                                  'GOMP_SPINCOUNT'])
def test_threads_wait_as_the_user_says(name, monkeypatch):
    for other in ('OMP_WAIT_POLICY', 'KMP_BLOCKTIME', 'GOMP_SPINCOUNT'):
        monkeypatch.delenv(other, raising=False)
    monkeypatch.setenv(name, 'as the user says')
    before = dict(os.environ)
    compat.wait_without_spinning()
    assert dict(os.environ) == before
