# Copyright (c) costa_mm authors. All rights reserved.
"""Faults of annotation files that would be wrong without a word: the checker
and the dataset tell them in the same words, at the same place."""
import gzip
import json
import shutil

import pytest

from costa_mm.datasets import (HCSTVGDataset, SchemaError, STVGDataset,
                               VidSTGDataset)
from costa_mm.datasets.validation import check_annotations

GOOD = dict(
    text='a dog', span=[2, 20],
    boxes={str(k): [k, 2, k + 30, 40] for k in range(2, 20)})


def video(*sentences, path='clip.mp4', **more):
    return dict(path=path, sentences=list(sentences), **more)


def told(content, clip, make_ann, cls=STVGDataset, **options):
    """Problems of the checker, and what the dataset says."""
    path = make_ann(content)
    report = check_annotations(
        path, str(clip.parent), dataset_type=cls.__name__, **options)
    options['data_prefix'] = dict(
        options.get('data_prefix', {}), video=str(clip.parent))
    try:
        assert list(cls(path, **options).problems) == report.problems
        assert not report.num_errors
    except (SchemaError, FileNotFoundError) as e:
        errors = [p for p in report.problems if p.level == 'error']
        assert errors and all(str(p) in str(e) for p in errors)
    return [f'{p.level}: {p}' for p in report.problems]


# ------------------------------------------------------------ repeated keys
@pytest.mark.parametrize('text, place, key', [
    ('{"videos": [], "videos": [%s]}', 'videos: ', 'videos'),
    ('{"videos": [{"path": "clip.mp4", "path": "b.mp4", "sentences": []}]}',
     'videos[0] (b.mp4): ', 'path'),
    ('{"videos": [{"path": "clip.mp4", "sentences": [{"text": "x", "text": '
     '"y"}]}]}', 'videos[0] (clip.mp4) sentences[0]: ', 'text'),
    ('{"videos": [{"path": "clip.mp4", "tracks": {"7": {"start": 0, "boxes": '
     '[]}, "7": {"start": 3, "boxes": []}}, "sentences": []}]}',
     'videos[0] (clip.mp4) tracks: ', '7'),
    ('{"videos": [{"path": "clip.mp4", "sentences": [{"text": "x", "factors":'
     ' {"a": {"b": 1, "b": 2}}}]}]}',
     'videos[0] (clip.mp4) sentences[0].factors.a: ', 'b'),
])
def test_repeated_keys(text, place, key, clip, make_ann):
    text = text.replace('%s', json.dumps(video(GOOD)))
    lines = told(text, clip, make_ann)
    said = f"error: {place}the key '{key}' is given twice in one object; fix:"
    assert [line for line in lines if line.startswith(said)]


def test_repeated_keys_of_other_formats(clip, make_ann, v1_entry):
    entry = json.dumps(v1_entry)[:-1] + ', "st_frame": 3}'
    lines = told('{"clip.mp4": %s}' % entry, clip, make_ann, HCSTVGDataset)
    assert lines[0].startswith("error: clip.mp4: the key 'st_frame' is given")
    lines = told('[{"vid": "clip", "vid": "other"}]', clip, make_ann,
                 VidSTGDataset)
    assert lines[0].startswith(
        "error: entry 0 (other.mp4): the key 'vid' is given twice")


def test_every_repeated_key_is_told(clip, make_ann, v1_entry):
    entry = json.dumps(v1_entry)
    text = '{%s}' % ', '.join(f'"{k}.mp4": {entry}' for k in 'aabbcc')
    lines = told(text, clip, make_ann, HCSTVGDataset)
    assert sum('given twice' in line for line in lines) == 3


# ---------------------------------------------------------- odd-looking boxes
@pytest.mark.parametrize('boxes, odd', [
    ([[0, 0, 1, 1]] * 18, True),
    ([[0.5, 0.5, 1.02, 0.9]] * 17 + [[20, 20, 40, 40]], True),
    ([[0, 0, 1.5, 1.5]] + [[1, 1, 9, 9]] * 17, False),
    ([[90, 60, 91, 61]] * 18, False),
])
def test_fractions_of_the_frame(boxes, odd, clip, make_ann):
    lines = told(dict(videos=[video(dict(GOOD, boxes=boxes))]), clip,
                 make_ann)
    assert any('fractions' in line for line in lines) == odd
    assert len(lines) == odd


def test_fractions_in_hcstvg_and_tracks(clip, make_ann, v1_entry):
    v1_entry['bbox'] = [[.1, .2, .3, .4]] * 20
    line, = told({'clip.mp4': v1_entry}, clip, make_ann, HCSTVGDataset)
    assert line.startswith('warning: clip.mp4: most boxes lie within two')
    shared = dict(text='a', span=[2, 9], track='1')
    line, = told(
        dict(videos=[
            video(shared,
                  tracks={'1': dict(start=2, boxes=[[0, 0, .5, .5]] * 9)})
        ]), clip, make_ann)
    assert 'fractions of the frame?; fix: boxes are in pixels' in line


# ---------------------------------------------------------------- key frames
@pytest.mark.parametrize('frames, max_gap, sparse', [
    (range(2, 20, 6), 0, True),
    (range(2, 20, 6), 6, False),
    (range(2, 20, 6), 5, True),
    (range(2, 20, 2), 0, True),
    ([3, 4, 5], 0, True),
    (range(3, 12), 0, False),
])
def test_key_frames_only(frames, max_gap, sparse, clip, make_ann):
    boxes = {str(k): [1, 2, 30, 40] for k in frames}
    content = dict(videos=[video(dict(GOOD, boxes=boxes))])
    lines = told(
        content, clip, make_ann,
        pipeline=[dict(type='LoadTubeAnnotations', max_gap=max_gap)])
    assert any('few frames' in line for line in lines) == sparse
    assert not told(content, clip, make_ann, test_mode=True)  # fine to score


def test_key_frames_of_vidor(clip, make_ann, tmp_path):
    box = dict(tid=1, bbox=dict(xmin=1, ymin=2, xmax=30, ymax=40))
    (tmp_path / 'clip.json').write_text(
        json.dumps(dict(trajectories=[[box] if i % 8 == 0 else []
                                      for i in range(48)])))
    span = dict(begin_fid=5, end_fid=30)
    entry = dict(
        vid='clip', fps=24, frame_count=48, width=96, height=64,
        used_segment=span, temporal_gt=span,
        captions=[dict(description='a dog', target_id=1)])
    line, = told([entry], clip, make_ann, VidSTGDataset,
                 data_prefix=dict(vidor=str(tmp_path)))
    assert line.startswith('warning: entry 0 (clip.mp4) captions[0]: boxes '
                           'on few frames of the event')


# ------------------------------------------------------ names and characters
@pytest.mark.parametrize('encoding', ['utf-8-sig', 'utf-16', 'utf-8'])
def test_byte_order_marks(encoding, clip, make_ann, tmp_path):
    text = json.dumps(
        dict(videos=[video(dict(GOOD, text='ein Hündchen'))]),
        ensure_ascii=False)
    (tmp_path / 'a.json').write_bytes(text.encode(encoding))
    (tmp_path / 'a.json.gz').write_bytes(gzip.compress(text.encode(encoding)))
    for name in ('a.json', 'a.json.gz'):
        dataset = STVGDataset(
            str(tmp_path / name), data_prefix=dict(video=str(clip.parent)))
        assert dataset.get_data_info(0)['sentence'] == 'ein Hündchen'


@pytest.mark.parametrize('change', [
    dict(text='a dog \ud83d'), dict(text='\udc4d'), dict(id='x\ud800y')])
def test_lone_surrogates(change, clip, make_ann):
    content = dict(videos=[video(GOOD, dict(GOOD, **change))])
    line, = told(content, clip, make_ann)
    assert line.startswith('error: videos[0] (clip.mp4) sentences[1]: ')
    assert 'lone surrogate' in line and line.isprintable()


def test_two_files_of_one_name(clip, make_ann, tmp_path):
    for folder in ('a', 'b'):
        (tmp_path / 'v' / folder).mkdir(parents=True)
        shutil.copy(clip, tmp_path / 'v' / folder / 'twin.mp4')
    shutil.copy(clip, tmp_path / 'v' / 'clip.mp4')
    content = dict(videos=[
        video(GOOD),
        video(GOOD, path='twin.mp4'),
        video(GOOD, path='b/twin.mp4')
    ])
    line, = told(content, tmp_path / 'v' / 'clip.mp4', make_ann)
    assert line.startswith('skipped: videos[1] (twin.mp4) sentences[0]: '
                           'several videos have this name: ')
    assert 'a/twin.mp4' in line and 'b/twin.mp4' in line


def test_a_name_does_not_take_the_file_of_another(clip, make_ann, tmp_path,
                                                  v1_entry):
    (tmp_path / 'v' / 'b').mkdir(parents=True)
    shutil.copy(clip, tmp_path / 'v' / 'b' / '1.mp4')
    root = tmp_path / 'v' / 'clip.mp4'
    shutil.copy(clip, root)
    two = [video(GOOD, path='a/1.mp4'), video(GOOD, path='b/1.mp4')]
    line, = told(dict(videos=[*two]), root, make_ann)
    assert line.startswith('skipped: videos[0] (a/1.mp4) sentences[0]: '
                           'missing video; fix: check the path')
    two[1]['sentences'] = [dict(GOOD, txt=1)]  # still the owner of the file
    lines = told(dict(videos=[*two, video(GOOD)]), root, make_ann)
    assert [line.split(': ')[2] for line in lines][1:] == [
        'missing video; fix']
    line, = told({'1.mkv': v1_entry, 'b/1.mp4': v1_entry}, root, make_ann,
                 HCSTVGDataset)
    assert line.startswith('skipped: 1.mkv: missing video')


def test_videos_in_another_folder_are_told_once(clip, make_ann, tmp_path):
    (tmp_path / 'v' / 'b').mkdir(parents=True)
    for name in ('b/1', 'b/2', '3', 'clip'):
        shutil.copy(clip, tmp_path / 'v' / f'{name}.mp4')
    names = ['clip.mp4', '1.mp4', 'a/2.mp4', '/home/me/3.mp4']
    line, = told(
        dict(videos=[video(GOOD, dict(GOOD, id=f'{n}_x'), path=n)
                     for n in names]), tmp_path / 'v' / 'clip.mp4', make_ann)
    assert line == (
        'warning: videos[2] (a/2.mp4) sentences[0]: videos read from another '
        'folder than the named one: 2, the first is '
        f'{tmp_path}/v/b/2.mp4; fix: give the path below the folder of the '
        'videos, if they are other videos')


def test_boxes_are_not_taken_from_another_video_of_vidor(clip, make_ann,
                                                         tmp_path):
    box = dict(tid=1, bbox=dict(xmin=1, ymin=2, xmax=30, ymax=40))
    for name in ('v/a/clip.mp4', 'v/b/clip.mp4'):
        (tmp_path / name).parent.mkdir(parents=True)
        shutil.copy(clip, tmp_path / name)
    (tmp_path / 'o' / 'b').mkdir(parents=True)
    (tmp_path / 'o' / 'b' / 'clip.json').write_text(
        json.dumps(dict(trajectories=[[box]] * 48)))
    span = dict(begin_fid=5, end_fid=30)
    entries = [
        dict(vid=f'{k}/clip', fps=24, frame_count=48, width=96, height=64,
             used_segment=span, temporal_gt=span,
             captions=[dict(description='a dog', target_id=1)])
        for k in 'ab'
    ]
    line, = told(entries, tmp_path / 'v' / 'clip.mp4', make_ann,
                 VidSTGDataset, data_prefix=dict(vidor=str(tmp_path / 'o')))
    assert line.startswith('skipped: entry 0 (a/clip.mp4) captions[0]: '
                           'missing VidOR annotation')


def test_a_missing_video_beside_a_bad_sentence(clip, make_ann, v1_entry):
    content = dict(videos=[
        video(dict(GOOD, span=[3, 3]), path='gone.mp4'),
        video(GOOD, path='lost.mp4'),
        video(GOOD, dict(GOOD, txt=1)),
    ])
    lines = told(content, clip, make_ann)
    assert [line.split(': ')[:3] for line in lines] == [
        ['error', 'videos[0] (gone.mp4) sentences[0]',
         '[3, 3] is empty'],
        ['error', 'videos[2] (clip.mp4) sentences[1]',
         "unknown keys ['txt']; known are ('text', 'id', 'qtype', 'span', "
         "'boxes', 'track', 'segment', 'factors'); fix"],
        ['skipped', 'videos[0] (gone.mp4)', 'missing video; fix'],
        ['skipped', 'videos[1] (lost.mp4) sentences[0]',
         'missing video; fix'],
    ]
    lines = told({'gone.mp4': dict(v1_entry, caption=3)}, clip, make_ann,
                 HCSTVGDataset)
    assert [line.split(':')[0] for line in lines] == ['error', 'skipped']


@pytest.mark.parametrize('boxes, what', [
    ([[1, 2, 30, 40], None, None, [1, 2, 3]], 'box 3 is'),
    ({'5': [1, 2, 30, 40], '3': [1, 2, 'x', 4]}, 'box of frame 3 is'),
])
def test_boxes_are_counted_as_in_the_file(boxes, what, clip, make_ann):
    line, = told(dict(videos=[video(GOOD, dict(GOOD, boxes=boxes))]), clip,
                 make_ann)
    assert f'videos[0] (clip.mp4) sentences[1]: {what}' in line
    assert line.count('sentences[') == 1


@pytest.mark.parametrize('span, boxes', [
    ([20, 30], [[k, 2, k + 30, 40] for k in range(48)]),  # the whole video
    ([2, 5], [[1, 2, 30, 40]] * 4),  # the end taken for inclusive
    ([2, 5], [None, None, [1, 2, 30, 40], None]),
    ([40, 99], [[1, 2, 30, 40]] * 60),  # over the end of the video as well
])
def test_a_list_of_boxes_longer_than_the_span(span, boxes, clip, make_ann):
    line, = told(dict(videos=[
        video(GOOD, dict(GOOD, span=span, boxes=boxes))]), clip, make_ann)
    assert line.startswith(
        'error: videos[0] (clip.mp4) sentences[1]: the list "boxes" starts '
        f'at the first frame of the span and has {len(boxes)} boxes for '
        f'{span[1] - span[0]} frames; name the frames with an object')


def test_lists_that_fit_and_shorter_ones(clip, make_ann):
    box = [1, 2, 30, 40]
    path = make_ann(dict(videos=[
        video(dict(GOOD, span=[2, 6], boxes=[box] * 4),
              dict(GOOD, span=[2, 6], boxes=[None, box, box]),
              dict(GOOD, span=[44, 60], boxes=[box] * 16))]))
    dataset = STVGDataset(path, data_prefix=dict(video=str(clip.parent)))
    tubes = [dataset.get_data_info(i)['gt_tube'] for i in range(3)]
    assert [t.span for t in tubes] == [(2, 6), (2, 6), (44, 48)]
    assert [t.frame_ids.tolist() for t in tubes] == [
        [2, 3, 4, 5], [3, 4], [44, 45, 46, 47]]


# --------------------------------------------------- what cannot be scored
def test_sentences_without_truth_can_be_left_out(clip, make_ann):
    content = dict(videos=[
        video(GOOD, dict(text='a cat'), dict(text='a hen', span=[3, 9]))])
    path, prefix = make_ann(content), dict(video=str(clip.parent))
    whole = STVGDataset(path, data_prefix=prefix, test_mode=True)
    with pytest.raises(ValueError) as e:
        whole.check_truth()
    assert '2 of 3 sentences' in str(e.value)
    assert '1 x no true span: clip.mp4_1\n' in str(e.value)
    assert '1 x no usable box: clip.mp4_2\n' in str(e.value)
    assert 'truth_only=True' in str(e.value)
    part = STVGDataset(
        path, data_prefix=prefix, test_mode=True,
        filter_cfg=dict(truth_only=True))
    part.check_truth()
    assert len(part) == 1
    assert part.problems.to_dict()['no usable box'] == ['clip.mp4_2']
