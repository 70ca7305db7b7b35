# Copyright (c) costa_mm authors. All rights reserved.
import importlib
import json
import shlex
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SUITE = str(ROOT / 'tools/gpu_suite.sh')


def suite(*args):
    return subprocess.run(['bash', SUITE, *args], capture_output=True,
                          text=True, cwd='/')


def stages():
    return suite('--list').stdout.split()


@pytest.mark.parametrize('smoke', [[], ['--fake']])
def test_every_command_of_every_stage_exists(smoke, tmp_path, monkeypatch):
    out = suite('--dry-run', '--out', str(tmp_path / 'out'), *smoke)
    assert out.returncode == 0 and not out.stderr
    lines = out.stdout.splitlines()
    assert [line for line in lines if not line.startswith(' ')] == stages()
    assert not (tmp_path / 'out').exists()
    monkeypatch.syspath_prepend(str(ROOT / 'tools/analysis_tools'))
    monkeypatch.chdir(ROOT)
    commands = [shlex.split(line) for line in lines if line.startswith(' ')]
    seen = set()
    for command in commands:
        for word in command:
            if word.startswith(('tools/', 'configs/', 'tests/')):
                assert (ROOT / word).exists(), word
                seen.add(word)
        script = Path(command[1]).stem
        if script in ('benchmark', 'profile_step'):
            parse = importlib.import_module(script).parse_args
            args = parse(command[2:])
            assert args.device == ('cpu' if smoke else 'cuda')
            assert args.json.startswith(str(tmp_path))
    assert 'tools/train.py' in seen and 'tests/test_cuda' in seen


def test_one_stage(tmp_path):
    out = suite('--dry-run', '--only', 'batch', '--out', str(tmp_path))
    assert out.stdout.splitlines()[0] == 'batch'
    assert len(out.stdout.splitlines()) == 2
    assert '--batch 1 2 4' in out.stdout


@pytest.mark.parametrize('args, message', [
    (['--only', 'all'], "no stage 'all'"),
    (['--budget', 'long'], 'no number of seconds'),
    (['--out'], 'needs a value'),
    (['--fast'], 'unknown argument'),
])
def test_bad_arguments(args, message):
    out = suite(*args)
    assert out.returncode == 2 and message in out.stderr


def test_stages_that_are_done_or_out_of_time(tmp_path):
    for name in stages()[1:]:
        (tmp_path / f'{name}.done').touch()
    (tmp_path / 'train.json').write_text(
        json.dumps(
            dict(
                matmul=dict(bf16=1e12),
                compared={},
                rows={
                    'c.py bf16+cp train 65 405x720 1 cuda':
                    dict(seconds=2., peak_bytes=2**34, live_bytes=2**33,
                         flops=10**12),
                    'c.py tf32 train 65 405x720 1 cuda':
                    dict(error='out of memory: x')
                })))
    out = subprocess.run(
        ['bash', SUITE, '--out', str(tmp_path), '--budget', '0'],
        capture_output=True, text=True,
        env={'PATH': '/usr/bin:/bin', 'PYTHON': sys.executable})
    assert out.returncode == 1
    assert 'tests: no time left' in out.stdout
    assert out.stdout.count('done before') == len(stages()) - 1
    assert '| c.py bf16+cp train 65 405x720 1 cuda | 2.000 | 16.00 | 8.00 | ' \
        '50.0% |' in out.stdout
    assert 'out of memory: x' in out.stdout
    assert 'run again for: tests' in out.stdout


def run_with(tmp_path, script, *args, stage='compile'):
    """One stage, with something else in the place of Python."""
    fake = tmp_path / 'python'
    fake.write_text(f'#!/usr/bin/env bash\n{script}\n')
    fake.chmod(0o755)
    return subprocess.run(
        ['bash', SUITE, '--out', str(tmp_path), '--only', stage, *args],
        capture_output=True, text=True, timeout=60,
        env={'PATH': '/usr/bin:/bin', 'PYTHON': str(fake),
             'PYTHONPATH': '/wheels'})


def test_the_package_is_taken_from_here(tmp_path):
    """Machines without an index get wheels in a folder, not an install."""
    out = run_with(tmp_path, 'echo "path=$PYTHONPATH"')
    assert out.returncode == 0
    assert f'path={ROOT}:/wheels' in out.stdout
    assert (tmp_path / 'compile.done').exists()


@pytest.mark.parametrize('option', ['--budget', '--limit'])
def test_a_stage_is_cut_off_in_time(tmp_path, option):
    began = time.time()
    out = run_with(
        tmp_path, 'case $1 in *benchmark.py) sleep 50 ;; esac', option, '1')
    assert time.time() - began < 30
    assert out.returncode == 1 and 'run again for: compile' in out.stdout
    assert not (tmp_path / 'compile.done').exists()


def test_tests_that_are_cut_off_are_reported(tmp_path):
    (tmp_path / 'pytest.ini').write_text('[pytest]')  # names begin here
    (tmp_path / 'test_slow.py').write_text(
        'import time\n\n\ndef test_quick():\n    assert 0\n\n\n'
        'def test_slow():\n    time.sleep(50)\n')
    python = shlex.quote(sys.executable)
    out = run_with(
        tmp_path, f'case $2 in pytest) exec {python} -m pytest '
        f'{tmp_path}/test_slow.py --junitxml {tmp_path}/tests.xml ;; esac\n'
        f'exec {python} "$@"', '--limit', '8', stage='tests')
    assert out.returncode == 1 and 'run again for: tests' in out.stdout
    found = json.loads((tmp_path / 'tests.json').read_text())
    assert found['failures'] == 1
    assert found['not_passed'] == ['test_slow::test_quick: failure']


def test_table_of_profiles(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / 'tools/misc'))
    report = importlib.import_module('gpu_suite_report')
    lines = report.profiles_of(
        dict(profiles={
            'c.py bf16 train': dict(
                seconds=.5, busy=.4, kinds=dict(convolutions=.3, other=.1)),
            'c.py tf32 train': dict(error='out of memory: x'),
        }))
    assert lines[0] == '| what | s | busy | convolutions | other |'
    assert lines[2] == '| c.py bf16 train | 0.500 | 0.400 | 75.0% | 25.0% |'
    assert 'out of memory' in lines[3]


def test_outcome_of_tests(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / 'tools/misc'))
    report = importlib.import_module('gpu_suite_report')
    xml = tmp_path / 'tests.xml'
    xml.write_text(
        '<testsuites><testsuite tests="3" failures="1" errors="0" '
        'skipped="1" time="2.5"><testcase classname="a" name="x"/>'
        '<testcase classname="a" name="y"><failure/></testcase>'
        '<testcase classname="a" name="z"><skipped/></testcase>'
        '</testsuite></testsuites>')
    report.main(['--tests', str(xml), '--json', str(tmp_path / 't.json')])
    out = json.loads((tmp_path / 't.json').read_text())
    assert (out['tests'], out['failures'], out['skipped']) == (3, 1, 1)
    assert out['not_passed'] == ['a::y: failure', 'a::z: skipped']
