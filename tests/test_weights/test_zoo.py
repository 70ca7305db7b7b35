# Copyright (c) costa_mm authors. All rights reserved.
import os

import pytest

from costa_mm.weights import (find_model, list_models, models_with_weights,
                              notice_of)
from costa_mm.weights import zoo as zoo_module


@pytest.fixture
def zoo(tmp_path, monkeypatch):
    tmp_path = tmp_path / 'my_base_repo'  # '_base_' is in the path of all
    configs = tmp_path / 'configs'
    (configs / '_base_').mkdir(parents=True)
    for name in ('tiny.py', 'large.py', '_base_/schedule.py'):
        (configs / name).write_text('a = 1\n')
    (tmp_path / 'model-index.yml').write_text(
        'Import:\n  - configs/metafile.yml\n')
    (configs / 'metafile.yml').write_text(
        'Models:\n'
        '  - {Name: tiny, Alias: [small], Config: configs/tiny.py, '
        'Weights: weights/tiny.pth}\n'
        '  - {Name: web, Config: configs/tiny.py, '
        'Weights: "https://example.org/web.pth"}\n')
    monkeypatch.setattr(zoo_module, 'zoo_root', lambda: str(tmp_path))
    return tmp_path


def test_index_and_configs_without_entry_are_listed(zoo):
    models = {m.name: m for m in list_models()}
    assert sorted(models) == ['large', 'tiny', 'web']
    assert models['tiny'].weights == str(zoo / 'weights' / 'tiny.pth')
    assert models['web'].weights == 'https://example.org/web.pth'
    assert models['large'].weights is None


@pytest.mark.parametrize('name', ['tiny', 'Tiny', 'SMALL'])
def test_names_and_aliases(zoo, name):
    assert find_model(name).config == str(zoo / 'configs/tiny.py')


def test_unknown_name_lists_the_known(zoo):
    with pytest.raises(ValueError, match='with weights: web; without: large,'
                       ' tiny'):
        find_model('huge')
    (zoo / 'weights').mkdir()
    (zoo / 'weights' / 'tiny.pth').touch()
    with pytest.raises(ValueError, match='with weights: tiny, web; without: '
                       'large'):
        find_model('huge')
    assert models_with_weights() == ['tiny', 'web']


def test_package_without_configs(tmp_path, monkeypatch):
    package = tmp_path / 'site-packages' / 'costa_mm'
    # Another project's configs beside us are not ours.
    (package.parent / 'configs').mkdir(parents=True)
    monkeypatch.setattr(zoo_module.costa_mm, '__file__',
                        str(package / '__init__.py'))
    with pytest.raises(FileNotFoundError, match='give the path of a config'):
        zoo_module.zoo_root()
    assert models_with_weights() == []
    (package / '.mim' / 'configs').mkdir(parents=True)
    (package / '.mim' / 'model-index.yml').touch()
    assert zoo_module.zoo_root() == str(package / '.mim')
    assert list_models() == []


def test_own_index_names_files_that_exist():
    models = list_models()
    assert len({m.name for m in models}) == len(models)
    for model in models:
        assert os.path.isfile(model.config), model
        if model.weights and '://' not in model.weights:
            assert os.path.isfile(model.weights), model


def test_the_shapes_model_says_what_it_is():
    model = find_model('costa_tiny_synthetic')
    for weights in (model.weights, model.name):
        notice = notice_of(weights)
        assert notice.startswith('costa_tiny_synthetic: it was trained on')
        assert 'real_videos.md' in notice and '\n' not in notice
    assert notice_of('my.pth') is None
    assert notice_of('stcat_vidstg') is None
