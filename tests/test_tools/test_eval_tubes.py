# Copyright (c) costa_mm authors. All rights reserved.
"""The three tools on tube files, as a user calls them."""
import json
import os
import runpy
import sys
from pathlib import Path

import numpy as np
import pytest
from golden_tubes import DATA, golden_tubes

from costa_mm.cli.running import run_main
from costa_mm.structures import Tube, dump_tubes, load_tubes

ROOT = Path(__file__).resolve().parents[2]
TOOLS = ROOT / 'tools' / 'analysis_tools'
GROUPS = dict(
    paper='plain_dense_sets',
    stcat_hcstvg='stcat_hcstvg',
    stcat_vidstg='stcat_vidstg',
    tubedetr_hcstvg='tubedetr_hcstvg',
    tubedetr_vidstg='tubedetr_vidstg',
    official_hcstvg='official_hcstvg')


@pytest.fixture(scope='module')
def files(tmp_path_factory):
    """The golden tubes as two tube files."""
    folder = tmp_path_factory.mktemp('tubes')
    preds, gts = golden_tubes()
    dump_tubes(preds, folder / 'pred.json')
    dump_tubes(gts, folder / 'gt.json')
    return folder


def call(monkeypatch, capsys, tool, *args):
    """Run a tool in this process; exit status (or message) and output."""
    monkeypatch.setattr(sys, 'argv', [tool, *map(str, args)])
    code = run_main(runpy.run_path(str(TOOLS / f'{tool}.py'))['main'])
    said = capsys.readouterr()
    return said.err if code == 2 else code, said.out


@pytest.mark.parametrize('protocol', GROUPS)
def test_eval_tubes_equals_published_numbers(protocol, files, tmp_path,
                                             monkeypatch, capsys):
    out = tmp_path / 'new' / 'scores.json'
    code, text = call(monkeypatch, capsys, 'eval_tubes', files / 'pred.json',
                      files / 'gt.json', '--protocol', protocol, '--json',
                      out)
    assert code == 0
    with open(DATA / 'eval_results.json', encoding='utf-8') as f:
        golden = json.load(f)[f'A_aligned.{GROUPS[protocol]}']
    report = json.loads(out.read_text())
    for i, expected in golden['per_video'].items():
        values = report['per_sample'][i]
        for ours, theirs in [('tiou', 'tiou'), ('viou', 'viou'),
                             ('siou', 'gt_viou')]:
            if theirs in expected:
                assert values[ours] == pytest.approx(
                    expected[theirs], abs=1e-9)
    lines = dict(line.split(': ') for line in text.splitlines())
    assert lines['m_vIoU'] == f'{golden["mean"]["viou"]:.6f}'
    assert lines['m_tIoU'] == f'{golden["mean"]["tiou"]:.6f}'
    assert lines['declarative/m_vIoU'] == '{:.6f}'.format(
        golden['mean_by_qtype']['declarative']['viou'])
    assert ('m_sIoU' in lines) == (protocol != 'official_hcstvg')


def test_eval_tubes_needs_frame_counts_only_where_it_samples(
        files, tmp_path, monkeypatch, capsys):
    bare = {
        i: Tube(t.span, t.frame_ids, t.boxes)
        for i, t in load_tubes(files / 'gt.json').items()
    }
    dump_tubes(bare, tmp_path / 'gt.json')
    args = (files / 'pred.json', tmp_path / 'gt.json', '--protocol')
    for protocol in GROUPS:
        code, text = call(monkeypatch, capsys, 'eval_tubes', *args, protocol)
        if protocol.startswith('tubedetr'):
            assert '"num_frames"' in code and "'0'" in code
        else:
            assert code == 0 and 'm_vIoU: ' in text


def test_eval_tubes_errors(files, tmp_path, monkeypatch, capsys):
    preds = load_tubes(files / 'pred.json')
    dump_tubes({i: preds[i] for i in list(preds)[3:]}, tmp_path / 'some.json')
    (tmp_path / 'broken.json').write_text('{')
    gt = files / 'gt.json'
    for name, expected in [('some', '3 of 24 samples have no prediction'),
                           ('broken', 'not a JSON file'),
                           ('absent', 'No such file')]:
        code, _ = call(monkeypatch, capsys, 'eval_tubes',
                       tmp_path / f'{name}.json', gt)
        assert expected in code
    code, _ = call(monkeypatch, capsys, 'eval_tubes', tmp_path / 'some.json',
                   gt, '--missing', 'zero')
    assert code == 0


def test_compare_tubes(files, tmp_path, monkeypatch, capsys):
    preds = load_tubes(files / 'pred.json')
    gts = load_tubes(files / 'gt.json')
    better = dict(preds)
    better['7'] = Tube(gts['7'].span, preds['7'].frame_ids, preds['7'].boxes)
    dump_tubes(better, tmp_path / 'better.json')
    out = tmp_path / 'diff.json'
    code, text = call(monkeypatch, capsys, 'compare_tubes',
                      files / 'pred.json', tmp_path / 'better.json',
                      files / 'gt.json', '--top', '2', '--json', out)
    assert code == 0
    assert '1 samples better, 0 worse, 23 same' in text
    assert text.splitlines()[-2].split()[0] == '7'
    result = json.loads(out.read_text())
    assert result['samples'][0]['sample_id'] == '7'
    assert len(result['samples']) == 24
    del better['7']
    dump_tubes(better, tmp_path / 'better.json')
    code, _ = call(monkeypatch, capsys, 'compare_tubes', files / 'pred.json',
                   tmp_path / 'better.json', files / 'gt.json')
    assert 'better.json' in code and "'7'" in code


def test_trivial_baselines(files, tmp_path, monkeypatch, capsys):
    sizes = tmp_path / 'sizes.json'
    with np.load(DATA / 'eval_inputs.npz', allow_pickle=False) as z:
        sizes.write_text(
            json.dumps({
                str(i): [int(w), int(h)]
                for i, (w, h) in enumerate(zip(z['width'], z['height']))
            }))
    gt = files / 'gt.json'
    code, text = call(monkeypatch, capsys, 'trivial_baselines', gt, gt,
                      '--train-sizes', sizes, '--test-sizes', sizes,
                      '--out-dir', tmp_path / 'out', '--json',
                      tmp_path / 'scores.json')
    assert code == 0
    scores = json.loads((tmp_path / 'scores.json').read_text())
    assert list(scores) == ['whole_video_best_box', 'mean_span_mean_box']
    for name, values in scores.items():
        assert f'{name}/m_vIoU: {values["m_vIoU"]:.6f}' in text
        path = tmp_path / 'out' / f'{name}.json'
        code, text_again = call(monkeypatch, capsys, 'eval_tubes', path, gt)
        assert f'm_vIoU: {values["m_vIoU"]:.6f}' in text_again
    assert os.listdir(tmp_path / 'out')
