# Copyright (c) costa_mm authors. All rights reserved.
"""Annotations that go out and come back say what they said."""
import json
from xml.etree import ElementTree as XML

import numpy as np
import pytest
from test_datasets.conftest import write_video

from costa_mm.apis import write_annotations
from costa_mm.datasets import (COCOVideoDataset, CVATVideoDataset,
                               HCSTVGDataset, MOTDataset, SchemaError,
                               STVGDataset)
from costa_mm.evaluation.formats.cvat_video import visible_runs

BOX = [10, 2, 40, 30]


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    return write_video(tmp_path_factory.mktemp('v') / 'a.mp4').parent


@pytest.fixture
def own(folder, tmp_path):
    """A dataset of sentences about frames; options are of the class."""

    def _own(*sentences, **options):
        (tmp_path / 'own.json').write_text(json.dumps(dict(videos=[
            dict(path='a.mp4', sentences=list(sentences))])))
        return STVGDataset(str(tmp_path / 'own.json'), test_mode=True,
                           data_prefix=dict(video=str(folder)), **options)

    return _own


def event(span, frames, **more):
    return dict(text='a man', span=span, boxes={str(k): BOX for k in frames},
                **more)


def back(dataset, form, cls, folder, tmp_path):
    """All sentences as they are read back."""
    path = tmp_path / f'{form}.json'
    write_annotations(dataset, path, form)
    again = cls(str(path), data_prefix=dict(video=str(folder)),
                test_mode=True)
    assert not again.problems
    return [again.get_data_info(i) for i in range(len(again))]


@pytest.mark.parametrize('more', [
    dict(segment=[4, 45], factors=dict(event='run', speed=1.5)),
    dict(segment=[0, 40], qtype='interrogative'),
    dict(factors={}), dict(segment=[0, 48]), {}])
def test_the_own_form_loses_nothing(more, own, folder, tmp_path):
    dataset = own(event([5, 30], range(7, 20), **more),
                  dict(text='no box', span=[3, 9], **more))
    infos = back(dataset, 'stvg', STVGDataset, folder, tmp_path)
    for i, info in enumerate(infos):
        before = dataset.get_data_info(i)
        assert info['gt_tube'].to_dict() == before['gt_tube'].to_dict()
        for key in ('sample_id', 'segment', 'factors', 'qtype', 'fps'):
            assert info[key] == before[key]
    sentence = json.loads((tmp_path / 'stvg.json').read_text())[
        'videos'][0]['sentences'][0]
    assert ('segment' in sentence) == (more.get('segment', [0, 48]) != [0, 48])
    assert ('factors' in sentence) == ('factors' in more)


def test_hcstvg_keeps_the_query_type(own, folder, tmp_path):
    dataset = own(event([5, 9], range(5, 9), qtype='interrogative'))
    info, = back(dataset, 'hcstvg', HCSTVGDataset, folder, tmp_path)
    assert info['qtype'] == 'interrogative'


SPARSE = [
    ([10, 40], [*range(12, 20), *range(30, 36)]),
    ([5, 9], range(5, 9)),
    ([0, 48], range(4, 48)),
    ([0, 48], range(0, 40)),
    ([3, 47], [20]),
    ([3, 47], range(3, 47, 8)),
]


@pytest.mark.parametrize('form, cls', [
    ('cvat_video', CVATVideoDataset), ('mot', MOTDataset),
    ('coco_video', COCOVideoDataset)])
def test_events_that_are_longer_than_their_boxes(form, cls, own, folder,
                                                 tmp_path):
    dataset = own(*(event(*case) for case in SPARSE))
    infos = back(dataset, form, cls, folder, tmp_path)
    assert [(list(i['gt_tube'].span), i['gt_tube'].frame_ids.tolist())
            for i in infos] == [(span, list(f)) for span, f in SPARSE]


@pytest.mark.parametrize('form', ['cvat_video', 'mot', 'coco_video'])
def test_an_event_without_a_box_is_refused(form, own, tmp_path):
    sentences = event([5, 9], [6]), dict(text='a', span=[3, 9], id='bare')
    with pytest.raises(ValueError, match="'bare' has no box.*truth_only"):
        write_annotations(own(*sentences), tmp_path / 'out', form)
    assert not (tmp_path / 'out').exists()
    dataset = own(*sentences, filter_cfg=dict(truth_only=True))
    assert write_annotations(dataset, tmp_path / 'out', form) == 1


@pytest.mark.parametrize('frames, runs', [
    (range(5, 9), [4]),
    ([*range(12, 20), *range(30, 36)], [8, 6]),
    ([*range(12, 20), 25, *range(30, 36)], [8, 1, 6]),
    ([*range(5), *range(6, 9)], [5, 3]),  # one box was dropped
    ([*range(5), 9], [5, 1]),
    ([9, *range(20, 23)], [1, 3]),
    (range(0, 40, 8), [5]),  # key frames
    ([0, 10, 20, 21, 40], [5]),
    ([7], [1]),
])
def test_gaps_are_no_key_frame_distances(frames, runs):
    places = visible_runs(np.array(frames))
    assert [len(run) for run in places] == runs
    assert np.concatenate(places).tolist() == list(range(len(frames)))


def interpolated(track, num_frames):
    """Frames in which CVAT shows a track, from its key frames alone."""
    shown, on = [], False
    keys = {int(b.get('frame')): b.get('outside') == '0'
            for b in track.iter('box') if b.get('keyframe') == '1'}
    for frame in range(num_frames):
        on = keys.get(frame, on)
        shown += [frame] if on else []
    return shown


@pytest.mark.parametrize('span, frames', SPARSE)
def test_cvat_shows_no_box_in_a_gap(span, frames, own, tmp_path):
    write_annotations(own(event(span, frames)), tmp_path, 'cvat_video')
    track, = XML.parse(tmp_path / 'a.xml').getroot().iter('track')
    shown = interpolated(track, 48)
    if len(frames) > 2 and frames[1] - frames[0] > 1:  # key frames
        frames = range(frames[0], frames[-1] + 1)
    assert shown == list(frames)


@pytest.mark.parametrize('text, span', [
    ('[2, 30]', (2, 30)), ('[7, 8]', (5, 9)), (' ', (5, 9)),
    ('[5, 7]', (5, 9)), ('[0,9]', (0, 9))])
def test_a_corrected_event_span(text, span, own, folder, tmp_path):
    write_annotations(own(event([3, 40], range(5, 9))), tmp_path,
                      'cvat_video')
    file = tmp_path / 'a.xml'
    file.write_text(file.read_text().replace('[3, 40]', text))
    prefix = dict(video=str(folder))
    dataset = CVATVideoDataset(str(file), data_prefix=prefix)
    assert dataset.get_data_info(0)['gt_tube'].span == span
    for wrong in ('3-40', '[40, 3]', '[3]', 'x'):
        file.write_text(file.read_text().replace(f'>{text}<', f'>{wrong}<'))
        text = wrong
        with pytest.raises(SchemaError, match=f'a.mp4: event_span .{wrong[0]}'
                           if wrong[0] != '[' else r'a.mp4: event_span .\['):
            CVATVideoDataset(str(file), data_prefix=prefix)
