# Copyright (c) costa_mm authors. All rights reserved.
"""What tools/test.py writes, by one process and by two."""
import json
import runpy
import socket
import sys
from pathlib import Path

import pytest
import torch

from costa_mm.datasets import MOTDataset, PyAVReader, VideoReadError
from costa_mm.registry import MODELS
from costa_mm.structures import load_tubes

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / 'tests' / 'test_engine')]

import engine_costa  # noqa: E402
import engine_toy  # noqa: E402

BROKEN = 'val_00003'


@pytest.fixture(scope='module')
def data(tmp_path_factory):
    """Five test videos, of which one breaks off after its first frames."""
    folder = tmp_path_factory.mktemp('videos')
    engine_costa.make_videos(folder)
    path = folder / 'videos' / 'val' / f'{BROKEN}.mp4'
    engine_costa.break_off(path)
    assert PyAVReader().probe(str(path)).num_frames == 24
    with pytest.raises(VideoReadError):
        PyAVReader().read(str(path), [0, 23])
    return folder


@pytest.fixture(scope='module')
def files(data, tmp_path_factory):
    """Config and checkpoint of an untrained model."""
    folder = tmp_path_factory.mktemp('model')
    cfg = engine_costa.costa_config(folder, data)
    for key in ('work_dir', 'experiment_name'):
        cfg.pop(key)
    cfg.log_level = 'INFO'
    cfg.dump(str(folder / 'costa.py'))
    torch.manual_seed(0)
    model = MODELS.build(cfg.model)
    torch.save(
        dict(state_dict=model.state_dict()), folder / 'untrained.pth')
    return [str(folder / 'costa.py'), str(folder / 'untrained.pth')]


@pytest.fixture
def run(files, monkeypatch, tmp_path):
    """Run tools/test.py in this process."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv('LOCAL_RANK', '0')  # the tool sets it

    def call(*args):
        monkeypatch.setattr(sys, 'argv', ['test.py', *files, *map(str, args)])
        runpy.run_path(str(ROOT / 'tools' / 'test.py'))['main']()

    return call


def test_two_processes_skip_an_unreadable_video(run, files, launch, tmp_path):
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        port = s.getsockname()[1]
    outs = {
        n: [tmp_path / f'{n}_tubes.json', tmp_path / f'{n}_metrics.json']
        for n in ('one', 'two')
    }
    # as tools/dist_test.sh starts them
    logs = [tmp_path / f'{rank}.log' for rank in range(2)]
    ranks = [
        launch(engine_toy.run_tool, rank, 2, port, log,
               ROOT / 'tools' / 'test.py', *files, '--launcher', 'pytorch',
               '--work-dir', tmp_path, '--out', outs['two'][0],
               '--metrics-out', outs['two'][1])
        for rank, log in enumerate(logs)
    ]
    for process in ranks:
        process.join(900)
    said = ''.join(log.read_text() for log in logs)
    assert [process.exitcode for process in ranks] == [0, 0], said
    assert 'skipped (1 so far in this process)' in said and BROKEN in said
    assert '1 of 5 samples were not evaluated' in said
    run('--out', outs['one'][0], '--metrics-out', outs['one'][1])
    one, two = (json.loads(outs[n][1].read_text()) for n in outs)
    assert one == two and 'stvg/m_vIoU' in one
    one, two = (load_tubes(outs[n][0]) for n in outs)
    assert len(one) == 4 and BROKEN not in ' '.join(one)
    assert {k: v.to_dict() for k, v in one.items()} == {
        k: v.to_dict() for k, v in two.items()}


def test_format_only_writes_the_challenge_file(run, data, tmp_path):
    # sentences alone, as the challenge's test split has them
    content = json.loads((data / 'val.json').read_text())
    for entry in content.values():
        for key in ('bbox', 'st_time', 'ed_time', 'st_frame'):
            entry.pop(key, None)
    (data / 'sentences.json').write_text(json.dumps(content))
    option = ['--cfg-options', 'test_dataloader.dataset.ann_file=sentences.'
              'json']
    run('--format-only', '--work-dir', tmp_path / 'work', *option)
    result = json.loads(
        (tmp_path / 'work' / 'hcstvg_challenge.json').read_text())
    run('--format-only', '--format', 'tubes', '--out', tmp_path / 'tubes.json',
        *option)
    tubes = load_tubes(tmp_path / 'tubes.json')
    assert len(result) == len(tubes) == 4
    assert set(result) <= set(content)  # the names of the videos
    for entry, tube in zip(result.values(), tubes.values()):
        start, end = tube.span
        assert (entry['st_frame'], entry['ed_frame']) == (start + 1, end)
        assert list(entry['bbox']) == [
            str(i) for i in range(start + 1, end + 1)
        ]
        assert entry['bbox'][str(end)] == tube.boxes[end - 1].tolist()
    for _ in range(2):  # a folder, which may be there
        run('--format-only', '--format', 'mot', '--work-dir',
            tmp_path / 'work', *option)
    tracks = MOTDataset(str(tmp_path / 'work' / 'mot'),
                        data_prefix=dict(video=str(data / 'videos')))
    assert [tracks.get_data_info(i)['gt_tube'].span
            for i in range(len(tracks))] == [t.span for t in tubes.values()]
    assert {tracks.get_data_info(i)['sentence'] for i in range(4)} <= {
        entry['caption'] for entry in content.values()}


def test_options_that_do_not_fit(run, capsys):
    with pytest.raises(SystemExit):
        run('--format', 'hcstvg_challenge')
    assert 'give --out' in capsys.readouterr().err
    with pytest.raises(SystemExit):
        run('--format-only', '--format', 'csv')
