# Copyright (c) costa_mm authors. All rights reserved.
import json
import runpy
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
from test_datasets.conftest import write_video

from costa_mm.datasets import HCSTVGDataset, VidSTGDataset
from costa_mm.datasets.conversion import convert_dataset
from costa_mm.datasets.validation import check_annotations

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def run(monkeypatch, capsys):
    """Run a script of ``tools/dataset_converters`` in this process."""

    def _run(script, *args):
        path = ROOT / 'tools' / 'dataset_converters' / script
        monkeypatch.setattr(sys, 'argv', [str(path), *map(str, args)])
        status = runpy.run_path(str(path))['main']()
        return status or 0, capsys.readouterr().out

    return _run


def test_hcstvg_real_clips(test_data, tmp_path, run):
    clips = test_data / 'real_clips'
    entries = json.loads((clips / 'real_clips.json').read_text())
    for entry in entries.values():  # the form of v2
        entry['English'] = entry.pop('caption')
        del entry['width'], entry['height']
    entries['gone.mp4'] = entries['otb_Crossing.mp4']
    entries['bad.mp4'] = dict(English='no boxes', bbox=[], st_frame=1)
    (tmp_path / 'v2.json').write_text(json.dumps(entries))
    out = tmp_path / 'sub' / 'ann.json.gz'
    _, said = run('hcstvg.py', tmp_path / 'v2.json', clips, '--out', out,
                  '--workers', 2)
    assert '8 sentences of 8 videos' in said
    assert '2 x missing video: bad.mp4, gone.mp4' in said
    report = json.loads((tmp_path / 'sub' / 'ann_report.json').read_text())
    assert report['kept'] == 8 and len(report['notes']) == 2
    prefix = dict(video=str(clips))
    raw = HCSTVGDataset(
        str(clips / 'real_clips.json'), data_prefix=prefix)
    new = HCSTVGDataset(str(out), data_prefix=prefix)
    for i in range(8):
        a, b = raw.get_data_info(i), new.get_data_info(i)
        assert a['sample_id'] == b['sample_id'] and a['width'] == b['width']
        assert a['fps'] == pytest.approx(b['fps'], rel=1e-3)  # none is 20 s
        np.testing.assert_array_equal(a['gt_tube'].boxes, b['gt_tube'].boxes)


def test_the_twenty_second_rule(tmp_path):

    def convert(**options):
        dataset = HCSTVGDataset(
            str(tmp_path / 'a.json'),
            data_prefix=dict(video=str(tmp_path)),
            lazy_init=True,
            **options)
        return convert_dataset(dataset).records[0]['fps']

    write_video(tmp_path / 'a.mp4', 98, fps=5, options=dict(
        preset='ultrafast'))
    entry = dict(bbox=[[1, 1, 9, 9]], st_frame=1, caption='x', img_num=98)
    (tmp_path / 'a.json').write_text(json.dumps({'a.mp4': entry}))
    assert convert(clip_seconds=20.0) == pytest.approx(4.9)
    assert convert() == pytest.approx(5)
    assert convert(clip_seconds=30) == pytest.approx(5)


def test_vidstg_real_video(test_data, tmp_path, run):
    vid = '11566930393'
    write_video(
        tmp_path / f'{vid}.mp4', 872, size=(480, 640), fps=30,
        options=dict(preset='ultrafast', g='250'))
    ann = test_data / 'vidstg' / f'test_annotations_{vid}.json'
    out = tmp_path / 'ann.json'
    run('vidstg.py', ann, tmp_path, test_data / 'vidor', '--out', out,
        '--workers', 1)
    video, = json.loads(out.read_text())['videos']
    assert set(video['tracks']) == {'0', '1'}
    raw = VidSTGDataset(
        str(ann),
        data_prefix=dict(
            video=str(tmp_path), vidor=str(test_data / 'vidor')))
    new = VidSTGDataset(str(out), data_prefix=dict(video=str(tmp_path)))
    fps = new.get_data_info(0)['fps']
    assert fps == pytest.approx(30)
    same = [d.get_data_info(5) for d in (raw, new)]
    assert same[0]['gt_tube'].frame_ids.tolist() == same[1][
        'gt_tube'].frame_ids.tolist()
    np.testing.assert_array_equal(same[0]['gt_tube'].boxes,
                                  same[1]['gt_tube'].boxes)
    assert same[0]['segment'] == same[1]['segment']


def test_converters_say_what_is_wrong(tmp_path, run):
    (tmp_path / 'x.json').write_text('[]')
    with pytest.raises(ValueError, match='x.json'):
        run('hcstvg.py', tmp_path / 'x.json', tmp_path, '--out',
            tmp_path / 'o.json', '--workers', 1)
    assert not (tmp_path / 'o.json').exists()
    with pytest.raises(KeyError, match="'STVG', only .*, STVGDataset, "):
        run('convert_dataset.py', 'STVG', tmp_path / 'x.json', tmp_path,
            '--out', tmp_path / 'o.json')


def own(clip, **changes):
    good = dict(text='a man', span=[3, 9], boxes={'4': [1, 2, 30, 40]})
    return dict(videos=[
        dict(
            path=clip.name,
            sentences=[good, dict(good, **changes),
                       dict(good, text='')])
    ])


@pytest.fixture
def own_file(tmp_path):
    clip = write_video(tmp_path / 'clip.mp4')

    def write(**changes):
        path = tmp_path / 'own.json'
        path.write_text(json.dumps(own(clip, **changes)))
        return str(path)

    return write


@pytest.mark.parametrize('change, level, what', [
    (dict(span=[60, 70]), 'skipped', 'event behind the end'),
    (dict(span=[3, 70]), 'warning', 'event cut at the end'),
    (dict(boxes={'4': [9, 9, 2, 2]}), 'skipped', 'no usable box'),
    (dict(boxes={'4': [1, 1, 9, 9], '5': [9, 9, 2, 2]}), 'warning',
     'some boxes'),
    (dict(span=None, boxes=None), 'skipped', 'no true span'),
    (dict(txt=3), 'error', 'unknown keys'),
    (dict(segment=[20, 30]), 'skipped', 'outside the segment'),
])
def test_the_validator_finds_every_problem(change, level, what, own_file,
                                           tmp_path):
    from costa_mm.datasets import PyAVReader
    report = check_annotations(
        own_file(**change), str(tmp_path), PyAVReader())
    assert report.dataset_type == 'STVGDataset'
    by_what = {p.what: p for p in report.problems}
    found = [p for w, p in by_what.items() if what in w]
    assert found and found[0].level == level and found[0].fix
    # the broken third sentence does not hide the second one
    assert any('is not a sentence' in w for w in by_what)


def test_validator_compares_with_the_video(tmp_path, own_file):
    from costa_mm.datasets import PyAVReader
    content = json.loads(Path(own_file()).read_text())
    content['videos'][0].update(num_frames=40, width=64, fps=24.1)
    (tmp_path / 'own.json').write_text(json.dumps(content))
    report = check_annotations(
        str(tmp_path / 'own.json'), str(tmp_path), PyAVReader())
    whats = {p.what for p in report.problems}
    assert ('num_frames differs from the video: it is 40, the video has 48'
            in whats)
    assert 'width differs from the video: it is 64, the video has 96' in whats
    assert not any(w.startswith('fps') for w in whats)


def test_check_annotations_command(test_data, tmp_path, run):
    clips = test_data / 'real_clips'
    status, said = run('check_annotations.py', clips / 'real_clips.json',
                       '--videos', clips, '--open')
    assert status == 0
    assert ('HCSTVGDataset, 8 sentences, 0 errors, 0 skipped, 0 warnings'
            in said)
    _, said = run('check_annotations.py',
                  test_data / 'vidstg' / 'val_annotations.json')
    assert 'VidSTGDataset, 8956 sentences' in said
    (tmp_path / 'x.json').write_text('{"videos": 3}')
    status, said = run('check_annotations.py', tmp_path / 'x.json')
    assert status == 1 and 'no known format' in said
    shutil.copy(clips / 'real_clips.json', tmp_path / 'r.json')
    status, said = run('check_annotations.py', tmp_path / 'r.json',
                       '--videos', tmp_path)
    # the reason comes before its 8 effects
    assert status == 1 and said.startswith('error: no video that')
    assert said.count('missing video') == 8


FILMS = """
from costa_mm.datasets import BaseSTVGDataset, SentenceAnnotation
from costa_mm.registry import DATASETS


@DATASETS.register_module(force=True)
class FilmsForTest(BaseSTVGDataset):

    def parse_data_info(self, key, entry):
        return [SentenceAnnotation(key, key, key, entry['text'], span=(4, 6),
                                   frame_ids=[4, 5], boxes=entry['boxes'])]
"""


def test_a_class_of_ones_own_has_checker_and_converter(
        tmp_path, run, monkeypatch):
    (tmp_path / 'films_for_test.py').write_text(FILMS)
    monkeypatch.syspath_prepend(tmp_path)
    write_video(tmp_path / 'a.mp4')
    good, ann = dict(text='a man', boxes=[[1, 2, 30, 40]] * 2), tmp_path / 'f'
    ann.write_text(json.dumps({'a.mp4': good, 'b.mp4': 3, 'c.mp4': {}}))
    own_class = ('--custom-imports', 'films_for_test')
    status, said = run('check_annotations.py', ann, '--videos', tmp_path,
                       '--dataset-type', 'FilmsForTest', *own_class)
    assert status == 1
    assert 'error: b.mp4: TypeError' in said
    assert "error: c.mp4: the key 'text' is missing; fix: correct" in said
    assert 'skipped: c.mp4: missing video' in said
    assert 'FilmsForTest, 1 sentences, 2 errors, 2 skipped' in said
    out = tmp_path / 'out.json'
    run('convert_dataset.py', 'FilmsForTest', ann, tmp_path, '--out', out,
        '--workers', 1, *own_class)
    assert len(json.loads(out.read_text())['videos']) == 1
    status, said = run('check_annotations.py', out, '--videos', tmp_path,
                       '--open')
    assert status == 0 and 'STVGDataset, 1 sentences, 0 errors' in said
    status, said = run('check_annotations.py', ann, '--dataset-type', 'Gone')
    assert status == 1 and "no dataset class 'Gone'" in said
