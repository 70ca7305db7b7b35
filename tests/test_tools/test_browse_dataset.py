# Copyright (c) costa_mm authors. All rights reserved.
import json
import runpy
import sys
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from test_datasets.conftest import write_video

from costa_mm.structures import Tube, dump_tubes

TOOLS = Path(__file__).resolve().parents[2] / 'tools' / 'analysis_tools'
VID = '11566930393'


@pytest.fixture
def run(monkeypatch, capsys):

    def _run(script, *args):
        monkeypatch.setattr(sys, 'argv', [script, *map(str, args)])
        runpy.run_path(str(TOOLS / script))['main']()
        return capsys.readouterr().out

    return _run


def write_config(path, dataset, pipeline):
    dataset = dict(dataset, pipeline=pipeline)
    loaders = {
        f'{s}_dataloader': dict(dataset=dict(dataset, test_mode=s == 'test'))
        for s in ('train', 'test')
    }
    path.write_text('\n'.join(f'{k} = {v!r}' for k, v in loaders.items()))
    return path


def pipeline(*more, num=8):
    return [
        dict(type='SampleFrames', num_frames=num),
        dict(type='LoadVideoFrames'),
        dict(type='LoadTubeAnnotations'), *more,
        dict(type='PackSTVGInputs')
    ]


@pytest.fixture
def real(test_data, tmp_path):
    clips = test_data / 'real_clips'
    dataset = dict(
        type='costa_mm.HCSTVGDataset',
        ann_file=str(clips / 'real_clips.json'),
        data_prefix=dict(video=str(clips)))
    return write_config(
        tmp_path / 'config.py', dataset,
        pipeline(
            dict(type='FlipWithText', prob=1.0),
            dict(type='ResizeClip', short_side=96)))


def test_sheets_and_videos_of_real_clips(real, tmp_path, run):
    tube = Tube((20, 40), np.arange(101), np.full((101, 4), 50.) +
                [0, 0, 60, 60])
    dump_tubes({'v_Basketball_g07_c04.mp4': tube}, tmp_path / 'p.json')
    out = tmp_path / 'out'
    said = run('browse_dataset.py', real, '--split', 'test', '--number', 2,
               '--out-dir', out, '--predictions', tmp_path / 'p.json',
               '--video')
    assert 'mirrored' in said and 'event in sampled frames' in said
    names = sorted(p.name for p in out.iterdir())
    assert names == [
        '00000_v_Basketball_g07_c04.mp4.mp4',
        '00000_v_Basketball_g07_c04.mp4.png',
        '00001_v_CliffDiving_g03_c01.mp4.mp4',
        '00001_v_CliffDiving_g03_c01.mp4.png'
    ]
    assert min(cv2.imread(str(out / names[1])).shape[:2]) > 96
    with av.open(str(out / names[0])) as video:
        assert len(list(video.decode(video=0))) == 8


def test_predictions_refuse_a_crop(real, tmp_path, run):
    text = real.read_text().replace(
        "{'type': 'PackSTVGInputs'}",
        "{'type': 'RandomSizeCrop', 'min_size': 9, 'max_size': 20}, "
        "{'type': 'PackSTVGInputs'}")
    real.write_text(text)
    dump_tubes({'x': Tube((1, 2))}, tmp_path / 'p.json')
    with pytest.raises(ValueError, match='RandomSizeCrop'):
        run('browse_dataset.py', real, '--predictions', tmp_path / 'p.json')


def test_real_vidstg_boxes_are_where_the_file_says(test_data, tmp_path,
                                                   monkeypatch):
    """On blank frames of the video's size, at the scale 1."""
    write_video(
        tmp_path / f'{VID}.mp4', 872, size=(480, 640), fps=30,
        options=dict(preset='ultrafast', g='250'))
    dataset = dict(
        type='costa_mm.VidSTGDataset',
        ann_file=str(
            test_data / 'vidstg' / f'test_annotations_{VID}.json'),
        data_prefix=dict(
            video=str(tmp_path), vidor=str(test_data / 'vidor')))
    config = write_config(tmp_path / 'config.py', dataset,
                          pipeline(num=16))
    script = runpy.run_path(str(TOOLS / 'browse_dataset.py'))
    from mmengine.config import Config

    from costa_mm.registry import DATASETS
    from costa_mm.visualization import TubePainter
    cfg = Config.fromfile(config)
    sample = DATASETS.build(cfg.test_dataloader.dataset)[7]['data_samples']
    tracks = script['tracks_of'](sample, {})
    source = json.loads((test_data / 'vidor' / f'{VID}.json').read_text())
    painter = TubePainter(
        frame_shape=(480, 640), num_frames=872, tracks=tracks, scale=1.0)
    blank = np.zeros((480, 640, 3), dtype=np.uint8)
    drawn = 0
    for frame in sample.frame_ids:
        boxes = {o['tid']: o['bbox'] for o in source['trajectories'][frame]}
        picture = painter.draw_boxes(blank, int(frame))
        if not 0 <= frame < 270 or 0 not in boxes:
            assert not picture.any()
            continue
        box = [boxes[0][k] for k in ('xmin', 'ymin', 'xmax', 'ymax')]
        rows, cols = np.nonzero(picture.max(axis=2) > 100)
        assert abs(cols.min() - box[0]) <= 3
        assert abs(cols.max() - min(box[2], 639)) <= 3
        assert abs(rows.min() - box[1]) <= 3
        drawn += 1
    assert drawn >= 4


def test_statistics(real, tmp_path, run):
    said = run('dataset_statistics.py', real, '--out-dir', tmp_path / 's')
    assert '8 samples, 8 videos' in said
    summary = json.loads((tmp_path / 's' / 'train.json').read_text())
    entry = summary['statistics']['event_share']
    assert entry['number'] == 8 and 0 < entry['mean'] <= 1
    assert summary['statistics']['event_seconds']['mean'] == pytest.approx(
        np.mean([50 / 29.97, 55 / 25, 151 / 29.97, 98 / 29.97, 369 / 25,
                 244 / 25, 120 / 30, 113 / 30]), rel=1e-3)
    assert (tmp_path / 's' / 'train.png').stat().st_size > 10000
