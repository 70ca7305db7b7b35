# Copyright (c) costa_mm authors. All rights reserved.
"""The benchmark's symbols: queries, drafts, sentences, boxes."""
import re
from dataclasses import replace

import numpy as np
import pytest

from costa_mm.evaluation import span_iou
from costa_mm.synthetic import LEVELS, Settings, draw_sample
from costa_mm.synthetic.annotations import (peak_occlusion, sample_entry,
                                            sample_factors, sample_scene)
from costa_mm.synthetic.checks import check_draft
from costa_mm.synthetic.language import VERBS
from costa_mm.synthetic.levels import COLOURS, SHAPES
from costa_mm.synthetic.motion import (OUTLINES, compute_outline, compute_pose,
                                       outline_boxes)
from costa_mm.synthetic.placement import place_objects
from costa_mm.synthetic.render import render_frames
from costa_mm.synthetic.scene import (Action, Look, Match, Query, Relation,
                                      SceneObject, acting_frames, action_spans,
                                      find_lookalikes, find_matches,
                                      occurrences, related)
from costa_mm.synthetic.scripts import SceneDraft

RED = Look('red', 'square')
BLUE = Look('blue', 'star')
NUM = 60


def make(look, *steps):
    script = tuple(Action(k, s, e, 0.3) for k, s, e in steps)
    return SceneObject(look, 0.3, script, (0.5, 0.5))


@pytest.fixture(scope='module')
def samples():
    """Some samples of every level."""
    return {
        level: [draw_sample(Settings(level), 'test', i) for i in range(NUM)]
        for level in LEVELS
    }


def everything(samples):
    return [s for group in samples.values() for s in group]


# -- queries ---------------------------------------------------------------
def test_occurrences():
    steps = (('grow', 2, 6), ('spin', 8, 12), ('grow', 14, 20))
    script = make(RED, *steps).script
    assert occurrences(script, ('grow', )) == [(2, 6), (14, 20)]
    assert occurrences(script, ('grow', 'spin')) == [(2, 12)]
    assert occurrences(script, ('spin', 'grow')) == [(8, 20)]
    assert occurrences(script, ('grow', 'grow')) == []


@pytest.mark.parametrize('kind, span, expected', [
    ('while', (5, 9), True),
    ('while', (10, 14), False),
    ('after', (10, 14), True),
    ('after', (9, 14), False),
    ('before', (0, 4), True),
    ('before', (0, 5), False),
])
def test_related(kind, span, expected):
    assert related(kind, span, (4, 10)) is expected


def test_related_slack():
    assert related('after', (9, 14), (4, 10), slack=1)
    assert not related('after', (10, 14), (4, 10), slack=-1)
    assert related('while', (10, 14), (4, 10), slack=1)
    with pytest.raises(ValueError, match='during'):
        related('during', (0, 1), (1, 2))


def test_find_matches():
    objects = [
        make(RED, ('move_up', 2, 12)),
        make(RED, ('spin', 4, 14)),
        make(BLUE, ('move_up', 20, 30)),
        make(BLUE, ('grow', 22, 28)),
    ]
    query = Query(RED, ('move_up', ))
    assert find_matches(objects, query) == [Match(0, (2, 12))]
    assert [m.index for m in find_matches(objects, query, use_looks=False)
            ] == [0, 2]
    assert find_lookalikes(objects, query) == [0, 1]
    asked = Query(None, ('move_up', ), Relation('while', RED, ('spin', )))
    assert find_matches(objects, asked) == [Match(0, (2, 12))]
    # an object is no reference for itself
    assert find_matches(objects[:1], query._replace(relation=Relation(
        'while', RED, ('move_up', )))) == []
    assert find_lookalikes(objects, asked) == [2, 3]


def test_look_with_open_parts():
    assert Look('red', None).fits(RED)
    assert not Look('red', 'star').fits(RED)


# -- drafts ----------------------------------------------------------------
def draft(*objects, query=None):
    return SceneDraft(objects, query or Query(RED, ('grow', )), ('look', ))


GOOD = (make(RED, ('grow', 4, 20)), make(RED, ('blink', 10, 30)),
        make(BLUE, ('grow', 26, 40)))


def test_check_draft_accepts():
    assert check_draft(draft(*GOOD), 48) == ''


@pytest.mark.parametrize('objects, reason', [
    ((*GOOD, make(RED, ('grow', 2, 14))), 'not exactly one'),
    ((make(RED, ('grow', 4, 9)), *GOOD[1:]), 'too short'),
    ((make(RED, ('grow', 4, 44)), *GOOD[1:]), 'too long'),
    (GOOD[:2], 'event alone'),
    (GOOD[::2], 'look alone'),
    ((*GOOD, make(Look('red', 'circle'), ('spin', 4, 9))), 'circle'),
])
def test_check_draft_refuses(objects, reason):
    assert reason in check_draft(draft(*objects), 48)


def test_check_draft_refuses_misleading_size():
    small, large = (Look('red', 'square', s) for s in ('small', 'large'))
    objects = (make(small, ('grow', 4, 20)), make(small, ('blink', 10, 30)),
               make(large, ('grow', 26, 40)))
    query = Query(small, ('grow', ))
    assert 'size class' in check_draft(draft(*objects, query=query), 48)


# -- whole samples ---------------------------------------------------------
VERB_TO_KIND = {v: k for k, verbs in VERBS.items() for v in verbs}
VERB = '|'.join(sorted(VERB_TO_KIND, key=len, reverse=True))
LOOK = (rf'(?:(?:small|large) )?(?:{"|".join(COLOURS)}) '
        rf'(?:{"|".join(SHAPES)})')
SENTENCE = re.compile(
    rf'(?:What|Which object|(?:The|An|A) (?P<look>{LOOK})(?: that)?) '
    rf'(?:first )?(?P<one>{VERB})(?P<twice> twice)?'
    rf'(?:(?:, then| and then) (?P<two>{VERB}))?'
    rf'(?: (?P<rel>while|after|before) the (?P<ref>{LOOK}) (?P<act>{VERB}))?'
    r'[.?]')


def fits(words, obj):
    return all(w in obj['look'] for w in words.split())


def read_sentence(sentence, objects):
    """An independent reading: all (object, span) that a sentence fits."""
    m = SENTENCE.fullmatch(sentence)
    assert m, sentence
    event = [VERB_TO_KIND[v] for v in (m['one'], m['two']) if v]
    event *= 2 if m['twice'] else 1
    found = []
    for i, obj in enumerate(objects):
        script = obj['script']
        for k in range(len(script) - len(event) + 1):
            part = script[k:k + len(event)]
            if [a[0] for a in part] != event:
                continue
            span = (part[0][1], part[-1][2])
            if m['look'] and not fits(m['look'], obj):
                continue
            if m['rel'] and not any(
                    _in_time(m['rel'], span, a)
                    for j, other in enumerate(objects)
                    if j != i and fits(m['ref'], other)
                    for a in other['script']
                    if a[0] == VERB_TO_KIND[m['act']]):
                continue
            found.append((i, span))
    return found


def _in_time(rel, span, action):
    _, start, end, _ = action
    if rel == 'while':
        return span[0] < end and start < span[1]
    return end <= span[0] if rel == 'after' else span[1] <= start


def test_sentences_fit_exactly_one_object(samples):
    for sample in everything(samples):
        scene = sample_scene(sample)
        found = read_sentence(sample.sentence, scene['objects'])
        assert found == [(sample.target, sample.span)], sample.sentence


def test_words_left_and_right_are_directions_only():
    for kind, verbs in VERBS.items():
        for word, other in (('left', 'right'), ('right', 'left')):
            if kind == f'move_{word}':
                swapped = [v.replace(word, other) for v in verbs]
                assert swapped == list(VERBS[f'move_{other}'])
            else:
                assert not any(word in v for v in verbs)


def test_easy_is_what_it_promises(samples):
    for sample in samples['easy']:
        looks = [o.look for o in sample.objects]
        target = sample.objects[sample.target]
        assert len(looks) >= 3
        twins = [o for o in sample.objects if o.look == target.look]
        assert len(twins) == 2
        kinds = [{a.kind for a in o.script} for o in twins]
        assert kinds[0].isdisjoint(kinds[1])
        event = sample.query.event[0]
        assert any(a.kind == event for o in sample.objects
                   if o.look != target.look for a in o.script)
        for obj in sample.objects:
            for a in obj.script:
                assert obj is target or span_iou(sample.span,
                                                 (a.start, a.end)) <= 0.4
                assert a.start >= 1 and a.end < 48  # rest around it


def test_at_turns_lookalikes_act_one_after_the_other(samples):
    for sample in samples['turns']:
        start, end = sample.span
        target = sample.objects[sample.target]
        (twin, ) = (o for o in sample.objects
                    if o.look == target.look and o is not target)
        twin_acts = acting_frames(twin, 48)
        assert not twin_acts[start:end].any()
        assert 10 <= twin_acts.sum() <= 14
        rest = ~acting_frames(target, 48)[start:end]
        assert 0.4 < rest.mean() < 0.65 and not rest[[0, -1]].any()
        assert {a.kind for a in twin.script}.isdisjoint(sample.query.event)
        assert action_spans(target.script) == [sample.span]
        assert sample_factors(sample)['event_kind'] == 'twice'
        assert sample.sentence.rstrip('.').endswith(' twice')


def test_event_length_and_target_area(samples):
    for sample in everything(samples):
        start, end = sample.span
        assert 0.2 <= (end - start) / 48 <= 0.6
        box = sample.tracks[sample.target][start:end]
        area = (box[:, 2:] - box[:, :2]).prod(-1).mean() / 96**2
        assert area <= 0.1201
    areas = [sample_entry(s)['bbox'] for s in samples['easy']]
    mean = np.mean([np.prod(np.array(b)[:, 2:], 1).mean() for b in areas])
    assert 0.08 <= mean / 96**2 <= 0.11


def test_targets_change_visibly(samples):
    for sample in samples['easy']:
        start, end = sample.span
        obj = sample.objects[sample.target]
        pose = compute_pose(obj.script, 48)
        travel = np.abs(pose.shift[end - 1] - pose.shift[start - 1]).max()
        scale = pose.scale[end - 1] / pose.scale[start - 1]
        turn = abs(pose.angle[end - 1] - pose.angle[start - 1])
        dim = pose.light[start:end].min()
        assert travel > 0.2 or abs(scale - 1) > 0.25 or turn > 60 or dim < 0.4


def test_easy_objects_keep_apart_and_inside(samples):
    for sample in samples['easy']:
        tracks = sample.tracks
        assert tracks.min() >= 0 and tracks.max() <= 96
        for i in range(len(tracks)):
            for j in range(i):
                size = np.minimum(tracks[i, :, 2:], tracks[j, :, 2:])
                size = size - np.maximum(tracks[i, :, :2], tracks[j, :, :2])
                assert (size.min(-1) <= 0).all()
        assert peak_occlusion(sample) == 0


def test_levels_have_their_kinds():
    for level, kinds in (('medium', {'declarative', 'interrogative'}),
                         ('hard', {'declarative', 'interrogative'})):
        factors = [
            sample_factors(draw_sample(Settings(level), 'train', i))
            for i in range(80)
        ]
        seen = {k: {f[k] for f in factors} for k in factors[0]}
        assert seen['qtype'] == kinds
        assert seen['event_kind'] == {'single', 'compound'}
        assert seen['occlusion'] == {'none', 'partial', 'heavy'}
        assert seen['recipe'] == set(LEVELS[level].recipes)
        relations = set(LEVELS[level].relations) | {'none'}
        assert seen['relation'] == relations


def test_all_actions_are_about_as_frequent():
    kinds = [
        draw_sample(Settings('easy'), 'train', i).query.event[0]
        for i in range(160)
    ]
    counts = [kinds.count(k) for k in LEVELS['easy'].actions]
    assert min(counts) >= 8  # 20 expected


def test_sized_targets_change_size_in_their_event_only(samples):
    for sample in everything(samples):
        target = sample.objects[sample.target]
        for a in target.script if target.look.size else ():
            inside = sample.span[0] <= a.start and a.end <= sample.span[1]
            assert inside or a.kind not in ('grow', 'shrink')


def test_question_names_no_look_of_its_target(samples):
    for sample in everything(samples):
        asks = sample.query.look is None
        assert sample.sentence.endswith('?') is asks
        assert (sample_entry(sample)['qtype'] == 'interrogative') is asks


# -- boxes and pixels ------------------------------------------------------
def visible_box(sample, index, frame_ids):
    """Box of the pixels that change if an object is taken away."""
    others = tuple(o for i, o in enumerate(sample.objects) if i != index)
    without = replace(sample, objects=others, target=0)
    pairs = zip(render_frames(sample), render_frames(without))
    boxes = {}
    for t, (a, b) in enumerate(pairs):
        if t in frame_ids:
            diff = np.abs(a.astype(int) - b).max(-1) > 30
            ys, xs = np.nonzero(diff)
            boxes[t] = (xs.min(), ys.min(), xs.max() + 1, ys.max() + 1)
    return boxes


@pytest.mark.parametrize('level, size', [('easy', 96), ('easy', 160),
                                         ('hard', 128)])
def test_boxes_fit_the_pixels(level, size):
    checked = set()
    for i in range(60):
        sample = draw_sample(Settings(level, size=size), 'val', i)
        kind = sample.query.event[0]
        if kind in checked or peak_occlusion(sample) > 0:
            continue
        pose = compute_pose(sample.objects[sample.target].script, 48)
        frames = [
            t for t in range(*sample.span, 3) if pose.light[t] > 0.6
        ]
        boxes = visible_box(sample, sample.target, frames)
        for t, box in boxes.items():
            error = np.abs(sample.tracks[sample.target, t] - box).max()
            assert error <= 1.25, (i, kind, t, error)
        start = sample.span[0]
        for k, (x, y, w, h) in enumerate(sample_entry(sample)['bbox']):
            if start + k in boxes:
                error = np.abs(np.array((x, y, x + w, y + h)) -
                               boxes[start + k]).max()
                assert error <= 1.5
        checked.add(kind)
    assert len(checked) >= 4


def test_outlines_and_boxes():
    for shape, outline in OUTLINES.items():
        size = np.ptp(outline, axis=0)
        assert 0.85 <= size.max() <= 1.1, shape
    obj = make(RED, ('move_right', 10, 20))
    outline = compute_outline(obj, compute_pose(obj.script, 30))
    boxes = outline_boxes(outline)
    half = 0.46 * 0.3
    np.testing.assert_allclose(boxes[9], [-half, -half, half, half])
    np.testing.assert_allclose(boxes[10, 0], -half + 0.03)
    np.testing.assert_allclose(boxes[19], boxes[29])
    np.testing.assert_allclose(boxes[19, ::2], [-half + .3, half + .3])


def test_unknown_action_raises():
    with pytest.raises(ValueError, match='fly'):
        compute_pose([Action('fly', 0, 3, 1.)], 10)


def test_place_objects_gives_up():
    big = SceneObject(RED, 0.8, (Action('grow', 1, 5, 1.5), ))
    rng = np.random.default_rng(0)
    assert place_objects([big], 10, rng, max_overlap=0.) is None
    two = [SceneObject(RED, 0.6, ()), SceneObject(RED, 0.6, ())]
    assert place_objects(two, 10, rng, max_overlap=0.) is None
    placed = place_objects(two, 10, rng, max_overlap=1.)
    assert all(o.centre is not None for o in placed)
    assert two[0].centre is None


def test_post_counts_as_occlusion():
    sample = draw_sample(Settings('easy'), 'test', 0)
    start, end = sample.span
    box = sample.tracks[sample.target][start] / 96
    post = np.array([[box[0], -0.1, (box[0] + box[2]) / 2, 1.1]])
    assert peak_occlusion(replace(sample, posts=post)) >= 0.5


# -- settings --------------------------------------------------------------
@pytest.mark.parametrize('kwargs, word', [
    (dict(level='insane'), 'level'),
    (dict(seed=-1), 'seed'),
    (dict(size=97), 'even'),
    (dict(size=16), 'size'),
    (dict(num_frames=10), 'num_frames'),
    (dict(fps=0), 'fps'),
])
def test_bad_settings(kwargs, word):
    with pytest.raises(ValueError, match=word):
        Settings(**kwargs)


def test_bad_split():
    with pytest.raises(ValueError, match='dev'):
        draw_sample(Settings(), 'dev', 0)


@pytest.mark.parametrize('level', list(LEVELS))
def test_other_formats(level):
    for num_frames in (24, 100):
        sample = draw_sample(
            Settings(level, size=64, num_frames=num_frames), 'val', 3)
        frames = list(render_frames(sample))
        assert len(frames) == num_frames
        assert frames[0].shape == (64, 64, 3)
        assert frames[0].dtype == np.uint8


def test_samples_depend_on_seed_split_and_index():
    keys = [(0, 'train', 0), (1, 'train', 0), (0, 'val', 0), (0, 'train', 1)]
    scenes = [
        str(sample_scene(draw_sample(Settings(seed=s), split, i)))
        for s, split, i in keys
    ]
    assert len(set(scenes)) == len(keys)
    again = draw_sample(Settings(seed=0), 'train', 0)
    assert str(sample_scene(again)) == scenes[0]
