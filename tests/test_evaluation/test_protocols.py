# Copyright (c) costa_mm authors. All rights reserved.
import dataclasses
from pathlib import Path

import numpy as np
import pytest

from costa_mm.evaluation import PROTOCOLS, get_protocol
from costa_mm.evaluation.report import evaluate_sample, means, means_by_qtype
from costa_mm.structures import Tube

GOLDEN = {name: f'A_aligned.{name}' for name in PROTOCOLS}
GOLDEN['paper'] = 'A_aligned.plain_dense_sets'
NAMES = dict(tiou='tiou', viou='viou', siou='gt_viou')


def test_six_protocols():
    assert list(PROTOCOLS) == [
        'paper', 'stcat_hcstvg', 'stcat_vidstg', 'tubedetr_hcstvg',
        'tubedetr_vidstg', 'official_hcstvg'
    ]


@pytest.mark.parametrize('name', GOLDEN)
def test_equals_published_evaluator_per_sample(name, golden):
    preds, gts, results = golden
    published = results[GOLDEN[name]]['per_video']
    assert len(published) == len(gts) == 24
    for i, expected in published.items():
        scores = PROTOCOLS[name].score(preds[i], gts[i])
        for ours, theirs in NAMES.items():
            if theirs in expected:
                assert getattr(scores, ours) == pytest.approx(
                    expected[theirs], abs=1e-9), (i, ours)
            else:
                assert name == 'official_hcstvg' and scores.siou is None


@pytest.mark.parametrize('name', GOLDEN)
def test_equals_published_means(name, golden):
    preds, gts, results = golden
    expected = results[GOLDEN[name]]
    records = [evaluate_sample(i, preds[i], gts[i], (name, )) for i in gts]
    groups = {None: (means(records, name), expected['mean'])}
    for qtype, values in means_by_qtype(records, name).items():
        groups[qtype] = (values, expected['mean_by_qtype'][qtype])
    assert len(groups) == 3
    for ours, theirs in groups.values():
        pairs = dict(
            m_tIoU='tiou',
            m_vIoU='viou',
            m_sIoU='gt_viou',
            **{f'vIoU@{r}': f'viou@{r}' for r in (.3, .5)})
        for a, b in pairs.items():
            if b in theirs:
                assert ours[a] == pytest.approx(theirs[b], abs=1e-9)


@pytest.mark.parametrize('protocol, tiou, viou', [
    ('paper', 5 / 15, 5 / 3 / 15),
    ('official_hcstvg', 5 / 15, 5 / 3 / 15),
    ('stcat_hcstvg', 4 / 15, 4 / 3 / 15),
    ('tubedetr_hcstvg', 5 / 15, 5 / 3 / 15),
])
def test_by_hand(protocol, tiou, viou, make_tube):
    """True [0, 10), predicted [5, 15), every box overlaps by a third."""
    gt = make_tube((0, 10), fps=1)
    pred = make_tube((5, 15), (5, 0, 15, 10))
    scores = PROTOCOLS[protocol].score(pred, gt)
    assert scores.tiou == pytest.approx(tiou)
    assert scores.viou == pytest.approx(viou)
    if protocol != 'official_hcstvg':
        assert scores.siou == pytest.approx(1 / 3)


@pytest.mark.parametrize('protocol', PROTOCOLS)
@pytest.mark.parametrize('span', [(0, 5), (15, 20), (10, 11)])
def test_disjoint_and_touching_spans_score_nothing(protocol, span, make_tube):
    gt, pred = make_tube((5, 10), fps=1), make_tube(span)
    scores = PROTOCOLS[protocol].score(pred, gt)
    assert (scores.tiou, scores.viou) == (0, 0)
    if protocol != 'official_hcstvg':
        assert scores.siou == 1  # boxes are right, whatever the span


@pytest.mark.parametrize('protocol', PROTOCOLS)
def test_one_frame_tube(protocol, make_tube):
    gt = make_tube((7, 8), fps=1)
    scores = PROTOCOLS[protocol].score(make_tube((7, 8)), gt)
    # STCAT takes the last true frame away, and with it the only one
    expected = 0 if protocol.startswith('stcat') else 1
    assert (scores.tiou, scores.viou) == (expected, expected)


@pytest.mark.parametrize('protocol', PROTOCOLS)
def test_perfect_prediction(protocol, make_tube):
    gt = make_tube((4, 14), fps=1)
    scores = PROTOCOLS[protocol].score(make_tube((4, 14)), gt)
    assert scores.tiou == (.9 if protocol.startswith('stcat') else 1)


def test_true_frames_without_a_box_count_for_nobody_in_paper(make_tube):
    full = make_tube((0, 10))
    holes = Tube((0, 10), [0, 1, 2, 3, 8, 9],
                 full.boxes[:6], num_frames=20, fps=1)
    pred = make_tube((0, 10))
    assert PROTOCOLS['paper'].score(pred, holes) == (1, 1, 1)
    # their evaluators count such frames in the denominator
    assert PROTOCOLS['official_hcstvg'].score(pred, holes) == (.6, .6, None)
    assert PROTOCOLS['stcat_hcstvg'].score(pred, holes).viou == .5


def test_boxes_outside_the_true_span_are_not_looked_at(make_tube):
    gt = make_tube((5, 10))  # has boxes on all 20 frames
    pred = make_tube((5, 10))
    boxes = pred.boxes.copy()
    boxes[:5] = boxes[10:] = 500
    pred = Tube((5, 10), pred.frame_ids, boxes)
    assert PROTOCOLS['paper'].score(pred, gt) == (1, 1, 1)


@pytest.mark.parametrize('protocol', [
    p for p in PROTOCOLS if p != 'official_hcstvg'
])
def test_missing_predicted_boxes(protocol, make_tube):
    gt = make_tube((5, 15), fps=1)
    pred = Tube((10, 15), np.arange(10, 15), np.ones((5, 4)) * [0, 0, 10, 10])
    with pytest.raises(ValueError, match='no box on 5 true frame.*first is 5'):
        PROTOCOLS[protocol].score(pred, gt)
    scores = PROTOCOLS[protocol].score(pred, gt, missing_boxes='zero')
    assert scores.siou == pytest.approx(.5)


def test_official_reads_boxes_inside_the_predicted_span_only(make_tube):
    gt = make_tube((5, 15))
    pred = Tube((10, 15), np.arange(10, 15), np.ones((5, 4)) * [0, 0, 10, 10])
    assert PROTOCOLS['official_hcstvg'].score(pred, gt) == (.5, .5, None)


def test_vidstg_grid_starts_at_the_segment(make_tube):
    gt = make_tube((50, 60), num=100, fps=30)
    frames = PROTOCOLS['tubedetr_vidstg'].grid_frames
    assert frames(gt)[:3].tolist() == [0, 6, 12]
    part = dataclasses.replace(gt, segment=(40, 70))
    assert frames(part).tolist() == [40, 42, 48, 54, 60, 66]


@pytest.mark.parametrize('protocol, lacks', [
    ('tubedetr_hcstvg', 'num_frames'),
    ('tubedetr_vidstg', 'num_frames'),
    ('tubedetr_vidstg', 'fps'),
])
def test_sampling_protocols_say_what_they_need(protocol, lacks, make_tube):
    gt = make_tube((5, 10), fps=30)
    known = dict(num_frames=20, fps=30.)
    known[lacks] = None
    gt = Tube(gt.span, gt.frame_ids, gt.boxes, **known)
    with pytest.raises(ValueError, match=f'needs "{lacks}"'):
        PROTOCOLS[protocol].score(make_tube((5, 10)), gt)
    # the others do without
    assert PROTOCOLS['paper'].score(make_tube((5, 10)), gt).viou == 1


def test_tubes_that_cannot_be_scored_name_the_sample(make_tube):
    gt, nothing = make_tube((5, 10)), make_tube(None)
    for pred, truth, text in [
        (nothing, gt, "'a7'.*prediction has no span"),
        (gt, nothing, "'a7'.*ground truth has no span"),
        (gt, Tube((5, 10)), "'a7'.*no box inside"),
    ]:
        with pytest.raises(ValueError, match=text):
            evaluate_sample('a7', pred, truth)


def test_unknown_protocol():
    with pytest.raises(ValueError, match="'papre'.*paper"):
        get_protocol('papre')


@pytest.mark.parametrize('name', GOLDEN)
def test_documented_figures(name, golden):
    """The table of the documentation holds the published means."""
    page = Path(__file__).resolve().parents[2] / 'docs' / 'en' / 'metrics.md'
    row = next(line for line in page.read_text(encoding='utf-8').splitlines()
               if line.startswith('|') and line.count('|') == 8
               and f'`{name}`' in line)
    mean = golden[2][GOLDEN[name]]['mean']
    figures = [
        f'{mean[k]:.4f}' if k in mean else '-'
        for k in ('tiou', 'viou', 'viou@0.3', 'viou@0.5', 'gt_viou')
    ]
    assert [cell.strip() for cell in row.split('|')[2:7]] == figures
