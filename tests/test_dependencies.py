# Copyright (c) costa_mm authors. All rights reserved.
"""Which versions of the packages below are taken."""
import importlib.util
from importlib import metadata

import pytest

from costa_mm import dependencies


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


def test_these_versions_are_accepted():
    dependencies.check_dependencies()


def test_a_setuptools_without_pkg_resources_is_told(monkeypatch):
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, 'find_spec',
        lambda name, *args: None if name == 'pkg_resources' else find(
            name, *args))
    with pytest.warns(UserWarning, match='setuptools<81'):
        dependencies.check_dependencies()


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
        dependencies.check_dependencies()
    assert f'{name}' in str(info.value) and version in str(info.value)
    assert f'pip install {name}==' in str(info.value)


def test_every_offender_is_named(monkeypatch):
    pretend(monkeypatch, mmdet=None, mmaction2='9.9')
    with pytest.raises(ImportError) as info:
        dependencies.check_dependencies()
    assert 'mmdet is not installed' in str(info.value)
    assert 'mmaction2 9.9' in str(info.value)


def test_mmcv_may_be_full_or_lite(monkeypatch):
    pretend(monkeypatch, **{'mmcv': '2.1.0', 'mmcv-lite': None})
    dependencies.check_dependencies()
    pretend(monkeypatch, **{'mmcv': '2.2.0', 'mmcv-lite': None})
    with pytest.raises(ImportError, match='mmcv'):
        dependencies.check_dependencies()


@pytest.mark.parametrize('text,numbers', [
    ('2.13.0+cpu', (2, 13, 0)),
    ('0.10.7', (0, 10, 7)),
    ('3.0.0rc6', (3, 0, 0)),
    ('2.1', (2, 1)),
])
def test_release_numbers(text, numbers):
    assert dependencies.release(text) == numbers
