# Copyright (c) costa_mm authors. All rights reserved.
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from costa_mm.apis import Calibration
from costa_mm.apis.calibration import (calibration_path, find_calibration,
                                       score_features, weights_digest)
from costa_mm.apis.calibration_fit import (ScoredPairs, best_threshold,
                                           calibration_error, feature_table,
                                           fit_calibration, fit_logistic,
                                           negative_sentences, roc_auc)
from costa_mm.structures import Tube, TubeDataSample

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def sample():
    ids = np.array([0, 2, 4, 6])
    out = TubeDataSample(metainfo=dict(frame_ids=ids))
    out.pred_tube = Tube((2, 6))
    out.pred_score = 0.25
    out.pred_start = np.array([0., 1., 0., 0.])
    out.pred_end = np.full(4, 0.25)
    out.pred_attendance = np.array([0.1, 0.6, 0.8, 0.3])
    out.pred_boxes = np.array([[0, 0, 9, 9], [0, 0, 4, 4], [2, 0, 6, 4],
                               [5, 5, 9, 9]], float)
    return out


def test_features_by_hand(sample):
    found = score_features(sample)
    assert found == pytest.approx(
        dict(
            span_log_prob=np.log(0.25),
            span_entropy=0.5,  # a certain start, a uniform end
            box_jumps=1 - 8 / 24,  # frames 2 and 4
            attend_inside=np.log(0.7 / 0.3),
            attend_outside=np.log(0.2 / 0.8),
            attend_peak=np.log(0.8 / 0.2)))


def test_features_of_the_shortest_video_without_attendance(sample):
    sample.set_metainfo(dict(frame_ids=np.array([2])))
    sample.pred_start = sample.pred_end = np.ones(1)
    sample.pred_boxes = sample.pred_boxes[:1]
    del sample.pred_attendance
    assert score_features(sample) == pytest.approx(
        dict(span_log_prob=np.log(0.25), span_entropy=0., box_jumps=0.))


def test_confidence_by_hand():
    model = Calibration(('a', 'b'), (1., 2.), (2., 4.), (3., -1.), 0.5, 0.5)
    logit = 3 * (5 - 1) / 2 - (6 - 2) / 4 + 0.5
    found = model.confidence(dict(a=5., b=6., c=7.))
    assert found == pytest.approx(1 / (1 + np.exp(-logit)))
    assert model.confidence(dict(a=1e6, b=0.)) == 1.0
    with pytest.raises(ValueError, match='no b: the calibration is of'):
        model.confidence(dict(a=5.))


@pytest.mark.parametrize('change, message', [
    (dict(mean=(1., )), 'differ in number'),
    (dict(scale=(0., 1.)), 'not positive'),
    (dict(bias=float('nan')), 'not finite'),
    (dict(threshold=2.), 'no probability')])
def test_bad_calibrations_are_refused(change, message):
    values = dict(features=('a', 'b'), mean=(1., 2.), scale=(2., 4.),
                  weights=(3., -1.), bias=0.5, threshold=0.5)
    Calibration(**values)
    with pytest.raises(ValueError, match=message):
        Calibration(**{**values, **change})


def test_it_lies_beside_the_checkpoint_of_the_same_weights(tmp_path):
    state = dict(b=torch.ones(2), a=torch.zeros(1))
    path = str(tmp_path / 'epoch_6.pth')
    assert find_calibration(path, state) is None
    model = Calibration(('a', ), (1., ), (2., ), (3., ), 0.5, 0.5,
                        weights_digest(state), dict(note='x'))
    model.dump(calibration_path(path))
    assert calibration_path(path) == str(tmp_path /
                                         'epoch_6.calibration.json')
    assert find_calibration(path, dict(sorted(state.items()))) == model
    with pytest.raises(ValueError, match='fitted on other weights'):
        find_calibration(path, dict(state, a=torch.ones(1)))


@pytest.mark.parametrize('text', ['{', '[1]', '{"bias": 1}', '""'])
def test_a_file_that_is_no_calibration(tmp_path, text):
    path = tmp_path / 'a.calibration.json'
    path.write_text(text)
    with pytest.raises(ValueError, match='a.calibration.json is no calib'):
        Calibration.load(path)


# ------------------------------------------------------------------ fitting
def test_auc_by_hand():
    labels = np.array([1, 1, 0, 0], bool)
    assert roc_auc(np.array([3., 2., 1., 0.]), labels) == 1.0
    assert roc_auc(np.array([0., 1., 2., 3.]), labels) == 0.0
    assert roc_auc(np.array([3., 1., 2., 0.]), labels) == 0.75
    assert roc_auc(np.array([1., 1., 1., 1.]), labels) == 0.5
    with pytest.raises(ValueError):
        roc_auc(np.ones(2), np.ones(2, bool))


def test_calibration_error_by_hand():
    probs = np.array([0.1, 0.1, 0.95, 1.0])
    labels = np.array([0, 1, 1, 1], bool)
    assert calibration_error(probs, labels) == pytest.approx(
        (abs(0.2 - 1) + abs(1.95 - 2)) / 4)


def test_threshold_by_hand():
    scores = np.array([0.1, 0.2, 0.4, 0.8, 0.9])
    labels = np.array([0, 1, 0, 1, 1], bool)
    # at 0.6: 2 of 3 kept and 2 of 2 refused
    assert best_threshold(scores, labels) == pytest.approx(0.6)
    assert best_threshold(scores, labels, max_miss=0) == pytest.approx(0.15)
    assert best_threshold(scores, labels, max_miss=0.4) == pytest.approx(0.6)


def test_logistic_regression_finds_the_minimum():
    rng = np.random.default_rng(0)
    values = rng.normal(size=(400, 2))
    labels = rng.random(400) < 1 / (1 + np.exp(-(2 * values[:, 0] - 1)))
    weights, bias = fit_logistic(values, labels, decay=0.5)
    w = torch.tensor([*weights, bias], requires_grad=True)
    rows = torch.tensor(np.column_stack([values, np.ones(400)]))
    losses = torch.nn.functional.binary_cross_entropy_with_logits(
        rows @ w, torch.tensor(labels, dtype=torch.double), reduction='none')
    shares = torch.tensor(
        np.where(labels, 200 / labels.sum(), 200 / (~labels).sum()))
    loss = (shares * losses).sum() + 0.25 * (w[:2]**2).sum()
    loss.backward()
    assert w.grad.abs().max() < 0.05
    assert weights[0] > 1.5 and abs(weights[1]) < 0.4
    with pytest.raises(ValueError, match='both are needed'):
        fit_logistic(values, np.ones(400, bool))


def make_pairs(num=120, signal=2.0):
    """Two features, of which the first says something."""
    rng = np.random.default_rng(1)
    labels = np.tile([True, False], num)
    values = rng.normal(size=(2 * num, 2)) + signal * np.stack(
        [labels, 0 * labels], 1)
    names = ('span_log_prob', 'box_jumps')
    return ScoredPairs([dict(zip(names, v)) for v in values.tolist()],
                       labels, np.repeat(np.arange(num), 2))


def test_a_fit_tells_what_is_to_be_expected():
    model = fit_calibration(make_pairs(), digest='d', notes=dict(split='val'))
    report = model.report
    # two normal distributions at a distance of 2: AUC 0.921, accuracy 0.841
    assert report['roc_auc'] == pytest.approx(0.921, abs=0.04)
    assert report['accuracy'] == pytest.approx(0.841, abs=0.05)
    assert report['accuracy'] == report['balanced_accuracy']
    assert report['calibration_error'] < 0.1 and report['brier'] < 0.15
    assert (report['num_true'], report['num_negative']) == (120, 120)
    assert report['split'] == 'val' and model.weights_digest == 'd'
    assert 0.3 < model.threshold < 0.7
    low, high = (model.confidence(dict(span_log_prob=x, box_jumps=0.))
                 for x in (-1., 3.))
    assert low < 0.1 and high > 0.9
    assert json.loads(json.dumps(report)) == report


def test_noise_is_reported_as_noise():
    report = fit_calibration(make_pairs(signal=0.)).report
    assert report['roc_auc'] == pytest.approx(0.5, abs=0.1)
    assert report['brier'] == pytest.approx(0.25, abs=0.02)


def test_highest_share_of_missed_sentences():
    pairs = make_pairs()
    strict = fit_calibration(pairs)
    kind = fit_calibration(pairs, max_miss=0.02)
    assert kind.report['true_found'] >= 0.98
    assert kind.threshold < strict.threshold


def test_too_few_videos():
    with pytest.raises(ValueError, match='3 videos cannot make 5 folds'):
        fit_calibration(make_pairs(3))


def test_features_that_some_lack_are_left_out():
    names, values = feature_table([dict(span_log_prob=1., attend_peak=2.),
                                   dict(span_log_prob=3.)])
    assert names == ('span_log_prob', ) and values.tolist() == [[1.], [3.]]


def test_negative_sentences_are_of_other_videos():
    sentences = ['a', 'b', 'c', 'a', 'd']
    videos = ['1', '1', '2', '3', '3']
    drawn = negative_sentences(sentences, videos, num=2, seed=3)
    own = [{'a', 'b'}, {'a', 'b'}, {'c'}, {'a', 'd'}, {'a', 'd'}]
    for chosen, taboo in zip(drawn, own):
        assert len(set(chosen)) == 2 and not set(chosen) & taboo
    assert drawn == negative_sentences(sentences, videos, num=2, seed=3)
    with pytest.raises(ValueError, match='the split is too small'):
        negative_sentences(sentences, videos, num=3)


def test_a_calibration_says_nothing_of_other_videos():
    model = Calibration(('a', ), (1., ), (2., ), (3., ), 0.5, 0.5,
                        domain=dict(name='toys', width=[90, 100],
                                    height=[96, 96]))
    assert model.covers(96, 96) and model.covers(90, 96)
    assert not model.covers(96, 97) and not model.covers(640, 360)
    unknown = Calibration(('a', ), (1., ), (2., ), (3., ), 0.5, 0.5)
    assert unknown.covers(640, 360)  # as files without a domain always did


def test_the_shipped_calibration_is_of_drawn_shapes():
    path, = (ROOT / 'checkpoints').glob('*.calibration.json')
    calibration = Calibration.load(path)
    assert 'synthetic' in calibration.domain['name']
    assert calibration.covers(96, 96)
    assert not calibration.covers(320, 240)
