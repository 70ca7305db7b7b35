# Copyright (c) costa_mm authors. All rights reserved.
"""What other programs read, and the way back into a dataset."""
import dataclasses
import json
import runpy
import sys
from pathlib import Path
from xml.etree import ElementTree as XML

import numpy as np
import pytest
from test_apis.moving_tube import result
from test_datasets.conftest import write_video

from costa_mm.apis import (dump_results, load_results, write_annotations,
                           write_results)
from costa_mm.datasets import SchemaError
from costa_mm.datasets.conversion import build_dataset
from costa_mm.datasets.validation import check_annotations, find_dataset_type
from costa_mm.evaluation.formats.cvat_video import key_frames

ROOT = Path(__file__).resolve().parents[2]
CLASSES = dict(
    stvg='STVGDataset', coco_video='COCOVideoDataset', mot='MOTDataset',
    cvat_video='CVATVideoDataset', vidstg='VidSTGDataset',
    hcstvg='HCSTVGDataset')
FILES = dict(stvg='a.json', coco_video='a.json', hcstvg='a.json')


@pytest.fixture(scope='module')
def videos(tmp_path_factory):
    """Two videos of one name, 48 frames of 96 x 64 at 24 per second."""
    root = tmp_path_factory.mktemp('videos')
    write_video(root / 'dog.mp4')
    (root / 'sub').mkdir()
    write_video(root / 'sub' / 'dog.mp4')
    return root


@pytest.fixture
def results(videos):
    """Three that were found, one of them elsewhere, and one that was not."""
    return [
        result(videos / 'dog.mp4', 'dog_0', (5, 30)),
        result(videos / 'dog.mp4', 'dog_1', (30, 48), 'who barks?'),
        result(videos / 'dog.mp4', 'dog_2', (0, 2), 'no', found=False),
        result(videos / 'sub' / 'dog.mp4', 'dog-2', (10, 11), 'läuft')
    ]


def read_back(form, path, videos, **options):
    if form == 'vidstg':
        options['data_prefix'] = dict(vidor=str(path / 'vidor'))
        path /= 'annotations.json'
    return build_dataset(CLASSES[form], str(path), str(videos),
                         serialize_data=False, **options)


@pytest.mark.parametrize('form', CLASSES)
def test_round_trip(form, results, videos, tmp_path):
    if form == 'hcstvg':  # one sentence per video
        del results[1]
    path = tmp_path / FILES.get(form, 'folder')
    found = [r for r in results if r.found]
    assert write_results(results, path, form) == len(found)
    dataset = read_back(form, path, videos)
    infos = {
        (Path(i['video_path']), i['sentence']): i
        for i in map(dataset.get_data_info, range(len(dataset)))
    }
    assert len(infos) == len(dataset) == len(found)
    for r in found:
        info = infos[Path(r.video), r.sentence]
        start, end = r.span
        assert info['gt_tube'].span == r.span and info['fps'] == 24
        assert (info['width'], info['height']) == (96, 64)
        assert info['gt_tube'].frame_ids.tolist() == list(range(start, end))
        np.testing.assert_allclose(info['gt_tube'].boxes, r.boxes[start:end],
                                   atol=0.006)


@pytest.mark.parametrize('form', ['mot', 'cvat_video', 'coco_video'])
def test_the_checker_knows_the_form(form, results, videos, tmp_path):
    path = tmp_path / FILES.get(form, 'folder')
    write_results(results, path, form)
    assert find_dataset_type(str(path)).__name__ == CLASSES[form]
    report = check_annotations(str(path), str(videos))
    assert report.num_usable == 3 and not report.problems


def test_own_annotations_go_to_a_labelling_tool(results, videos, tmp_path):
    write_results(results, tmp_path / 'own.json', 'stvg')
    own = read_back('stvg', tmp_path / 'own.json', videos)
    assert write_annotations(own, tmp_path / 'cvat', 'cvat_video') == 3
    assert (tmp_path / 'cvat' / 'sub' / 'dog.xml').is_file()
    back = read_back('cvat_video', tmp_path / 'cvat', videos)
    assert [back.get_data_info(i)['gt_tube'].span for i in range(3)] == [
        own.get_data_info(i)['gt_tube'].span for i in range(3)]


def test_cvat_file(results, tmp_path):
    """Few key frames, every box, the track switched off behind the event."""
    write_results(results, tmp_path, 'cvat_video')
    root = XML.parse(tmp_path / 'dog.xml').getroot()
    assert root.findtext('meta/source') == 'dog.mp4'
    assert root.findtext('meta/task/size') == '48'
    first, second = root.iter('track')
    boxes = first.findall('box')
    assert [b.get('frame') for b in boxes] == [str(f) for f in range(5, 31)]
    assert [b.get('frame') for b in boxes if b.get('keyframe') == '1'] == [
        '5', '20', '29', '30']
    assert [b.get('outside') for b in boxes] == ['0'] * 25 + ['1']
    assert boxes[0].findtext('attribute') == 'the <dog> & "its" ball'
    assert boxes[0].get('xtl') == '28.75' and boxes[0].get('ybr') == '60.00'
    assert [b.get('outside') for b in second] == ['0'] * 18  # to the end


def test_key_frames_leave_no_box_off():
    rng = np.random.default_rng(0)
    frames = np.sort(rng.choice(300, 120, replace=False))
    boxes = rng.normal(0, 0.4, (120, 4)).cumsum(0)
    keys = key_frames(frames, boxes)
    assert 2 < len(keys) < 120
    line = [np.interp(frames, frames[keys], boxes[keys, i]) for i in range(4)]
    assert np.abs(np.stack(line, 1) - boxes).max() <= 0.5
    assert key_frames(frames[:1], boxes[:1]) == [0]


def test_coco_video_is_read_by_mmdet(results, tmp_path):
    base = pytest.importorskip('mmdet.datasets.base_video_dataset')
    write_results(results, tmp_path / 'coco.json', 'coco_video')
    dataset = base.BaseVideoDataset(
        ann_file=str(tmp_path / 'coco.json'), test_mode=True,
        metainfo=dict(classes=('object', )))
    assert [v['video_length'] for v in map(dataset.get_data_info,
                                           range(2))] == [48, 48]
    images = dataset.get_data_info(0)['images']
    assert [len(i['instances']) for i in images] == [0] * 5 + [1] * 43
    assert images[7]['frame_id'] == 7
    assert images[7]['instances'][0]['instance_id'] == 1
    np.testing.assert_allclose(images[7]['instances'][0]['bbox'],
                               results[0].boxes[7], atol=0.006)


def test_mot_lines(results, tmp_path):
    write_results(results, tmp_path, 'mot')
    lines = (tmp_path / 'dog' / 'gt' / 'gt.txt').read_text().splitlines()
    assert lines[0] == '6,1,28.75,4.25,30.0,55.75,1,1,1'
    assert len(lines) == 25 + 18 and lines[25].startswith('31,2,')
    info = (tmp_path / 'dog' / 'seqinfo.ini').read_text()
    assert 'imWidth=96\n' in info and 'seqLength=48\n' in info


def test_subtitles(results, tmp_path):
    write_results(results, tmp_path, 'srt')
    write_results(results, tmp_path, 'vtt')
    assert (tmp_path / 'dog.srt').read_text().split('\n\n')[0] == (
        '1\n00:00:00,208 --> 00:00:01,250\nthe <dog> & "its" ball')
    assert (tmp_path / 'dog.vtt').read_text() == (
        'WEBVTT\n\n1\n00:00:00.208 --> 00:00:01.250\n'
        'the &lt;dog&gt; &amp; "its" ball\n\n'
        '2\n00:00:01.250 --> 00:00:02.000\nwho barks?\n')
    assert 'läuft' in (tmp_path / 'sub' / 'dog.srt').read_text('utf-8')


def test_subtitles_keep_to_the_true_clock(videos, tmp_path):
    late = result(videos / 'dog.mp4', 'a', (5, 30),
                  seconds=3700 + np.arange(49.)**2)
    write_results([late], tmp_path, 'srt')
    assert '01:02:05,000 --> 01:16:40,000' in (
        tmp_path / 'dog.srt').read_text()
    blind = dataclasses.replace(
        late, seconds=None, tube=dataclasses.replace(late.tube, fps=None))
    with pytest.raises(ValueError, match="'a': subtitles need seconds"):
        write_results([blind], tmp_path, 'vtt')


def test_results_survive_their_file(results, videos, tmp_path):
    steady = dataclasses.replace(results[0], seconds=np.arange(49) / 24 + 4e-4)
    jerky = dataclasses.replace(results[1], seconds=np.arange(49.)**2,
                                attendance=np.array([.1, .9, .3]))
    dump_results([steady, jerky, results[2]], tmp_path / 'tubes.json')
    back = load_results(tmp_path / 'tubes.json')
    assert [b.to_dict() for b in back] == [
        dict(r.to_dict(), span_seconds=list(b.span_seconds))
        for r, b in zip((steady, jerky, results[2]), back)]
    assert back[0].seconds is None
    assert back[0].span_seconds == pytest.approx(steady.span_seconds, abs=1e-3)
    assert back[1].span_seconds == jerky.span_seconds == (900, 2304)
    assert not back[2].found and back[1].attendance.tolist() == [.1, .9, .3]
    entries = json.loads((tmp_path / 'tubes.json').read_text())
    del entries['dog_1']['spans']
    (tmp_path / 'tubes.json').write_text(json.dumps(entries))
    with pytest.raises(ValueError, match="tubes.json, entry 'dog_1': not a"):
        load_results(tmp_path / 'tubes.json')


def test_what_a_form_cannot_hold(results, tmp_path):
    with pytest.raises(ValueError, match="'dog.mp4' has two sentences"):
        write_results(results, tmp_path / 'a.json', 'hcstvg')
    with pytest.raises(ValueError, match="unknown format 'kitti'"):
        write_results(results, tmp_path / 'a.json', 'kitti')
    with pytest.raises(NotADirectoryError, match='cvat_video folder'):
        (tmp_path / 'file').write_text('')
        write_results(results, tmp_path / 'file', 'cvat_video')
    unsized = dataclasses.replace(results[0], size=None)
    with pytest.raises(ValueError, match="'dog_0': size not known"):
        write_results([unsized], tmp_path / 'a.json', 'coco_video')
    assert [p.name for p in tmp_path.iterdir()] == ['file']


def test_the_tool(results, tmp_path, monkeypatch, capsys):
    dump_results(results, tmp_path / 'tubes.json')
    tool = ROOT / 'tools' / 'dataset_converters' / 'export_tubes.py'

    def run(form):
        monkeypatch.setattr(
            sys, 'argv', ['export_tubes', str(tmp_path / 'tubes.json'),
                          '--format', form, '--out', str(tmp_path / form)])
        runpy.run_path(str(tool))['main']()

    run('mot')
    assert '3 sentences' in capsys.readouterr().out
    with pytest.raises(ValueError, match='has two sentences'):
        run('hcstvg')


def broken_cvat(folder, change):
    text = (folder / 'dog.xml').read_text()
    (folder / 'dog.xml').write_text(change(text))
    return str(folder / 'dog.xml')


@pytest.mark.parametrize('change, message', [
    (lambda t: t[:200], 'is not an XML file'),
    (lambda t: t.replace('annotations>', 'songs>'), 'expected "CVAT'),
    (lambda t: t.replace('<task>', '<project /><task>'), 'export its tasks'),
    (lambda t: t.replace('frame="7"', ''), "the key 'frame' is missing"),
    (lambda t: t.replace('frame="7"', 'frame="6"'), 'two boxes in frame 6'),
    (lambda t: t.replace('xtl="28.75"', 'xtl="wide"'), "float: 'wide'"),
])
def test_broken_cvat_files(change, message, results, videos, tmp_path):
    write_results(results, tmp_path, 'cvat_video')
    with pytest.raises(SchemaError, match=message):
        read_back('cvat_video', broken_cvat(tmp_path, change), videos)


def test_tracks_without_a_sentence(results, videos, tmp_path):
    write_results(results, tmp_path, 'cvat_video')
    path = broken_cvat(tmp_path,
                       lambda t: t.replace('>who barks?<', '>\n \n<'))
    dataset = read_back('cvat_video', path, videos)
    assert len(dataset) == 1
    assert 'tracks without a sentence (left out): dog.mp4' in \
        dataset.problems.summary()


def test_several_sentences_of_a_track(results, videos, tmp_path):
    write_results(results, tmp_path, 'cvat_video')
    path = broken_cvat(
        tmp_path, lambda t: t.replace('>who barks?<', '>who barks?\nit<'))
    dataset = read_back('cvat_video', path, videos)
    infos = [dataset.get_data_info(i) for i in range(3)]
    assert [i['sentence'] for i in infos[1:]] == ['who barks?', 'it']
    assert infos[1]['gt_tube'].span == infos[2]['gt_tube'].span == (30, 48)


@pytest.mark.parametrize('change, message', [
    (dict(dog={'1': 'runs', '9': 'sits'}), 'track 9: there is a sentence and'),
    (dict(dog={'1': 7}), '7 is not a sentence'),
    (dict(dog={'1': dict(sentence='x', span=[9, 2])}), r'\[9, 2\] is empty'),
    (dict(cat={'1': 'runs'}), "the sequence 'cat', and there is no"),
    ([], 'expected a folder'),
])
def test_broken_mot_sentences(change, message, results, videos, tmp_path):
    write_results(results, tmp_path, 'mot')
    (tmp_path / 'sentences.json').write_text(json.dumps(change))
    with pytest.raises(SchemaError, match=message):
        read_back('mot', tmp_path, videos)


def test_broken_mot_line(results, videos, tmp_path):
    write_results(results, tmp_path, 'mot')
    (tmp_path / 'dog' / 'gt' / 'gt.txt').write_text('6,1,5,4,30\n')
    with pytest.raises(SchemaError, match="gt.txt, line 1: '6,1,5,4,30'"):
        read_back('mot', tmp_path, videos)


@pytest.mark.parametrize('change, message', [
    (lambda d: d['annotations'][0].pop('bbox'), "the key 'bbox' is missing"),
    (lambda d: d['annotations'][0].update(image_id=0), 'ids fit together'),
    (lambda d: d['images'][5].update(frame_id=-1), 'is not between 0'),
    (lambda d: d['instances'][0].update(sentence=''), 'is not a sentence'),
])
def test_broken_coco_files(change, message, results, videos, tmp_path):
    write_results(results, tmp_path / 'a.json', 'coco_video')
    data = json.loads((tmp_path / 'a.json').read_text())
    change(data)
    (tmp_path / 'a.json').write_text(json.dumps(data))
    with pytest.raises(SchemaError, match=message):
        read_back('coco_video', tmp_path / 'a.json', videos)
