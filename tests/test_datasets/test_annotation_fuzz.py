# Copyright (c) costa_mm authors. All rights reserved.
"""Whatever an annotation file holds: a valid record, or an error that names
the file."""
import json
import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from costa_mm.datasets import (BaseVideoReader, HCSTVGDataset, SchemaError,
                               STVGDataset, VideoInfo, VidSTGDataset)
from costa_mm.datasets.conversion import convert_dataset, to_stvg_format
from costa_mm.datasets.validation import check_annotations
from costa_mm.structures import load_tubes


class FakeReader(BaseVideoReader):
    """Knows every video, so that nothing is decoded."""

    def _probe(self, path):
        return VideoInfo(48, 24.0, 96, 64)

    def _read(self, path, ids):
        raise NotImplementedError


scalars = st.one_of(st.none(), st.booleans(), st.integers(-5, 60),
                    st.integers(), st.floats(), st.text(max_size=5),
                    st.just('a\ud83d'))
junk = st.recursive(
    scalars, lambda x: st.one_of(
        st.lists(x, max_size=3), st.dictionaries(
            st.text(max_size=5), x, max_size=3)), max_leaves=8)


def places(tree, path=()):
    """Paths to all values inside a JSON value."""
    items = tree.items() if isinstance(tree, dict) else enumerate(
        tree if isinstance(tree, list) else ())
    for key, value in items:
        yield path + (key, )
        yield from places(value, path + (key, ))


@st.composite
def spoiled(draw, right):
    """A right file with at most two values changed or removed."""
    tree = json.loads(json.dumps(draw(right)))
    for _ in range(draw(st.sampled_from([0, 0, 0, 1, 1, 2]))):
        at = list(places(tree))
        if not at:
            break
        *way, key = draw(st.sampled_from(at))
        parent = tree
        for step in way:
            parent = parent[step]
        if draw(st.booleans()) and isinstance(parent, dict):
            del parent[key]
        else:
            parent[key] = draw(st.one_of(st.integers(-9, 99), junk))
    return tree


def entry(**fields):
    return st.fixed_dictionaries(fields)


def whole(low, high):
    return st.integers(low, high)


box = st.tuples(
    whole(-20, 90), whole(-20, 60), whole(5, 130), whole(5, 90)).map(list)
text = st.sampled_from(['a man walks', 'the left one', 'x' * 300])
name = st.sampled_from(['a.mp4', 'b.mp4', 'a', 'gone.mp4', '../a.mp4'])
qtype = st.sampled_from(['declarative', 'interrogative', None])
size = dict(width=whole(50, 99), height=whole(50, 99), fps=whole(1, 60))
hcstvg = st.dictionaries(
    name,
    entry(
        bbox=st.lists(box, min_size=1, max_size=4), st_frame=whole(1, 50),
        img_num=whole(30, 48), caption=text, st_time=whole(0, 3),
        qtype=qtype, **size),
    min_size=1,
    max_size=2)


@st.composite
def spans(draw, low, high, keys=None):
    start = draw(whole(low, high))
    pair = [start, draw(whole(start, high)) + 1]
    return dict(zip(keys, pair)) if keys else pair


FIDS = ('begin_fid', 'end_fid')
asked = st.lists(
    entry(description=text, target_id=whole(0, 1)), min_size=1, max_size=2)
vidstg = st.lists(
    entry(
        vid=st.sampled_from(['a', 'b', 'a', 'b', 'gone', 3]),
        frame_count=whole(30, 48),
        used_segment=st.just(dict(zip(FIDS, (0, 29)))),
        temporal_gt=spans(0, 19, FIDS),
        captions=asked, questions=asked, **size),
    min_size=1,
    max_size=2)
boxes = st.one_of(
    st.dictionaries(whole(0, 50).map(str), box, min_size=1, max_size=9),
    st.lists(st.one_of(st.none(), box, box), min_size=1, max_size=9))
own = entry(videos=st.lists(
    entry(
        path=name,
        num_frames=whole(30, 48),
        tracks=entry(
            **{'1': entry(start=whole(0, 5), boxes=st.lists(box,
                                                            max_size=9))}),
        sentences=st.lists(
            st.one_of(
                entry(text=text, qtype=qtype, span=spans(0, 30), boxes=boxes,
                      segment=spans(0, 50)),
                entry(text=text, span=spans(0, 9), track=st.just(1)),
                entry(text=text)),
            min_size=1,
            max_size=3),
        **size),
    min_size=1,
    max_size=2))
corners = box.map(lambda b: dict(xmin=b[0], ymin=b[1], xmax=b[2], ymax=b[3]))
vidor = entry(trajectories=st.lists(
    st.lists(entry(tid=whole(0, 1), bbox=corners), min_size=1, max_size=2),
    min_size=20,
    max_size=30))


@pytest.fixture(scope='module')
def folder(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp('fuzz')
    for name in 'ab':
        (folder / f'{name}.mp4').write_bytes(b'x' * 9000)
    return folder


def check(cls, content, folder, **kwargs):
    """Build the dataset; every record must be as documented.

    Returns:
        int: Number of records.
    """
    (folder / 'ann.json').write_text(json.dumps(content))
    kwargs.setdefault('data_prefix', dict(video=''))
    try:
        dataset = cls(
            'ann.json', data_root=str(folder), reader=FakeReader(), **kwargs)
    except (SchemaError, FileNotFoundError) as e:
        assert 'ann.json' in str(e) or 'vidor' in str(e)
        return 0
    except ValueError as e:
        assert 'leaves no sample' in str(e) and 'ann.json' in str(e)
        return 0
    for i in range(len(dataset)):
        check_record(dataset.get_data_info(i), dataset.test_mode)
    return len(dataset)


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
    max_examples=60, deadline=None,
    phases=[Phase.generate], suppress_health_check=list(HealthCheck))


def fuzz(cls, contents, folder, prepare=None, **kwargs):
    """Run many draws; some must give records, or the draws are too odd."""
    found = []

    @FUZZ
    @given(content=st.one_of(spoiled(contents), spoiled(contents), junk),
           more=spoiled(vidor), test_mode=st.booleans())
    def run(content, more, test_mode):
        if prepare is not None:
            prepare(more)
        found.append(
            check(cls, content, folder, test_mode=test_mode, **kwargs))

    run()
    assert any(found), 'the draws are too odd'


def test_hcstvg(folder):
    fuzz(HCSTVGDataset, hcstvg, folder)


def test_own_format(folder):
    fuzz(STVGDataset, own, folder)


def test_vidstg_without_boxes(folder):
    fuzz(VidSTGDataset, vidstg, folder)


def test_vidstg_with_vidor(folder):
    (folder / 'vidor').mkdir(exist_ok=True)

    def prepare(content):
        for vid in 'ab':
            (folder / 'vidor' / f'{vid}.json').write_text(json.dumps(content))

    fuzz(VidSTGDataset, vidstg, folder, prepare,
         data_prefix=dict(video='', vidor='vidor'))


FEW = settings(FUZZ, max_examples=20)
MANY = settings(FUZZ, max_examples=int(os.environ.get('FUZZ', 20)))


def refusal(path, prefix, cls):
    """What the dataset says of a file: its refusal or its notes."""
    try:
        dataset = cls(str(path), data_prefix=prefix, reader=FakeReader())
    except (ValueError, FileNotFoundError) as e:
        return None, str(e)
    return dataset, dataset.problems


@pytest.mark.parametrize('cls, contents', [(HCSTVGDataset, hcstvg),
                                           (VidSTGDataset, vidstg),
                                           (STVGDataset, own)])
def test_the_checker_and_the_dataset_agree(cls, contents, folder):
    """What one refuses the other refuses, and in the same words."""
    found = []
    (folder / 'o').mkdir(exist_ok=True)
    corner = dict(xmin=3, ymin=4, xmax=30, ymax=40)
    frame = [dict(tid=0, bbox=corner), dict(tid=1, bbox=corner)]
    for vid in 'ab':
        (folder / 'o' / f'{vid}.json').write_text(
            json.dumps(dict(trajectories=[frame] * 48)))
    prefix = dict(video=str(folder), vidor=str(folder / 'o'))

    @MANY
    @given(content=st.one_of(spoiled(contents), spoiled(contents), junk))
    def run(content):
        path = folder / 'ann.json'
        path.write_text(twice(json.dumps(content)))
        dataset, said = refusal(path, prefix, cls)
        try:
            report = check_annotations(
                str(path), str(folder), dataset_type=cls.__name__,
                data_prefix=prefix)
        except (SchemaError, FileNotFoundError) as e:
            assert dataset is None and str(e) == said
            return
        found.append(report)
        assert (dataset is None) == (report.num_errors > 0)
        for problem in report.problems:
            assert problem.entry or problem.level == 'error'
            assert problem.what and '\n' not in str(problem)
            assert 'object has no attribute' not in problem.what
            assert 'not subscriptable' not in problem.what
        if dataset is None:
            errors = [p for p in report.problems if p.level == 'error'][:9]
            assert all(p.what in said for p in errors), said
        else:
            assert list(said) == report.problems
            assert len(dataset) == report.num_usable

    run()
    assert any(not r.problems for r in found)
    assert any(r.num_errors for r in found)


VALID = {
    HCSTVGDataset: {
        'a.mp4': dict(
            bbox=[[9, 8, 30, 40]] * 20, st_frame=11, st_time=0.4, img_num=48,
            width=96, height=64, caption='a man', fps=24)
    },
    VidSTGDataset: [
        dict(
            vid='a', fps=24, frame_count=48, width=96, height=64,
            used_segment=dict(begin_fid=0, end_fid=47),
            temporal_gt=dict(begin_fid=3, end_fid=9),
            captions=[dict(description='a man', target_id=0)], questions=[])
    ],
    STVGDataset: dict(videos=[
        dict(
            path='a.mp4', num_frames=48, tracks={
                '1': dict(start=3, boxes=[[1, 2, 30, 40], None])
            }, sentences=[
                dict(text='a man', span=[3, 9], track='1'),
                dict(text='b', id='x', span=[3, 9], qtype='declarative',
                     boxes={'3': [1, 2, 30.5, 40]}, factors=dict(a=1))
            ])
    ]),
    'vidor': dict(trajectories=[[
        dict(tid=0, bbox=dict(xmin=3, ymin=4, xmax=30, ymax=40))
    ]] * 9)
}
TOKENS = ['', '{', '}', '[', ']', ',', ':', '"', '\\ud800', '\0', '9', '-',
          '1e999', 'NaN', 'null', '0.5', '\n', 'é', '"a":', '[' * 2000]


@st.composite
def mutated(draw, text):
    """A text with up to three places deleted, doubled or replaced."""
    for _ in range(draw(whole(0, 3))):
        start = draw(whole(0, len(text)))
        end = draw(whole(start, min(start + 30, len(text))))
        piece = draw(st.sampled_from([*TOKENS, text[start:end] * 2]))
        text = text[:start] + piece + text[end:]
    return text


@pytest.mark.parametrize('kind', VALID)
def test_mutated_text(kind, folder):
    """Each file loads, or is refused by one error that names a file."""
    cls = VidSTGDataset if kind == 'vidor' else kind
    (folder / 'o').mkdir(exist_ok=True)
    path, vidor_file = folder / 'ann.json', folder / 'o' / 'a.json'
    path.write_text(json.dumps(VALID[cls]))
    vidor_file.write_text(json.dumps(VALID['vidor']))
    prefix = dict(video=str(folder), vidor=str(folder / 'o'))
    target = vidor_file if kind == 'vidor' else path
    found = []

    @MANY
    @given(text=mutated(json.dumps(VALID[kind])))
    def run(text):
        target.write_text(text, encoding='utf-8')
        dataset, said = refusal(path, prefix, cls)
        found.append(dataset)
        assert dataset is not None or '.json' in said

    run()
    assert None in found and any(d is not None for d in found)


def twice(text):
    """Give the first key of some files twice."""
    if len(text) % 5 or not text.startswith('{"'):
        return text
    return text[:-1] + ', ' + text[1:text.index(':')] + ': 0}'


def fitting(content):
    """Entries of the size that the videos have."""
    for item in content.values() if isinstance(content, dict) else content:
        item.update(width=96, height=64)
    return content


@pytest.mark.parametrize('cls, contents', [(HCSTVGDataset, hcstvg),
                                           (VidSTGDataset, vidstg)])
def test_the_converter(cls, contents, folder):
    """What it writes is read back, whatever it is given."""
    (folder / 'vidor').mkdir(exist_ok=True)
    prefix = dict(video=str(folder), vidor=str(folder / 'vidor'))
    found = []

    @FEW
    @given(content=st.one_of(spoiled(contents.map(fitting)), junk),
           more=spoiled(vidor))
    def run(content, more):
        (folder / 'raw.json').write_text(json.dumps(content))
        for vid in 'ab':
            (folder / 'vidor' / f'{vid}.json').write_text(json.dumps(more))
        try:
            out = convert_dataset(
                cls(
                    str(folder / 'raw.json'), data_prefix=prefix,
                    reader=FakeReader(), lazy_init=True))
        except ValueError as e:
            assert 'raw.json' in str(e)
            return
        except FileNotFoundError as e:
            assert str(folder) in str(e)
            return
        data = to_stvg_format(out, str(folder))
        found.append(check(STVGDataset, data, folder))
        assert found[-1] == len(out.records)

    run()
    assert any(found)


tubes = st.dictionaries(
    st.sampled_from('ab'),
    entry(
        span=spans(0, 40), num_frames=whole(1, 50), fps=whole(1, 60),
        qtype=qtype, segment=spans(0, 40),
        boxes=st.dictionaries(whole(0, 50).map(str), box, max_size=4)),
    min_size=1)


@FUZZ
@given(content=st.one_of(spoiled(tubes), junk))
def test_tube_files(content, folder):
    path = folder / 'tubes.json'
    path.write_text(json.dumps(content))
    try:
        loaded = load_tubes(path)
    except ValueError as e:
        assert 'tubes.json' in str(e)
        return
    assert list(loaded) == list(content)
    for tube in loaded.values():
        assert len(tube.frame_ids) == len(tube.boxes)
        assert tube.span is None or 0 <= tube.span[0] < tube.span[1]


@FUZZ
@given(content=st.text(max_size=30))
def test_any_text(content, folder):
    (folder / 'ann.json').write_text(content, encoding='utf-8')
    for cls in (HCSTVGDataset, VidSTGDataset, STVGDataset):
        with pytest.raises(ValueError, match='ann.json'):
            cls('ann.json', data_root=str(folder))
