# Copyright (c) costa_mm authors. All rights reserved.
"""Protocols and formats that somebody else registers."""
import json
import runpy
import sys
from pathlib import Path

import pytest
from mmengine.registry import DefaultScope

from costa_mm.evaluation import (PROTOCOLS, BaseProtocol, STVGMetric, TubeFile,
                                 get_protocol)
from costa_mm.registry import EVAL_PROTOCOLS, METRICS, RESULT_FORMATS
from costa_mm.structures import dump_tubes

ROOT = Path(__file__).resolve().parents[2]
MODULE = """
from costa_mm.evaluation import BaseProtocol, Scores
from costa_mm.registry import EVAL_PROTOCOLS


@EVAL_PROTOCOLS.register_module()
class StartOnly(BaseProtocol):
    note = 'only the start counts'
    has_siou = False

    def score(self, pred, gt, missing_boxes='raise'):
        right = float(pred.span[0] == gt.span[0])
        return Scores(right, right / 2, None)
"""


@pytest.fixture
def samples(make_tube):
    """vIoU 0.5 and 0.8 under the paper's protocol."""
    gt = make_tube((0, 10), fps=1)
    return [
        dict(sample_id=i, gt_tube=gt, pred_tube=make_tube((0, end)))
        for i, end in (('a', 5), ('b', 8))
    ]


def test_thresholds_are_an_argument(samples):
    metric = METRICS.build(
        dict(
            type='STVGMetric',
            protocol=dict(type='paper', thresholds=[0.45, 0.5, 0.8])))
    metric.process(None, samples)
    values = metric.evaluate(2)
    assert values['stvg/vIoU@0.45'] == 1
    assert values['stvg/vIoU@0.5'] == 0.5  # strictly above
    assert values['stvg/vIoU@0.8'] == 0
    assert 'stvg/vIoU@0.3' not in values
    assert PROTOCOLS['paper'].thresholds == (0.3, 0.5)  # others are untouched


def test_names_dicts_and_objects_side_by_side(samples):
    strict = dict(type='costa_mm.paper', name='strict', thresholds=(0.7, ))
    metric = STVGMetric(
        protocol=['paper', strict, PROTOCOLS['official_hcstvg']])
    metric.process(None, samples)
    values = metric.evaluate(2)
    assert values['stvg/vIoU@0.3'] == 1
    assert values['stvg/strict/vIoU@0.7'] == 0.5
    assert values['stvg/official_hcstvg/m_vIoU'] == pytest.approx(.65)


@pytest.mark.parametrize('protocol, text', [
    (['paper', dict(type='paper', thresholds=(.7, ))], 'each once.*name='),
    (dict(type='paper', thresholds=(50, )), r'\[0, 1\), not \(50.0,\)'),
    (dict(type='paper', thresholds=()), 'thresholds'),
    (dict(type='json'), "unknown protocol 'json'; there are.*paper"),
])
def test_wrong_protocols(protocol, text):
    with pytest.raises(ValueError, match=text):
        STVGMetric(protocol=protocol)


def test_a_default_scope_of_another_project_makes_no_difference(
        caplog, capsys):
    with DefaultScope.overwrite_default_scope('mmdet'):
        assert get_protocol(dict(type='paper')).name == 'paper'
    assert 'Failed to search' not in caplog.text + capsys.readouterr().err


def test_eval_tubes_with_a_protocol_of_another_package(
        samples, tmp_path, monkeypatch, capsys):
    (tmp_path / 'my_protocols.py').write_text(MODULE)
    monkeypatch.syspath_prepend(str(tmp_path))
    for kind in ('pred', 'gt'):
        dump_tubes({s['sample_id']: s[f'{kind}_tube'] for s in samples},
                   tmp_path / f'{kind}.json')
    args = [tmp_path / 'pred.json', tmp_path / 'gt.json', '--protocol',
            'StartOnly', '--protocol', 'paper', '--custom-imports',
            'my_protocols', '--thresholds', '0.4', '0.6', '--json',
            tmp_path / 'out.json']
    monkeypatch.setattr(sys, 'argv', ['eval_tubes', *map(str, args)])
    try:
        runpy.run_path(
            str(ROOT / 'tools' / 'analysis_tools' / 'eval_tubes.py'))['main']()
    finally:
        EVAL_PROTOCOLS.module_dict.pop('StartOnly', None)
    out, err = capsys.readouterr()
    lines = dict(line.split(': ') for line in out.splitlines())
    assert 'protocol StartOnly: only the start counts; 2 samples' in err
    assert lines['m_vIoU'] == '0.500000' and lines['vIoU@0.4'] == '1.000000'
    assert lines['paper/vIoU@0.6'] == '0.500000'
    report = json.loads((tmp_path / 'out.json').read_text())
    assert report['protocol'] == 'StartOnly'
    assert report['per_sample']['a'] == dict(tiou=1, viou=.5, siou=None)
    further = report['further_protocols']['paper']
    assert further['per_sample']['a']['viou'] == .5
    assert further['mean']['vIoU@0.4'] == 1


def test_a_class_instead_of_a_name():

    class Mine(BaseProtocol):
        """Registered nowhere."""

    assert get_protocol(dict(type=Mine)).name == 'Mine'


def test_own_format(samples, tmp_path):

    class Spans(TubeFile):
        """Writes spans only."""

        def write(self, records, path):
            Path(path).write_text(
                json.dumps({r.sample_id: r.pred.span for r in records}))

    RESULT_FORMATS.register_module('spans', module=Spans)
    try:
        metric = STVGMetric(format='spans', tube_file=str(tmp_path / 's.json'))
        metric.process(None, samples)
        metric.evaluate(2)
    finally:
        RESULT_FORMATS.module_dict.pop('spans')
    assert json.loads((tmp_path / 's.json').read_text())['b'] == [0, 8]
