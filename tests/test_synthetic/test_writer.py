# Copyright (c) costa_mm authors. All rights reserved.
"""The benchmark's files, its oracles and its command."""
import importlib.util
import json
import multiprocessing
import time
from pathlib import Path
from threading import Thread

import numpy as np
import pytest
from PIL import Image

from costa_mm.datasets import PyAVReader
from costa_mm.structures import Tube
from costa_mm.synthetic import (Settings, draw_sample, format_report,
                                load_report, render_frames, run_oracles,
                                sample_entry, write_benchmark)
from costa_mm.synthetic.oracles import (ORACLES, best_constant_span,
                                        best_static_box, entry_tube)
from costa_mm.synthetic.writer import write_contact_sheet, write_sample
from costa_mm.utils.files import is_leftover
from costa_mm.utils.parallel import WorkerDiedError
from costa_mm.visualization import write_video

ROOT = Path(__file__).resolve().parents[2]
TOOL = ROOT / 'tools' / 'dataset_converters' / 'make_synthetic_stvg.py'
SETTINGS = Settings('medium', seed=3, size=64)
SIZES = dict(train=22, val=3, test=4)
V1_KEYS = dict(
    bbox=list, st_time=float, ed_time=float, img_num=int, caption=str,
    width=int, height=int, st_frame=int)


def contents(folder):
    return {
        str(p.relative_to(folder)): p.read_bytes()
        for p in sorted(folder.rglob('*')) if p.is_file()
    }


def run_tool(*args):
    spec = importlib.util.spec_from_file_location('make_synthetic', TOOL)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.main([str(a) for a in args])


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    """A small benchmark, written by one process."""
    out = tmp_path_factory.mktemp('synthetic') / 'one'
    assert write_benchmark(out, SETTINGS, SIZES)
    return out


# -- files -----------------------------------------------------------------
def test_same_seed_same_bytes_for_any_number_of_workers(folder, tmp_path):
    write_benchmark(tmp_path / 'two', SETTINGS, SIZES, num_workers=2)
    assert contents(tmp_path / 'two') == contents(folder)


def test_a_killed_worker_ends_the_writing_and_what_is_there_is_used(
        folder, tmp_path):

    def kill():
        while not list(tmp_path.rglob('train_0000?.mp4')):
            time.sleep(.01)
        multiprocessing.active_children()[0].kill()

    Thread(target=kill, daemon=True).start()
    with pytest.raises(WorkerDiedError, match=r"SIGKILL; in work: \('train'"):
        write_benchmark(tmp_path, SETTINGS, SIZES, num_workers=2)
    assert write_benchmark(tmp_path, SETTINGS, SIZES)
    there = contents(tmp_path)
    assert {k: v for k, v in there.items()
            if not is_leftover(Path(k).name)} == contents(folder)


def test_schema_is_v1(folder):
    for split, number in SIZES.items():
        entries = json.loads((folder / f'{split}.json').read_text())
        factors = json.loads((folder / f'{split}_factors.json').read_text())
        assert list(entries) == list(factors)
        assert len(entries) == number
        for name, entry in entries.items():
            assert (folder / 'videos' / split / name).is_file()
            for key, kind in V1_KEYS.items():
                assert type(entry[key]) is kind
            boxes = np.array(entry['bbox'])
            assert boxes.dtype.kind == 'i' and (boxes[:, 2:] > 0).all()
            assert (boxes[:, :2] >= 0).all()
            assert (boxes[:, :2] + boxes[:, 2:] <= 64).all()
            assert entry['st_time'] == (entry['st_frame'] - 1) / 8
            assert entry['ed_time'] == entry['st_time'] + len(boxes) / 8
            assert entry['st_frame'] + len(boxes) - 1 <= entry['img_num']
            assert {'recipe', 'distractor', 'event_kind', 'qtype',
                    'occlusion'} <= set(factors[name])


def test_videos_decode_with_their_frame_count(folder):
    decord = pytest.importorskip('decord')
    for path in (folder / 'videos').rglob('*.mp4'):
        reader = decord.VideoReader(str(path))
        assert len(reader) == SETTINGS.num_frames
        assert reader.get_avg_fps() == pytest.approx(SETTINGS.fps)
        assert reader[SETTINGS.num_frames - 1].shape == (64, 64, 3)


def test_records(folder):
    meta = json.loads((folder / 'meta.json').read_text())
    assert meta['complete'] is True
    assert meta['level'] == 'medium' and meta['seed'] == 3
    assert meta['sizes'] == SIZES and meta['version']
    assert set(load_report(folder)['oracles']) == set(ORACLES)
    for split in SIZES:
        png = (folder / f'contact_sheet_{split}.png').read_bytes()
        assert png.startswith(b'\x89PNG')


def test_dataset_class_reads_it(folder):
    from costa_mm.datasets import HCSTVGDataset
    dataset = HCSTVGDataset(
        ann_file='val.json',
        data_root=str(folder),
        data_prefix=dict(video='videos/val'),
        factors_file='val_factors.json',
        pipeline=[],
        test_mode=True)
    assert len(dataset) == SIZES['val']
    sample = draw_sample(SETTINGS, 'val', 0)
    record = dataset.get_data_info(0)
    assert record['sentence'] == sample.sentence
    assert record['gt_tube'].span == sample.span
    assert record['qtype'] == sample.query.qtype
    assert record['factors']['recipe'] == sample.recipe
    truth = sample.tracks[sample.target][slice(*sample.span)]
    np.testing.assert_allclose(record['gt_tube'].boxes, truth, atol=0.51)


# -- reuse -----------------------------------------------------------------
def test_complete_folder_is_reused(folder):
    before = {p: p.stat().st_mtime_ns for p in folder.rglob('*')}
    assert write_benchmark(folder, SETTINGS, SIZES) is False
    assert {p: p.stat().st_mtime_ns for p in folder.rglob('*')} == before


def test_half_written_folder_is_completed(tmp_path, capsys):
    sizes = dict(train=4, test=2)
    write_benchmark(tmp_path, SETTINGS, sizes)
    whole = contents(tmp_path)
    kept = tmp_path / 'videos' / 'train' / 'train_00001.mp4'
    age = kept.stat().st_mtime_ns
    (tmp_path / 'videos' / 'train' / 'train_00002.mp4').unlink()
    (tmp_path / 'train.json').unlink()
    assert write_benchmark(tmp_path, SETTINGS, sizes)
    assert '5 of 6 videos' in capsys.readouterr().out
    assert contents(tmp_path) == whole
    assert kept.stat().st_mtime_ns == age


def test_other_settings_need_overwrite(tmp_path):
    write_benchmark(tmp_path, SETTINGS, dict(val=2, test=2))
    other = Settings('easy', size=64)
    with pytest.raises(FileExistsError, match='--overwrite'):
        write_benchmark(tmp_path, other, dict(test=1))
    (tmp_path / 'notes.txt').write_text('mine')
    write_benchmark(tmp_path, other, dict(test=1), overwrite=True)
    names = {p.name for p in tmp_path.rglob('*') if p.is_file()}
    assert names == {
        'contact_sheet_test.png', 'meta.json', 'notes.txt', 'oracles.json',
        'test.json', 'test_00000.mp4', 'test_factors.json',
        'test_scenes.json'
    }


def test_foreign_folder_is_left_alone(tmp_path):
    (tmp_path / 'thesis.tex').write_text('x')
    with pytest.raises(FileExistsError, match='not empty'):
        write_benchmark(tmp_path, SETTINGS, SIZES)
    with pytest.raises(FileExistsError, match='is a file'):
        write_benchmark(tmp_path / 'thesis.tex', SETTINGS, SIZES)
    assert [p.name for p in tmp_path.iterdir()] == ['thesis.tex']


@pytest.mark.parametrize('sizes, workers, word', [
    (dict(train=-1, test=2), 1, 'negative'),
    (dict(), 1, 'positive'),
    (dict(test=1), 0, 'num_workers'),
])
def test_bad_numbers(tmp_path, sizes, workers, word):
    with pytest.raises(ValueError, match=word):
        write_benchmark(tmp_path, SETTINGS, sizes, num_workers=workers)
    assert not list(tmp_path.iterdir())


# -- command ---------------------------------------------------------------
def test_tool(tmp_path, capsys):
    args = [
        '--out', tmp_path / 'data', '--num-train', 3, '--num-val', 1,
        '--num-test', 2, '--size', 48, '--num-frames', 30, '--fps', 5,
        '--level', 'easy', '--seed', 7, '--workers', 1
    ]
    assert run_tool(*args) == 0
    assert 'event_only' in capsys.readouterr().out
    assert run_tool(*args) == 0
    out = capsys.readouterr().out
    assert 'reused' in out and 'event_only' in out
    assert run_tool(*args, '--seed', 8) == 2
    assert 'other settings' in capsys.readouterr().err
    assert run_tool(*args, '--size', 47) == 2
    assert 'even' in capsys.readouterr().err
    with pytest.raises(SystemExit):
        run_tool(*args, '--level', 'insane')


# -- video and sheet -------------------------------------------------------
def test_video_shows_what_was_rendered(tmp_path):
    sample = draw_sample(SETTINGS, 'test', 0)
    path = tmp_path / 'a.mp4'
    write_sample(path, sample)
    read = PyAVReader().read(str(path), np.arange(SETTINGS.num_frames))
    for ours, frame in zip(read, render_frames(sample)):
        assert np.abs(ours.astype(int) - frame).mean() <= 4
    assert [p.name for p in tmp_path.iterdir()] == ['a.mp4']


def test_sheet_marks_the_event(tmp_path):
    frames = [np.full((64, 64, 3), 20, np.uint8)] * 10
    write_video(tmp_path / 'a.mp4', frames, 5)
    entry = dict(
        bbox=[[10, 10, 30, 30]] * 5, st_frame=6, img_num=10, caption='A b.')
    write_contact_sheet(tmp_path / 's.png', {'a.mp4': entry}, tmp_path)
    sheet = np.asarray(Image.open(tmp_path / 's.png'))
    tiles = np.array_split(sheet[:, 6:], 10, axis=1)
    coloured = [(np.ptp(t.astype(int), axis=-1) > 100).sum() for t in tiles]
    # a thick box and a bar inside the event, nothing before it: the caption
    # has its colour in the first tile
    assert max(coloured[1:5]) == 0 and min(coloured[5:]) > 600


def test_sheet_errors(tmp_path):
    entry = sample_entry(draw_sample(SETTINGS, 'test', 0))
    with pytest.raises(ValueError, match='no samples'):
        write_contact_sheet(tmp_path / 'a.png', {}, tmp_path)
    with pytest.raises((OSError, ValueError), match='x.mp4'):
        write_contact_sheet(tmp_path / 'a.png', {'x.mp4': entry}, tmp_path)


# -- oracles ---------------------------------------------------------------
def test_constants_by_hand():
    tubes = [
        Tube(s, np.arange(*s), np.zeros((s[1] - s[0], 4)))
        for s in ((2, 6), (2, 6), (3, 9))
    ]
    assert best_constant_span(tubes, 12) == (2, 6)
    boxes = np.array([[0., 0, 4, 4], [0, 0, 4, 4], [20, 20, 24, 24]])
    np.testing.assert_allclose(best_static_box(boxes), [0, 0, 4, 4])


def test_entry_tube(folder):
    sample = draw_sample(SETTINGS, 'test', 0)
    tube = entry_tube(sample_entry(sample))
    assert tube.span == sample.span
    np.testing.assert_allclose(
        tube.boxes,
        sample.tracks[sample.target][slice(*sample.span)].clip(0, 64),
        atol=0.51)


@pytest.mark.parametrize('level', ['easy', 'medium', 'hard'])
def test_half_of_the_task_is_not_enough(level):
    settings = Settings(level)
    entries = {
        split: {
            str(i): sample_entry(draw_sample(settings, split, i))
            for i in range(n)
        }
        for split, n in (('train', 60), ('test', 60))
    }
    report = run_oracles(settings, entries)
    scores = {k: v['m_vIoU'] for k, v in report['oracles'].items()}
    assert scores['complete'] > 0.9
    assert scores['event_only'] < 0.55
    assert scores['appearance_only'] < 0.3
    assert scores['static_box'] < 0.33
    assert scores['shuffled_sentences'] < 0.6 * scores['complete']
    assert scores['blind_whole_video'] < 0.1
    assert scores['blind_mean'] < 0.1
    assert run_oracles(settings, entries) == report
    assert 'ceilings on 60 test samples' in format_report(report)


def test_oracles_at_easy_are_coin_tosses(folder):
    """One twin and one rival: half of the guesses are right."""
    settings = Settings('easy')
    entries = {
        'test': {
            str(i): sample_entry(draw_sample(settings, 'test', i))
            for i in range(20)
        }
    }
    oracles = run_oracles(settings, entries)['oracles']
    assert oracles['event_only']['vIoU@0.5'] == pytest.approx(0.5)
    half = pytest.approx(oracles['complete']['m_sIoU'] / 2, abs=1e-3)
    assert oracles['appearance_only']['m_sIoU'] == half
    assert oracles['no_language']['vIoU@0.5'] == pytest.approx(1 / 3)
    assert oracles['momentary'] == oracles['complete']


def test_at_turns_a_frame_does_not_tell_who_is_meant():
    settings = Settings('turns')
    entries = {
        'test': {
            str(i): sample_entry(draw_sample(settings, 'test', i))
            for i in range(40)
        }
    }
    scores = run_oracles(settings, entries)['oracles']
    momentary, complete = scores['momentary'], scores['complete']
    assert momentary['m_tIoU'] == 1.
    # one of two in more than half of the frames
    assert 0.68 < momentary['m_sIoU'] < 0.75 * complete['m_sIoU']
    assert scores['appearance_only']['m_vIoU'] < 0.35
    assert scores['no_language']['m_tIoU'] > 0.35
