# Copyright (c) costa_mm authors. All rights reserved.
"""tools/kfold_cross_valid.py."""
import json
import runpy
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
for folder in ('tests', 'tests/test_engine'):
    if str(ROOT / folder) not in sys.path:
        sys.path.insert(0, str(ROOT / folder))

from engine_costa import costa_config, make_videos  # noqa: E402

TOOL = runpy.run_path(str(ROOT / 'tools' / 'kfold_cross_valid.py'))


@pytest.fixture(scope='module')
def config(tmp_path_factory):
    """Path of a config that trains on 12 videos, one with two sentences."""
    folder = tmp_path_factory.mktemp('kfold')
    make_videos(folder / 'data')
    path = folder / 'data' / 'train.json'
    videos = [
        dict(path=name, num_frames=entry['img_num'], sentences=[
            dict(text=entry['caption'], span=[0, 3], boxes=[[1, 1, 9, 9]] * 3)
        ]) for name, entry in json.loads(path.read_text()).items()
    ]
    videos[0]['sentences'] *= 2
    path.write_text(json.dumps(dict(videos=videos)))
    cfg = costa_config(folder / 'run', folder / 'data')
    cfg.train_dataloader.dataset.type = 'STVGDataset'
    cfg.train_cfg.max_epochs = 1
    for key in ('work_dir', 'experiment_name'):
        cfg.pop(key)
    cfg.dump(str(folder / 'tiny.py'))
    return folder / 'tiny.py'


def run(config, *args):
    return TOOL['run'](TOOL['parse_args']([str(config), *map(str, args)]))


def figures(text):
    rows = [line.strip('| ').split(' | ') for line in text.splitlines()
            if line.startswith(('| fold', '| mean'))]
    return {name: list(map(float, values)) for name, *values in rows}


def test_folds_once_and_again(config, tmp_path, capsys):
    where = ('--num-splits', 2, '--work-dir', tmp_path)
    run(config, *where, '--fold', 1)
    said = capsys.readouterr().out
    assert set(figures(said)) == {'fold 1', 'mean'}
    assert 'folds that are missing: [0]' in said
    done = (tmp_path / 'fold1' / 'fold.json').stat().st_mtime_ns
    run(config, *where)
    rows = figures(capsys.readouterr().out)
    assert (tmp_path / 'fold1' / 'fold.json').stat().st_mtime_ns == done
    counts = [rows[f'fold {k}'][0] for k in (0, 1)]
    assert counts == [7, 6] and rows['mean'][0] == 13
    for column in range(1, len(rows['mean'])):
        mean = sum(c * rows[f'fold {k}'][column]
                   for k, c in enumerate(counts)) / 13
        assert rows['mean'][column] == pytest.approx(mean, abs=2e-3)
    run(config, *where, '--summary')
    assert figures(capsys.readouterr().out) == rows


def test_sentences_of_a_video_stay_together(config):
    cfg = TOOL['read_config'](str(config), work_dir='.')
    folds = TOOL['deal'](cfg, None)
    assert len(folds) == 12 and sorted(map(len, folds)) == [1] * 11 + [2]
    assert [0, 1] in folds
    cfg = TOOL['fold_config'](cfg, folds, 0)
    train, test = (cfg[f'{s}_dataloader'].dataset for s in ('train', 'test'))
    assert set(test.indices) == {0, 1}
    assert set(train.indices) == set(range(13)) - {0, 1}
    assert test.ann_file == train.ann_file and test.test_mode
    assert test.pipeline != train.pipeline


@pytest.mark.parametrize('args, said', [
    (('--num-splits', 1), 'cannot be dealt into 1 folds'),
    (('--num-splits', 13), '12 videos cannot be dealt into 13'),
    (('--num-splits', 2, '--fold', 2), 'there are 2 folds'),
    (('--summary', ), 'no fold is done'),
])
def test_bad_folds(config, tmp_path, args, said):
    with pytest.raises(ValueError, match=said):
        run(config, *args, '--work-dir', tmp_path)
