# Copyright (c) costa_mm authors. All rights reserved.
"""The wheel, built from the sdist, works outside the checkout."""
import os
import shutil
import site
import subprocess
import sys
import tarfile
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SKIPPED = shutil.ignore_patterns(
    '.*', '__pycache__', 'build', 'dist', '*.egg-info', 'data', 'work_dirs',
    'outputs', 'tests', '_build')
OF_A_CHECKOUT = {'setup_env.sh', 'run_tests.sh', 'quickstart.sh',
                 'gpu_suite.sh', 'gpu_suite_report.py'}
# What a person does first; prints one line per fact.
SCRIPT = """
import os, subprocess, sys
import torch
import costa_mm
from costa_mm.apis import STVGInferencer, list_models
from mmengine.config import Config

torch.set_num_threads(1)
print('package', costa_mm.__file__)
models = list_models()
for model in models:
    Config.fromfile(model.config)
print('models', len(models))
mim = os.path.join(os.path.dirname(costa_mm.__file__), '.mim')
tool = os.path.join(mim, 'tools', 'dataset_converters',
                    'make_synthetic_stvg.py')
subprocess.run([sys.executable, tool, '--out', 'data', '--num-train', '1',
                '--num-val', '0', '--num-test', '3', '--workers', '1'],
               check=True, stdout=subprocess.DEVNULL)
call = STVGInferencer('costa_tiny_synthetic', device='cpu',
                      show_progress=False)
out = call('data/videos/test/test_00002.mp4',
           ['The red circle moves up.', 'The red circle shrinks.'],
           out_dir='out')
for name, result in zip(('first', 'second'), out['predictions']):
    start, end = result.span
    box = result.boxes[(start + end) // 2] / 96
    print(name, start, end, (box[0] + box[2]) / 2, (box[1] + box[3]) / 2)
"""
# Spans and places of the two objects, from the scene of the video: one starts
# at (0.17, 0.71) and moves up by 0.34, the other stays at (0.51, 0.73).
FIRST, SECOND = (17, 38, 0.17, 0.54), (4, 19, 0.51, 0.73)


def run(*words, cwd):
    env = {k: v for k, v in os.environ.items() if k != 'PYTHONPATH'}
    done = subprocess.run(words, cwd=cwd, env=env, capture_output=True,
                          text=True)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    return done.stdout


@pytest.fixture(scope='module')
def wheel(tmp_path_factory) -> Path:
    """The wheel that pip makes of the sdist."""
    folder = tmp_path_factory.mktemp('wheel')
    shutil.copytree(ROOT, folder / 'source', ignore=SKIPPED)
    run(sys.executable, 'setup.py', '-q', 'sdist', '-d', str(folder),
        cwd=folder / 'source')
    sdist, = folder.glob('*.tar.gz')
    with tarfile.open(sdist) as archive:
        archive.extractall(folder / 'sdist', filter='data')
    unpacked, = (folder / 'sdist').iterdir()
    run(sys.executable, '-m', 'pip', 'wheel', '-q', '--no-deps',
        '--no-build-isolation', '-w', str(folder), str(unpacked), cwd=folder)
    path, = folder.glob('*.whl')
    return path


@pytest.fixture(scope='module')
def python(wheel, tmp_path_factory) -> str:
    """Interpreter of an environment with the wheel.

    The other packages are those of this environment, found by a path file,
    which does not bring the editable install of costa_mm along.
    """
    folder = tmp_path_factory.mktemp('venv')
    venv.create(folder, with_pip=False, symlinks=True)
    packages, = folder.glob('lib/python*/site-packages')
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(packages)
    (packages / 'others.pth').write_text('\n'.join(site.getsitepackages()))
    return str(folder / 'bin' / 'python')


def test_what_mim_looks_for_is_in_the_wheel(wheel):
    with zipfile.ZipFile(wheel) as archive:
        found = {name for name in archive.namelist() if '/.mim/' in name}
    wanted = {'costa_mm/.mim/model-index.yml'}
    for name in ('configs', 'tools', 'demo', 'checkpoints'):
        wanted |= {f'costa_mm/.mim/{path.relative_to(ROOT)}'
                   for path in (ROOT / name).rglob('*')
                   if path.suffix in ('.py', '.sh', '.yml', '.ipynb', '.pth',
                                       '.json')
                   and '.ipynb_checkpoints' not in path.parts
                   and path.name not in OF_A_CHECKOUT}
    assert wanted <= found
    assert not OF_A_CHECKOUT & {Path(name).name for name in found}
    assert not [name for name in found if '__pycache__' in name]


def test_outside_the_checkout(python, tmp_path):
    lines = run(python, '-c', SCRIPT, cwd=tmp_path).splitlines()
    facts = dict(line.split(' ', 1) for line in lines if ' ' in line)
    home = str(Path(python).parents[1])
    assert facts['package'].startswith(home)
    assert int(facts['models']) >= 25
    for name, (start, end, x, y) in (('first', FIRST), ('second', SECOND)):
        found = [float(word) for word in facts[name].split()]
        inside = min(end, found[1]) - max(start, found[0])
        outside = max(end, found[1]) - min(start, found[0])
        assert inside / outside > 0.5, (name, found)
        assert abs(found[2] - x) < 0.1 and abs(found[3] - y) < 0.15, name
    assert (tmp_path / 'out' / 'tubes.json').is_file()
    assert list((tmp_path / 'out').glob('*.mp4'))


def test_tools_of_the_wheel_run(python, tmp_path):
    mim, = Path(python).parents[1].glob(
        'lib/python*/site-packages/costa_mm/.mim')
    out = run(python, f'{mim}/tools/misc/print_config.py',
              f'{mim}/configs/costa_hcstvg.py', cwd=tmp_path)
    assert "type='SpatioTemporalGrounder'" in out


# projects/example_reuse/README.md, followed by somebody with the wheel
REUSE = """
import torch
import costa_mm
from mmengine.config import Config
from mmengine.registry import MODELS, init_default_scope

for scope, name in (('mmdet', 'detr'), ('mmaction', 'recognizer')):
    with open(name + '.py', 'w') as file:
        file.write(f"_base_ = ['{scope}::_base_/default_runtime.py', "
                   f"'./costa_backbone_{name}.py']")
    cfg = Config.fromfile(name + '.py')
    cfg.merge_from_dict({'model.backbone.spatial.base_channels': 8,
                         'model.backbone.spatial.stem_channels': 8,
                         'model.backbone.temporal.base_channels': 8})
    init_default_scope(cfg.default_scope)
    model = MODELS.build(cfg.model)
    part = type(model.backbone)
    shape = (1, 3, 64, 64) if name == 'detr' else (1, 3, 4, 64, 64)
    features = model.backbone(torch.zeros(shape))
    if name == 'detr':  # a map per level
        features, = features
    print(name, costa_mm.__file__, part.__module__, features.ndim)
"""


def test_other_projects_reuse_parts_of_the_wheel(python, tmp_path):
    for path in (ROOT / 'projects/example_reuse/configs').glob('*.py'):
        shutil.copy(path, tmp_path)
    lines = run(python, '-c', REUSE, cwd=tmp_path).splitlines()
    home = str(Path(python).parents[1])
    found = {words[0]: words[1:] for words in map(str.split, lines)
             if words and words[0] in ('detr', 'recognizer')}
    assert set(found) == {'detr', 'recognizer'}
    for name, (place, module, ndim) in found.items():
        assert place.startswith(home), name
        assert module.startswith('costa_mm.models.backbones'), name
        assert ndim == {'detr': '4', 'recognizer': '5'}[name]
