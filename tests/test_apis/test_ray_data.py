# Copyright (c) costa_mm authors. All rights reserved.
"""Rows of a cluster: grounded in batches, each answered once."""
import json
import math
import os
import runpy
import signal
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from test_apis.conftest import save_model

from costa_mm.apis import GroundVideos
from costa_mm.synthetic import Settings, draw_sample, render_frames
from costa_mm.visualization import write_video

RED, GREEN = 'the red square moves right', 'the green square stands still'


@pytest.fixture(scope='module')
def ground(tmp_path_factory):
    """The callable with a model whose answers are known."""
    return GroundVideos(*save_model(tmp_path_factory.mktemp('colours')),
                        'cpu', pred_score_thr=0.5)


def batch(*rows):
    videos, sentences = zip(*rows)
    return dict(video=np.array([str(v) for v in videos]),
                sentence=np.array(sentences), key=np.arange(len(rows)))


def test_rows_of_a_list(video, tmp_path):
    demo = Path(__file__).resolve().parents[2] / 'demo' / 'ray_data_demo.py'
    address = 'https://example.org/a.mp4'  # for the workers to fetch
    path = tmp_path / 'list.jsonl'
    path.write_text('\n'.join(
        json.dumps(dict(video=v, sentences=[RED, GREEN]))
        for v in (str(video), address)))
    rows = runpy.run_path(str(demo))['read_rows'](str(path))
    assert [(r['video'], r['sentence']) for r in rows] == [
        (v, s) for v in (str(video), address) for s in (RED, GREEN)]


def test_rows_keep_their_order_and_videos_are_decoded_once(ground, video,
                                                           tmp_path):
    other = tmp_path / 'other.mp4'
    other.write_bytes(Path(video).read_bytes())
    before = len(ground.inferencer.model.encoded)
    out = ground(batch((video, RED), (other, GREEN), (video, GREEN),
                       (other, 'blue')))
    assert len(ground.inferencer.model.encoded) - before == 2
    assert out['key'].tolist() == [0, 1, 2, 3]
    assert out['found'].tolist() == [True, True, True, False]
    assert out['start'].tolist() == [10, 0, 0, 0]
    assert out['end'].tolist() == [20, 30, 30, 30]
    assert out['error'].tolist() == [''] * 4
    results = [json.loads(r) for r in out['result']]
    assert [r['sentence'] for r in results] == [RED, GREEN, GREEN, 'blue']
    assert [r['video'] for r in results] == out['video'].tolist()
    assert out['confidence'].tolist() == [r['confidence'] for r in results]


def test_a_bad_video_spoils_no_other(ground, video, tmp_path):
    bad = tmp_path / 'bad.mp4'
    bad.write_text('no video')
    out = ground(batch((bad, RED), (video, RED), (tmp_path / 'gone.mp4', RED),
                       (video, ' ')))
    assert out['found'].tolist() == [False] * 4
    assert out['error'][0].startswith('VideoReadError: ')
    assert out['error'][2].startswith('FileNotFoundError: ')
    assert 'is empty' in out['error'][1] and 'is empty' in out['error'][3]
    assert out['start'].tolist() == [-1] * 4 and out['result'][0] == ''
    assert all(map(math.isnan, out['confidence']))
    out = ground(batch((bad, RED), (video, RED)))
    assert out['found'].tolist() == [False, True]


def test_stop(ground, video, tmp_path, monkeypatch):
    monkeypatch.setattr(ground, 'on_error', 'stop')
    with pytest.raises(FileNotFoundError):
        ground(batch((video, RED), (tmp_path / 'gone.mp4', RED)))
    with pytest.raises(ValueError, match="'skip' or 'stop', not 'ignore'"):
        GroundVideos(on_error='ignore')
    with pytest.raises(KeyError, match="no column 'sentence'"):
        ground(dict(video=np.array(['a'])))


class Mortal(GroundVideos):
    """The first worker that gets its second batch dies in it."""

    def __init__(self, folder, **kwargs):
        self.folder, self.calls = Path(folder), 0
        super().__init__(**kwargs)

    def __call__(self, batch):
        """Leave a mark of the process, die or answer."""
        (self.folder / f'{os.getpid()}.pid').touch()
        self.calls += 1
        if self.calls == 2:
            try:
                (self.folder / 'killed').touch(exist_ok=False)
            except FileExistsError:
                pass
            else:
                os.kill(os.getpid(), signal.SIGKILL)
        return super().__call__(batch)


def test_two_workers_of_which_one_is_killed(tmp_path):
    ray = pytest.importorskip('ray', reason='no Ray: pip install '
                              'costa_mm[ray]')
    pytest.importorskip('ray.data')
    ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])
    rows = []
    for i in range(6):
        frames = render_frames(draw_sample(Settings(), 'test', i))
        write_video(tmp_path / f'{i}.mp4', frames, 8)
        rows += [dict(video=str(tmp_path / f'{i}.mp4'), sentence=text)
                 for text in ('the red circle moves', 'the square stops')]
    ray.init(num_cpus=3, object_store_memory=10**8, include_dashboard=False,
             configure_logging=False)
    try:
        answers = ray.data.from_items(rows, override_num_blocks=6).map_batches(
            Mortal, batch_size=2, num_cpus=1,
            fn_constructor_kwargs=dict(
                folder=str(tmp_path), model='costa_tiny_synthetic',
                device='cpu'),
            compute=ray.data.ActorPoolStrategy(size=2)).take_all()
    finally:
        ray.shutdown()
    assert (tmp_path / 'killed').exists()
    assert len(list(tmp_path.glob('*.pid'))) >= 3  # two and a new one
    assert Counter((a['video'], a['sentence']) for a in answers) == Counter(
        (r['video'], r['sentence']) for r in rows)
    expected = GroundVideos('costa_tiny_synthetic', device='cpu')(dict(
        video=np.array([r['video'] for r in rows]),
        sentence=np.array([r['sentence'] for r in rows])))
    answers = {(a['video'], a['sentence']): a for a in answers}
    for row, result in zip(rows, expected['result']):
        assert answers[row['video'], row['sentence']]['result'] == result
