# Copyright (c) costa_mm authors. All rights reserved.
import json

import pytest

from costa_mm.evaluation import (compare_records, comparison_table,
                                 evaluate_tubes, evaluation_report,
                                 metric_lines)
from costa_mm.evaluation.comparison import bootstrap_interval
from costa_mm.evaluation.diagnostics import (diagnose_nothing, error_split,
                                             main_error)
from costa_mm.structures import Tube


def test_missing_predictions(golden):
    preds, gts, _ = golden
    some = {i: preds[i] for i in list(preds)[4:]}
    with pytest.raises(ValueError, match="4 of 24 samples.*'0', '1', '2', "):
        evaluate_tubes(some, gts)
    skipped = evaluate_tubes(some, gts, missing='skip')
    zero = evaluate_tubes(some, gts, missing='zero')
    assert (len(skipped), len(zero)) == (20, 24)
    ratio = (
        metric_lines(zero, 'paper')['m_vIoU'] /
        metric_lines(skipped, 'paper')['m_vIoU'])
    assert ratio == pytest.approx(20 / 24)
    plain = evaluate_tubes(some, gts, missing='zero', diagnostics=False)
    assert not any(record.diagnostics for record in plain)


@pytest.mark.parametrize('absent', [0, 4, 23])
def test_errors_sum_up_with_missing_predictions(absent, golden):
    preds, gts, _ = golden
    some = {i: preds[i] for i in list(preds)[absent:]}
    records = evaluate_tubes(some, gts, missing='zero')
    lines = metric_lines(records, 'paper')
    assert sum(lines[f'err_{k}'] for k in ('time', 'place', 'object')
               ) == pytest.approx(1 - lines['m_vIoU'])
    assert sum(lines[f'err_siou_{k}'] for k in ('place', 'object')
               ) == pytest.approx(1 - lines['m_sIoU'])
    alone = metric_lines(
        evaluate_tubes(some, gts, missing='skip'), 'paper')
    assert lines.get('jump_rate') == alone.get('jump_rate')
    # as of a tube of which no frame is right
    for record in records[:absent]:
        assert main_error(record.diagnostics) == 'time'


def test_a_missing_prediction_is_diagnosed_as_one_that_is_elsewhere(make_tube):
    gt = make_tube((2, 7))
    empty = error_split(Tube((20, 21), [], []), gt)._asdict()
    assert {f'err_{k}': v for k, v in empty.items()}.items() <= \
        diagnose_nothing(gt).items()


def test_zero_under_a_protocol_without_siou(golden):
    preds, gts, _ = golden
    some = {i: preds[i] for i in list(preds)[4:]}
    records = evaluate_tubes(some, gts, 'official_hcstvg', missing='zero')
    assert 'm_sIoU' not in metric_lines(records, 'official_hcstvg')


def test_extra_predictions(golden):
    preds, gts, _ = golden
    some = {i: gts[i] for i in list(gts)[4:]}
    with pytest.raises(ValueError, match='4 predictions.*--extra ignore'):
        evaluate_tubes(preds, some)
    assert len(evaluate_tubes(preds, some, extra='ignore')) == 20


@pytest.mark.parametrize('missing', ['error', 'zero', 'skip'])
def test_files_of_two_splits_are_an_error(missing, golden):
    preds, gts, _ = golden
    other = {f'x{i}': p for i, p in preds.items()}
    with pytest.raises(ValueError, match='24 of 24.*are both files of one'):
        evaluate_tubes(other, gts, missing=missing)
    with pytest.raises(ValueError, match='no sample'):
        evaluate_tubes(preds, {})


def test_report_is_plain_json_in_full_precision(golden):
    preds, gts, results = golden
    report = evaluation_report(evaluate_tubes(preds, gts), 'paper')
    again = json.loads(json.dumps(report, allow_nan=False))
    assert again == report
    assert set(report['mean']) == {
        'm_tIoU', 'm_vIoU', 'vIoU@0.3', 'vIoU@0.5', 'm_sIoU'
    }
    assert set(report['by_qtype']) == {'declarative', 'interrogative'}
    expected = results['A_aligned.plain_dense_sets']['per_video']
    for i, values in report['per_sample'].items():
        assert list(values) == ['tiou', 'viou', 'siou']
        assert values['viou'] == pytest.approx(expected[i]['viou'], abs=1e-9)


def test_comparison_by_hand(make_tube):
    gts = {i: make_tube((0, 10)) for i in 'abcd'}
    first = {i: make_tube((0, 10)) for i in 'abcd'}
    second = dict(
        first, b=make_tube((0, 5)), c=make_tube((0, 10), (40, 0, 50, 10)))
    out = compare_records(
        evaluate_tubes(first, gts), evaluate_tubes(second, gts), 'paper')
    assert [s['sample_id'] for s in out['samples']] == ['c', 'b', 'a', 'd']
    assert [s['change'] for s in out['samples']] == [-1, -.5, 0, 0]
    assert (out['better'], out['worse'], out['same']) == (0, 2, 2)
    assert out['mean']['m_vIoU'] == dict(first=1, second=.625, change=-.375)
    assert out['samples'][0]['second']['main_error'] == 'object'
    assert out['samples'][1]['second']['main_error'] == 'time'
    low, high = out['interval']
    assert -1 <= low < -.375 < high <= 0
    table = comparison_table(out, top=2).splitlines()
    assert len(table) == 3 and table[1].startswith('c')


def test_comparison_needs_the_same_samples_and_a_known_score(golden):
    preds, gts, _ = golden
    records = evaluate_tubes(preds, gts)
    with pytest.raises(ValueError, match='same samples'):
        compare_records(records, records[1:], 'paper')
    official = evaluate_tubes(preds, gts, 'official_hcstvg')
    with pytest.raises(ValueError, match='has no siou'):
        compare_records(official, official, 'official_hcstvg', 'siou')


def test_bootstrap_interval_is_deterministic():
    import numpy as np
    changes = np.r_[np.ones(50), -np.ones(50)]
    low, high = bootstrap_interval(changes)
    assert (low, high) == bootstrap_interval(changes)
    # standard error 0.1: about +-0.196
    assert low == pytest.approx(-.196, abs=.04)
    assert high == pytest.approx(.196, abs=.04)
