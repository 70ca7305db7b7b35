# Copyright (c) costa_mm authors. All rights reserved.
"""What the converter writes says what was read, of every sentence."""
import json

import numpy as np
import pytest

from costa_mm.datasets import STVGDataset
from costa_mm.datasets.conversion import convert_dataset, to_stvg_format


def track(start, end, left=10):
    """An object that moves to the right."""
    return dict(start=start, boxes=[[left + i % 40, 2, left + 40 + i % 40, 40]
                                    for i in range(start, end)])


def entry(video_id, span, tracks, name='1', number=0, **more):
    return dict(path='clip.mp4', id=video_id, tracks=tracks, sentences=[
        dict(text='a man', id=f'{video_id}/{number}', span=span, track=name,
             **more)])


def facts(dataset):
    keys = ('video_path', 'video_id', 'sentence', 'qtype', 'segment',
            'factors')
    return {
        r['sample_id']: (*(r[key] for key in keys), r['gt_tube'].to_dict())
        for r in map(dataset.get_data_info, range(len(dataset)))
    }


@pytest.fixture
def convert(clip, make_ann):
    """Convert entries of a video; every sentence must stay as it was."""
    prefix = dict(video=str(clip.parent))

    def _convert(*entries):
        path = make_ann(dict(videos=list(entries)))
        before = STVGDataset(path, data_prefix=prefix)
        lazy = STVGDataset(path, data_prefix=prefix, lazy_init=True)
        data = to_stvg_format(convert_dataset(lazy), str(clip.parent))
        again = STVGDataset(make_ann(json.dumps(data), 'out.json'),
                            data_prefix=prefix)
        assert facts(again) == facts(before)
        return [sorted(v.get('tracks', {})) for v in data['videos']]

    return _convert


def test_two_entries_of_a_video_have_tracks_of_their_own(convert):
    assert convert(
        entry('s1', [10, 30], {'1': track(10, 30)}),
        entry('s2', [20, 40], {'1': track(20, 40, 50)},
              factors=dict(a=1), segment=[4, 45])) == [['1'], ['1']]


@pytest.mark.parametrize('other, names', [
    (track(10, 30), ['1']),
    (track(0, 48), ['1']),  # longer than any event
    (track(10, 30, 50), ['1', '1_2']),
    # no box is the other's, and a shared track would give the first one more
    (track(25, 30), ['1', '1_2']),
])
def test_one_name_for_two_objects_of_a_video(other, names, convert):
    first = dict(start=10, boxes=track(10, 25)['boxes'])
    assert convert(
        entry('v', [10, 30], {'1': first if names[1:] else track(10, 40)}),
        entry('v', [20, 30], {'1': other}, number=1)) == [names]


def test_names_that_are_taken(convert):
    tracks = {'1': track(0, 48), '1_2': track(0, 48, 30)}
    found, = convert(
        entry('v', [10, 30], tracks),
        entry('v', [10, 30], tracks, '1_2', number=1),
        entry('v', [10, 30], {'1': track(0, 48, 5)}, number=2),
        entry('v', [10, 30], {'1': track(0, 48, 7)}, number=3))
    assert len(found) == 4 and {'1', '1_2'} < set(found)


@pytest.mark.parametrize('seed', range(5))
def test_any_tracks(seed, convert):
    rng = np.random.default_rng(seed)
    entries = []
    for number in range(12):
        start = int(rng.integers(0, 30))
        end = start + int(rng.integers(4, 18))
        boxes = track(start, end, int(rng.choice([10, 40])))
        for hole in rng.integers(0, end - start, 2):
            boxes['boxes'][hole] = None
        entries.append(
            entry(f'v{rng.integers(2)}', [start, end], {'1': boxes},
                  number=number))
    convert(*entries)
