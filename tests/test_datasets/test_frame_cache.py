# Copyright (c) costa_mm authors. All rights reserved.
import os
import runpy
import sys
import time
import weakref
from pathlib import Path

import cv2
import numpy as np
import pytest
from test_datasets.conftest import read_number, write_video

from costa_mm.datasets import (HCSTVGDataset, LoadTubeAnnotations,
                               LoadVideoFrames, PyAVReader, VideoReadError)
from costa_mm.datasets.caching import CacheTask, largest_size, plan, store
from costa_mm.datasets.frame_cache import (cache_path, nearest, read_cache,
                                           read_header)
from costa_mm.datasets.readers import BehindEndError
from costa_mm.datasets.readers.display import Screen
from costa_mm.datasets.readers.pyav_video import PyAVVideo
from costa_mm.datasets.transforms.geometry import resize_frames
from costa_mm.structures import Tube
from costa_mm.utils.files import is_leftover, remove_leftovers

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def cached(tmp_path):
    video = str(write_video(tmp_path / 'a.mp4', size=(128, 192)))
    ids = np.arange(0, 48, 4)
    result = store(CacheTask(str(tmp_path / 'c'), video, ids, 96, None, 95))
    assert result.status == 'written'
    return video, str(tmp_path / 'c'), result


def test_nearest():
    stored = np.array([0, 4, 8, 20])
    wanted = np.array([0, 1, 2, 3, 7, 13, 15, 50])
    assert stored[nearest(stored, wanted)].tolist() == [
        0, 0, 0, 4, 8, 8, 20, 20
    ]
    assert nearest(np.array([5]), np.array([1, 9])).tolist() == [0, 0]


def test_frames_keep_their_numbers_and_boxes(cached):
    video, root, result = cached
    assert result.psnr[0] > 30
    results = dict(
        video_path=video, frame_ids=np.array([0, 8, 44]), width=192,
        height=128, gt_tube=Tube((8, 9), [8], [[20, 40, 100, 120]]))
    load = LoadVideoFrames(cache_root=root)
    load.reader = None  # the video is not touched
    results = LoadTubeAnnotations()(load(results))
    assert results['imgs'].shape == (3, 96, 144, 3)
    assert results['ori_shape'] == (128, 192)
    assert results['img_shape'] == (96, 144)
    np.testing.assert_allclose(results['gt_boxes'][1], [15, 30, 75, 90])
    big = np.stack([np.kron(i[::3, ::3, 0], np.ones((4, 4)))
                    for i in results['imgs']])
    assert [read_number(i[..., None]) for i in big] == [0, 8, 44]


def test_far_frames_are_decoded_near_ones_snap(cached):
    video, root, _ = cached
    results = dict(video_path=video, frame_ids=np.array([0, 5, 6, 7, 23]))
    exact = LoadVideoFrames(cache_root=root)(dict(results))
    assert exact['imgs'].shape[1] == 128
    assert exact['frame_ids'].tolist() == [0, 5, 6, 7, 23]
    near = LoadVideoFrames(cache_root=root, cache_tolerance=2)(dict(results))
    assert near['imgs'].shape[1] == 96
    assert near['frame_ids'].tolist() == [0, 4, 8, 24]


def test_without_a_cache_file_the_video_is_read(clip, tmp_path):
    results = LoadVideoFrames(cache_root=str(tmp_path))(
        dict(video_path=str(clip), frame_ids=np.array([3])))
    assert read_number(results['imgs'][0]) == 3


def test_resuming_and_settings(cached):
    video, root, _ = cached
    ids = np.arange(0, 48, 4)
    task = CacheTask(root, video, ids, 96, None, 95)
    assert store(task).status == 'reused'
    for other in (task._replace(quality=80), task._replace(short_side=64),
                  task._replace(frame_ids=ids[1:])):
        assert store(other).status == 'written'
    assert store(task).status == 'written'
    path = cache_path(root, video)
    with open(path, 'r+b') as f:  # one bit in a picture
        f.seek(-5000, os.SEEK_END)
        byte = f.read(1)[0]
        f.seek(-5000, os.SEEK_END)
        f.write(bytes([byte ^ 1]))
    assert store(task).status == 'written'
    assert store(task).status == 'reused'
    with open(path, 'r+b') as f:  # as after a full disk
        f.truncate(os.path.getsize(path) - 10)
    with pytest.raises(ValueError, match='broken at frame 44'):
        read_cache(path, ids)
    with pytest.raises(VideoReadError, match='cache_videos.py'):
        LoadVideoFrames(cache_root=root)(
            dict(video_path=video, frame_ids=ids))
    assert store(task).status == 'written'
    assert not [f for f in os.listdir(root) if is_leftover(f)]
    with open(path, 'wb') as f:
        f.write(b'junk')
    with pytest.raises(ValueError, match='no frame cache'):
        read_header(path)


def test_frames_that_the_container_only_promises(clip, tmp_path):
    task = CacheTask(
        str(tmp_path), str(clip), np.array([0, 40, 48, 49]), 448, 720, 95)
    assert store(task).status == 'written'
    header, _ = read_header(cache_path(str(tmp_path), str(clip)))
    assert (header.frame_ids, header.missing) == ([0, 40], [48, 49])
    assert store(task).status == 'reused'


def test_a_video_that_gets_shorter_with_every_look(clip, tmp_path,
                                                  monkeypatch):
    fill, ends = PyAVVideo.fill, [45, 41]

    def shorter(self, clip):
        if ends:
            raise BehindEndError(clip.path, clip.ids[-1], ends.pop(0))
        return fill(self, clip)

    monkeypatch.setattr(PyAVVideo, 'fill', shorter)
    task = CacheTask(
        str(tmp_path), str(clip), np.array([0, 40, 42, 46]), 448, 720, 95)
    assert store(task).status == 'written'
    header, _ = read_header(cache_path(str(tmp_path), str(clip)))
    assert (header.frame_ids, header.missing) == ([0, 40], [42, 46])
    # no frame at all
    ends.append(0)
    other = task._replace(frame_ids=np.array([40]))
    assert 'does not exist' in store(other).status


def test_videos_of_one_name_and_size_are_told_apart(tmp_path):
    videos = []
    for number in range(2):
        (tmp_path / str(number)).mkdir()
        videos.append(
            write_video(
                tmp_path / str(number) / 'a.avi', 4, codec='rawvideo',
                pts=None, options={}))
    content = bytearray(videos[1].read_bytes())
    content[-20000:] = bytes(20000)  # the last frame is another one
    videos[1].write_bytes(content)
    assert videos[0].stat().st_size == videos[1].stat().st_size
    root = str(tmp_path / 'cache')
    for video in videos:
        store(CacheTask(root, str(video), np.arange(4), 448, 720, 95))
    assert len(os.listdir(root)) == 2
    one, two = (read_cache(cache_path(root, str(v)), np.array([0, 3]))[0]
                for v in videos)
    assert (one[0] == two[0]).all() and (one[1] != two[1]).any()


def test_what_killed_runs_leave_is_removed(tmp_path):
    young = '.b.host.2.writing.frames'
    for name, age in (('.a.host.1.writing.frames', 4000), (young, 60),
                      ('c.frames', 4000)):
        (tmp_path / name).write_bytes(b'x')
        then = time.time() - age
        os.utime(tmp_path / name, (then, then))
    remove_leftovers(str(tmp_path), seconds=3600)
    assert sorted(os.listdir(tmp_path)) == [young, 'c.frames']


def test_frames_of_their_own_size_are_not_in_memory_together(
        clip, tmp_path, monkeypatch):
    alive, most, show = [], [], Screen.show

    class Watched(np.ndarray):
        pass

    def watched(self, frame):
        image = show(self, frame).view(Watched)
        alive.append(weakref.ref(image))
        most.append(sum(r() is not None for r in alive))
        return image

    monkeypatch.setattr(Screen, 'show', watched)
    task = CacheTask(str(tmp_path), str(clip), np.arange(48), 32, None, 95)
    assert store(task).status == 'written'
    assert len(most) >= 48 and max(most) <= 3


@pytest.mark.parametrize('side', [48, 448])
@pytest.mark.parametrize('step', [1, 5, 40])
@pytest.mark.parametrize('name, options', [
    ('a.mp4', {}), ('a.ts', {}), ('a.avi', dict(g='12', bf='2'))])
def test_stored_frames_are_those_of_one_read(name, options, step, side,
                                             tmp_path):
    video = str(write_video(tmp_path / name, size=(128, 192),
                            options=options))
    ids = np.arange(0, 48, step)
    task = CacheTask(str(tmp_path / 'c'), video, ids, side, None, 80)
    store(task)
    header, start = read_header(cache_path(task.root, video))
    frames = resize_frames(PyAVReader().read(video, ids), *header.shape,
                           'bilinear')
    with open(cache_path(task.root, video), 'rb') as f:
        stored = f.read()[start:]
    assert stored == b''.join(
        cv2.imencode('.jpg', frame[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 80])
        [1].tobytes() for frame in frames)
    assert header.ori_shape == [128, 192] and header.frame_ids == list(ids)


def test_small_videos_are_not_enlarged(clip, tmp_path):
    task = CacheTask(str(tmp_path), str(clip), np.arange(3), 448, 720, 95)
    store(task)
    header, _ = read_header(cache_path(str(tmp_path), str(clip)))
    assert tuple(header.shape) == (64, 96)


def test_a_broken_video_is_reported(test_data, tmp_path):
    video = str(test_data / 'odd' / 'decord_corrupted.mp4')
    result = store(
        CacheTask(str(tmp_path), video, np.arange(0, 50, 5), 48, None, 95))
    assert 'decord_corrupted' in result.status and not result.num_bytes
    assert not os.listdir(tmp_path)


def config(ann, videos, level):
    sample = dict(type='SampleFrames', num_frames=6)
    crop = dict(type='RandomTemporalCrop', level=level, prob=1.0)
    pipeline = [
        *([sample, crop] if level == 'frames' else [crop, sample]),
        dict(type='LoadVideoFrames'),
        dict(type='RandomBranch', branches=[
            [dict(type='ResizeClip', short_side=[20, 32], max_size=60)],
            [dict(type='ResizeClip', short_side=24)]
        ]),
    ]
    dataset = dict(
        type='costa_mm.HCSTVGDataset', ann_file=ann, data_prefix=videos,
        pipeline=pipeline)
    wrapped = dict(type='RepeatDataset', times=2, dataset=dataset)
    return dict(
        train_dataloader=dict(dataset=wrapped),
        test_dataloader=dict(
            dataset=dict(
                dataset, test_mode=True,
                pipeline=[dict(type='SampleFrames', num_frames=12)])))


@pytest.mark.parametrize('level', ['frames', 'segment'])
def test_plan_and_command(level, make_ann, clip, v1_entry, tmp_path,
                          monkeypatch, capsys):
    cfg = config(
        make_ann({clip.name: v1_entry}), dict(video=str(clip.parent)), level)
    assert largest_size(cfg) == (32, 60)
    frames, tolerance = plan(cfg)
    ids, = frames.values()
    assert set(np.linspace(0, 47, 12).astype(int)) <= set(ids)
    assert tolerance == (0 if level == 'frames' else 1)
    path = tmp_path / 'config.py'
    path.write_text('\n'.join(f'{k} = {v!r}' for k, v in cfg.items()))
    root = str(tmp_path / 'cache')
    script = ROOT / 'tools' / 'dataset_converters' / 'cache_videos.py'
    monkeypatch.setattr(
        sys, 'argv',
        [str(script), str(path), '--out', root, '--workers', '1'])
    assert runpy.run_path(str(script))['main']() == 0
    said = capsys.readouterr().out
    assert '1 written' in said and f'cache_tolerance={tolerance}' in said
    train = dict(cfg['train_dataloader']['dataset']['dataset'])
    train.pop('type')
    train['pipeline'][2].update(cache_root=root, cache_tolerance=tolerance)
    sample = HCSTVGDataset(**train)[0]
    assert set(sample['frame_ids']) <= set(ids)
