# Copyright (c) costa_mm authors. All rights reserved.
"""Mistyped keys are errors."""
import os
import subprocess
import sys
from pathlib import Path

import pytest
from mmengine.config import Config
from torch.utils.data import DataLoader

import costa_mm
from costa_mm.apis.model_choice import config_of, find_config
from costa_mm.engine.config import (build_runner, check_config, enable_amp,
                                    enable_auto_scale_lr, known_keys,
                                    load_config, read_config)


@pytest.fixture
def config(tmp_path):
    path = tmp_path / 'tiny.py'
    path.write_text(
        'data_root = "data"\n'
        'train_pipeline = []\n'
        'model = dict(type="ToyModel", depth=1)\n'
        'optim_wrapper = dict(optimizer=dict(type="SGD", lr=0.1))\n'
        'auto_scale_lr = dict(enable=False, base_batch_size=8)\n')
    return str(path)


def test_read_config(config, tmp_path):
    cfg = read_config(
        config, options={'model.depth': 2}, work_dir=str(tmp_path / 'out'))
    assert cfg.model.depth == 2
    assert cfg.work_dir == str(tmp_path / 'out')
    assert cfg.default_scope == 'costa_mm'
    assert read_config(config).work_dir == 'work_dirs/tiny'


@pytest.mark.parametrize('typo, meant', [
    ('optim_wraper', 'optim_wrapper'),
    ('train_dataloder', 'train_dataloader'),
    ('custom_hook', 'custom_hooks'),
    ('val_evaluater', 'val_evaluator'),
    ('param_schedulers', 'param_scheduler'),
])
def test_mistyped_keys(typo, meant):
    with pytest.raises(KeyError, match=f'{typo}.*mean .{meant}'):
        check_config(Config({typo: {}}))


def test_own_variables_are_free(config):
    own = dict(
        data_root='', train_pipeline=[], test_pipeline=[], dataset_type='',
        backend_args=None, num_frames=3, max_epochs=1, file_client_args={},
        val_pipeline=[], ann_file='', image_size=3, base_lr=1, num_classes=1,
        train_dataset={}, val_dataset={}, text_encoder={})
    check_config(Config(own))
    assert 'launcher' in known_keys()


def test_options_that_name_nothing(config):
    with pytest.raises(KeyError, match='modle.depth.*mean .model'):
        read_config(config, options={'modle.depth': 2})


@pytest.mark.parametrize('split', ['train', 'val', 'test'])
def test_no_workers_work_with_any_config(config, split):
    options = {f'{split}_dataloader': dict(
        num_workers=2, persistent_workers=True, prefetch_factor=4, timeout=9)}
    cfg = read_config(config, options=options)
    assert cfg[f'{split}_dataloader'].prefetch_factor == 4
    options[f'{split}_dataloader.num_workers'] = 0
    loader = read_config(config, options=options)[f'{split}_dataloader']
    DataLoader([0], **loader)
    assert loader == dict(num_workers=0, persistent_workers=False)


def test_places_of_work(config, tmp_path):
    (tmp_path / 'file').touch()
    with pytest.raises(NotADirectoryError, match='the work folder .*file'):
        read_config(config, work_dir=str(tmp_path / 'file'))
    with pytest.raises(ValueError, match='is not UTF-8'):
        read_config(config, work_dir=os.fsdecode(b'caf\xe9'))
    with pytest.raises(ValueError, match='is no name'):
        read_config(config, options={'work_dir': 'a\0b'})


def test_missing_file():
    with pytest.raises(FileNotFoundError, match='nowhere.py'):
        read_config('nowhere.py')


def test_switches(config):
    cfg = read_config(config)
    enable_amp(cfg)
    assert cfg.optim_wrapper.type == 'costa_mm.STVGAmpOptimWrapper'
    enable_auto_scale_lr(cfg)
    assert cfg.auto_scale_lr.enable
    cfg.pop('auto_scale_lr')
    with pytest.raises(KeyError, match='base_batch_size'):
        enable_auto_scale_lr(cfg)


def test_runner_of_the_config(tmp_path):
    from engine_toy import toy_config

    from costa_mm.engine import STVGRunner
    assert type(build_runner(toy_config(tmp_path))) is STVGRunner


def test_custom_imports_may_begin_with_mmdet(tmp_path):
    (tmp_path / 'my_head.py').write_text(
        'from mmdet.models.layers.transformer.utils import MLP\n')
    config = tmp_path / 'mine.py'
    config.write_text("custom_imports = dict(imports=['my_head'])\n")
    code = ('from costa_mm.engine.config import read_config\n'
            f'read_config({str(config)!r})\n'
            'import sys; print("my_head" in sys.modules)\n')
    root = Path(costa_mm.__file__).resolve().parents[1]
    out = subprocess.run(
        [sys.executable, '-c', code], capture_output=True, text=True,
        env=dict(os.environ, PYTHONPATH=f'{root}{os.pathsep}{tmp_path}'))
    assert out.stdout.endswith('True\n'), out.stderr


@pytest.mark.parametrize('inside', [{}, dict(mean=[9.])])
def test_the_preprocessor_beside_the_model_is_the_models(tmp_path, inside):
    """MMEngine's runner merges it; the model's own comes first there too."""
    path = tmp_path / 'a.py'
    model = dict(type='ToyModel', **inside and dict(data_preprocessor=inside))
    path.write_text(f'model = {model}\n'
                    'data_preprocessor = dict(type="P", mean=[1.])\n')
    path = str(path)
    options = {'data_preprocessor.mean': [2.]}
    for cfg, mean in (
            (load_config(path), 1.), (load_config(path, options), 2.),
            (read_config(path), 1.), (read_config(path, options=options), 2.),
            (find_config(path, None)[0], 1.),
            (find_config(Config.fromfile(path), None)[0], 1.),
            (find_config(Config.fromfile(path)._cfg_dict, None)[0], 1.),
            (config_of(dict(meta=dict(cfg=Path(path).read_text())), ''), 1.)):
        wanted = inside or dict(type='P', mean=[mean])
        assert cfg.model.data_preprocessor == wanted
