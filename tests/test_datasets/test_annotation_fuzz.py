# Copyright (c) costa_mm authors. All rights reserved.
"""Whatever an annotation file holds: a valid record, or an error that names
the file."""
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from costa_mm.datasets import (BaseVideoReader, HCSTVGDataset, SchemaError,
                               STVGDataset, VideoInfo, VidSTGDataset)


class FakeReader(BaseVideoReader):
    """Knows every video, so that nothing is decoded."""

    def _probe(self, path):
        return VideoInfo(48, 24.0, 96, 64)

    def _read(self, path, ids):
        raise NotImplementedError


scalars = st.one_of(st.none(), st.booleans(), st.integers(-5, 60),
                    st.integers(), st.floats(), st.text(max_size=5))
junk = st.recursive(
    scalars, lambda x: st.one_of(
        st.lists(x, max_size=3), st.dictionaries(
            st.text(max_size=5), x, max_size=3)), max_leaves=8)
number = st.one_of(st.integers(-50, 120), st.integers(0, 48), scalars)
box = st.one_of(
    st.lists(st.integers(-20, 130), min_size=4, max_size=4),
    st.lists(number, max_size=5), junk)


def entry(**fields):
    """An object that is nearly right: each field good, odd or absent."""
    return st.fixed_dictionaries({}, optional={
        key: st.one_of(good, good, good, junk)
        for key, good in fields.items()
    })


text = st.sampled_from(['a man walks', 'left', '', ' '])
name = st.sampled_from(['a.mp4', 'b.mp4', 'a', 'gone.mp4', '../a.mp4', ''])
hcstvg = st.dictionaries(
    name,
    st.one_of(
        entry(
            bbox=st.lists(box, max_size=4), st_frame=number, img_num=number,
            caption=text, English=text, width=number, height=number,
            st_time=number, ed_time=number, fps=number, qtype=text,
            img_size=box), junk),
    max_size=3)
fids = entry(begin_fid=number, end_fid=number)
asked = st.lists(
    st.one_of(entry(description=text, target_id=st.integers(0, 3)), junk),
    max_size=2)
vidstg = st.lists(
    st.one_of(
        entry(
            vid=st.sampled_from(['a', 'b', 'gone', 3]), fps=number,
            frame_count=number, width=number, height=number,
            used_segment=fids, temporal_gt=fids, captions=asked,
            questions=asked), junk),
    max_size=3)
span = st.one_of(
    st.tuples(st.integers(0, 60), st.integers(0, 60)).map(list), junk)
sentence = entry(
    text=text, id=text, qtype=text, span=span, segment=span,
    boxes=st.one_of(
        st.dictionaries(
            st.integers(0, 60).map(str), box, max_size=3),
        st.lists(st.one_of(st.none(), box), max_size=3)),
    track=st.sampled_from(['1', 1, '2']))
own = st.fixed_dictionaries(
    dict(videos=st.lists(
        st.one_of(
            entry(
                path=name, id=text, num_frames=number, fps=number,
                width=number, height=number,
                tracks=st.dictionaries(
                    st.just('1'), entry(
                        start=number, boxes=st.lists(box, max_size=3))),
                sentences=st.lists(st.one_of(sentence, junk), max_size=3)),
            junk),
        max_size=3)))


@pytest.fixture(scope='module')
def folder(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp('fuzz')
    for name in 'ab':
        (folder / f'{name}.mp4').write_bytes(b'x' * 9000)
    return folder


def check(cls, content, folder, **kwargs):
    """Build the dataset; every record must be as documented."""
    (folder / 'ann.json').write_text(json.dumps(content))
    try:
        dataset = cls(
            'ann.json', data_root=str(folder), reader=FakeReader(),
            data_prefix=dict(video=''), **kwargs)
    except (SchemaError, FileNotFoundError) as e:
        assert 'ann.json' in str(e)
        return
    except ValueError as e:
        assert 'leaves no sample' in str(e) and 'ann.json' in str(e)
        return
    for i in range(len(dataset)):
        check_record(dataset.get_data_info(i), dataset.test_mode)


def check_record(record, test_mode):
    assert record['sentence'].strip() and record['sample_id']
    n = record['num_frames']
    assert n > 0 and record['fps'] > 0
    assert 0 <= record['segment'][0] < record['segment'][1] <= n
    tube = record['gt_tube']
    if tube is None:
        assert test_mode
        return
    assert 0 <= tube.span[0] < tube.span[1] <= n
    assert test_mode or len(tube.boxes)
    limit = [record['width'], record['height']] * 2
    assert (tube.boxes >= 0).all() and (tube.boxes <= limit).all()
    assert (tube.boxes[:, 2:] > tube.boxes[:, :2]).all()
    inside = (tube.frame_ids >= tube.span[0])
    assert (inside & (tube.frame_ids < tube.span[1])).all()
    assert (np.diff(tube.frame_ids) > 0).all()


FUZZ = settings(
    max_examples=150, deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture,
                           HealthCheck.too_slow])


@FUZZ
@given(content=st.one_of(hcstvg, hcstvg, junk), test_mode=st.booleans())
def test_hcstvg(content, test_mode, folder):
    check(HCSTVGDataset, content, folder, test_mode=test_mode)


@FUZZ
@given(content=st.one_of(vidstg, vidstg, junk), test_mode=st.booleans())
def test_vidstg(content, test_mode, folder):
    check(VidSTGDataset, content, folder, test_mode=test_mode)


@FUZZ
@given(content=st.one_of(own, own, junk), test_mode=st.booleans())
def test_own_format(content, test_mode, folder):
    check(STVGDataset, content, folder, test_mode=test_mode)


@FUZZ
@given(content=st.text(max_size=30))
def test_any_text(content, folder):
    (folder / 'ann.json').write_text(content, encoding='utf-8')
    for cls in (HCSTVGDataset, VidSTGDataset, STVGDataset):
        with pytest.raises(ValueError, match='ann.json'):
            cls('ann.json', data_root=str(folder))
