# Copyright (c) costa_mm authors. All rights reserved.
"""The command ``costa-mm``."""
import importlib.util
import json
import os
import shutil
import subprocess
import sys

import pytest

from costa_mm import __version__
from costa_mm.cli import COMMANDS, main, usage
from costa_mm.cli.ground import INTERRUPTED


def test_help_imports_nothing_heavy():
    code = ('import sys, costa_mm.cli as c; c.main(["--help"]); '
            'print(sorted({m.split(".")[0] for m in sys.modules} & '
            '{"torch", "mmengine", "mmdet", "mmaction", "transformers", '
            '"matplotlib", "numpy", "cv2", "av"}))')
    out = subprocess.run([sys.executable, '-c', code], capture_output=True,
                         text=True, check=True).stdout
    assert out.splitlines()[-1] == '[]' and usage() in out
    assert all(f'\n  {name} ' in out for name in COMMANDS)


def test_an_inferencer_imports_nothing_that_it_does_not_use():
    code = ('import gc, sys; from costa_mm.apis import STVGInferencer; '
            'STVGInferencer("costa_tiny_synthetic"); '
            'print(sorted({m.split(".")[0] for m in sys.modules} & '
            '{"gradio", "starlette", "ray", "pandas", "sklearn", "timm", '
            '"onnx", "onnxruntime", "tensorboard", "decord", "IPython"}), '
            'sorted(m for m in sys.modules if m.startswith("costa_mm.") and '
            'm.split(".")[1] in ("cli", "synthetic")), gc.isenabled())')
    env = {k: v for k, v in os.environ.items() if k != 'OMP_WAIT_POLICY'}
    out = subprocess.run([sys.executable, '-c', code], capture_output=True,
                         text=True, check=True,
                         env=dict(env, OMP_DISPLAY_ENV='true'))
    assert out.stdout.splitlines()[-1] == '[] [] True'
    if 'OMP_WAIT_POLICY' in out.stderr:  # as OpenMP itself reports it
        assert "OMP_WAIT_POLICY = 'PASSIVE'" in out.stderr


def test_words(capsys):
    assert main([]) == main(['--help']) == 0
    assert main(['--version']) == 0
    assert capsys.readouterr().out.endswith(f'costa_mm {__version__}\n')
    assert main(['grond']) == 2
    assert "no command 'grond', only ground, web" in capsys.readouterr().err


@pytest.mark.parametrize('name', sorted(set(COMMANDS) - {'web'}))
def test_every_command_has_help(name, capsys, monkeypatch):
    monkeypatch.setattr(sys, 'argv', ['costa-mm'])
    monkeypatch.setattr(sys, 'path', list(sys.path))
    with pytest.raises(SystemExit) as e:
        main([name, '--help'])
    assert e.value.code == 0
    assert capsys.readouterr().out.startswith(f'usage: costa-mm {name}')


def test_module_is_the_command():
    done = subprocess.run([sys.executable, '-m', 'costa_mm', '--version'],
                          capture_output=True, text=True)
    assert done.stdout == f'costa_mm {__version__}\n'


def test_models(capsys):
    assert main(['models']) == 0
    out = capsys.readouterr().out
    assert 'costa_tiny_synthetic' in out and 'weights: here' in out
    assert 'costa_hcstvg_1x24g' not in out
    assert main(['models', 'costa_hcstvg', '--all']) == 0
    assert 'weights: none' in capsys.readouterr().out
    assert main(['models', 'stvgbert_hcstvg', '--all']) == 0
    assert 'weights: none; for HC-STVG' in capsys.readouterr().out
    assert main(['models', 'yolo']) == 1


def test_doctor(capsys):
    assert main(['doctor']) == 0
    out = capsys.readouterr().out
    assert f'costa_mm {__version__}' in out and 'CPU cores' in out
    assert {line[:6].strip() for line in out.splitlines()} <= {'ok', 'lacks'}
    lite = importlib.util.find_spec('mmcv._ext') is None
    assert ('`import mmdet.apis` works only behind' in out) == lite


def test_synth_check_eval_and_ground(tmp_path, capsys, monkeypatch):
    """A day at the command line, each word on what the one before left."""
    monkeypatch.setattr(sys, 'argv', ['costa-mm'])
    monkeypatch.setattr(sys, 'path', list(sys.path))
    data, out = tmp_path / 'data', tmp_path / 'out'
    assert main(['synth', '--out', str(data), '--num-train', '1', '--num-val',
                 '0', '--num-test', '3', '--workers', '1']) == 0
    assert main(['check', str(data / 'test.json'), '--videos',
                 str(data / 'videos' / 'test')]) == 0
    truth = json.loads((data / 'test.json').read_text())
    lines = [dict(video=f'videos/test/{name}', sentences=[entry['caption']])
             for name, entry in truth.items()]
    lines.append(dict(video='test.json', sentence='a circle'))
    (data / 'list.jsonl').write_text('\n'.join(map(json.dumps, lines)))
    words = ['ground', '--list', str(data / 'list.jsonl'), '--out-dir',
             str(out), '--no-save-vis', '--device', 'cpu']
    capsys.readouterr()
    assert main(words) == 1  # one is no video
    shown = capsys.readouterr()
    assert '3 of 4 videos are done, 3 of them now' in shown.out
    assert 'not grounded: ' in shown.err and 'test.json' in shown.err
    assert len(json.loads((out / 'tubes.json').read_text())) == 3
    assert main([*words, '--print-result']) == 1
    shown = capsys.readouterr()
    assert '3 of 4 videos are done, 0 of them now' in shown.out
    assert shown.out.count('confidence 0.') == 3


def test_no_files(colour_finder, video, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr('costa_mm.apis.STVGInferencer',
                        lambda *args, **kwargs: colour_finder)
    words = ['ground', str(video), 'the red square', '--no-save-pred']
    assert main([*words, '--no-save-vis']) == 0
    assert 'frames 10 to 19' in capsys.readouterr().out
    assert not list(tmp_path.iterdir())
    assert main([*words, '--out-dir', 'o']) == 0
    assert {f.suffix for f in (tmp_path / 'o').iterdir()} == {'.mp4', '.png'}


def test_no_files_of_the_good_ones_among_bad_ones(
        colour_finder, video, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr('costa_mm.apis.STVGInferencer',
                        lambda *args, **kwargs: colour_finder)
    clips = tmp_path / 'clips'
    clips.mkdir()
    for name in 'ac':
        shutil.copy(video, clips / f'{name}.mp4')
    (clips / 'b.mp4').write_bytes(b'no video')
    words = ['ground', str(clips), 'the red square', '--no-save-pred',
             '--no-save-vis']
    assert main(words) == 1
    shown = capsys.readouterr()
    assert shown.out.count('frames 10 to 19') == 2
    assert '2 of 3 videos are done' in shown.out
    assert 'results' not in shown.out  # there are none to look at
    assert 'b.mp4' in shown.err and list(tmp_path.iterdir()) == [clips]
    found = ''
    for rank in range(2):  # two processes: each video once
        monkeypatch.setenv('RANK', str(rank))
        monkeypatch.setenv('WORLD_SIZE', '2')
        main(words)
        found += capsys.readouterr().out
    assert found.count('frames 10 to 19') == 2


def test_ctrl_c(colour_finder, video, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr('costa_mm.apis.STVGInferencer',
                        lambda *args, **kwargs: colour_finder)

    def interrupted(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr('costa_mm.apis.jobs.dump_results', interrupted)
    assert main(['ground', str(video), 'red', '--out-dir',
                 str(tmp_path / 'o')]) == INTERRUPTED
    assert 'goes on where it was' in capsys.readouterr().err
