# Copyright (c) costa_mm authors. All rights reserved.
import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from mmengine.evaluator import Evaluator
from mmengine.logging import MMLogger

from costa_mm.evaluation import HCSTVGChallengeFile, STVGMetric, evaluate_tubes
from costa_mm.evaluation.report import SampleRecord, group_by_factor
from costa_mm.evaluation.stvg_metric import merge_records
from costa_mm.registry import METRICS
from costa_mm.structures import Tube, TubeDataSample, load_tubes

ROOT = Path(__file__).resolve().parents[2]


def samples_of(golden, **meta):
    preds, gts, _ = golden
    out = []
    for i, gt in gts.items():
        sample = TubeDataSample(
            metainfo=dict(sample_id=i, video_id=f'v{i}.mp4', **meta))
        sample.gt_tube, sample.pred_tube = gt, preds[i]
        out.append(sample)
    return out


def test_through_the_evaluator(golden):
    evaluator = Evaluator([dict(type='costa_mm.STVGMetric')])
    for sample in samples_of(golden):
        evaluator.process([sample])
    values = evaluator.evaluate(24)
    mean = golden[2]['A_aligned.plain_dense_sets']['mean']
    for ours, theirs in [('m_tIoU', 'tiou'), ('m_vIoU', 'viou'),
                         ('vIoU@0.3', 'viou@0.3'), ('vIoU@0.5', 'viou@0.5'),
                         ('m_sIoU', 'gt_viou')]:
        assert values[f'stvg/{ours}'] == pytest.approx(mean[theirs], abs=1e-9)
    by_qtype = golden[2]['A_aligned.plain_dense_sets']['mean_by_qtype']
    assert values['stvg/interrogative/m_vIoU'] == pytest.approx(
        by_qtype['interrogative']['viou'], abs=1e-9)
    assert sum(values[f'stvg/err_{n}'] for n in ('time', 'place', 'object')
               ) == pytest.approx(1 - values['stvg/m_vIoU'])


def test_dicts_and_samples_and_several_batches_agree(golden):
    samples = samples_of(golden)
    one, two = STVGMetric(), STVGMetric()
    one.process(None, [s.to_dict() for s in samples])
    for sample in samples:
        two.process(None, [sample])
    assert one.evaluate(24) == two.evaluate(24)
    assert one.results == []


def test_several_protocols_side_by_side(golden):
    metric = METRICS.build(
        dict(
            type='STVGMetric',
            protocol=['tubedetr_vidstg', 'paper', 'official_hcstvg']))
    metric.process(None, samples_of(golden))
    values = metric.evaluate(24)
    results = golden[2]
    for prefix, group in [('', 'A_aligned.tubedetr_vidstg'),
                          ('paper/', 'A_aligned.plain_dense_sets'),
                          ('official_hcstvg/', 'A_aligned.official_hcstvg')]:
        assert values[f'stvg/{prefix}m_vIoU'] == pytest.approx(
            results[group]['mean']['viou'], abs=1e-9)
    assert 'stvg/official_hcstvg/m_sIoU' not in values
    assert 'stvg/paper/declarative/m_tIoU' in values


def logged(metric, size, tmp_path, name):
    """What a metric writes into the log."""
    path = tmp_path / f'{name}.log'
    MMLogger.get_instance(name, log_file=str(path))
    metric.evaluate(size)
    return path.read_text()


def test_logs_the_protocol_and_what_is_missing(golden, tmp_path):
    metric = STVGMetric(protocol='stcat_hcstvg')
    metric.process(None, samples_of(golden)[:20])
    text = logged(metric, 24, tmp_path, 'stvg_protocol')
    assert "protocol 'stcat_hcstvg'" in text
    assert '4 of 24 samples were not evaluated' in text


def test_scores_per_factor(make_tube, tmp_path):
    gt = make_tube((0, 10))
    rows = [('a', gt, 'shape', .1), ('b', gt, 'action', .2),
            ('c', make_tube((5, 15)), 'action', .3)]
    metric = STVGMetric()
    metric.process(None, [
        dict(
            sample_id=i,
            pred_tube=pred,
            gt_tube=gt,
            factors=dict(distractor=kind, occlusion=much, note=None))
        for i, pred, kind, much in rows
    ])
    records = list(metric.results)
    values = metric.evaluate(3)
    assert values['stvg/factor/distractor/shape/m_vIoU'] == 1
    assert values['stvg/factor/distractor/action/m_vIoU'] == pytest.approx(
        (1 + 1 / 3) / 2)
    assert values['stvg/factor/occlusion/0.3/m_vIoU'] == pytest.approx(1 / 3)
    assert not [k for k in values if 'note' in k]
    metric = STVGMetric(per_factor=False)
    metric.results.extend(records)
    text = logged(metric, 3, tmp_path, 'stvg_no_factors')
    assert 'factor' not in text
    metric = STVGMetric()
    metric.results.extend(records)
    text = logged(metric, 3, tmp_path, 'stvg_factors')
    assert 'scores per factor' in text and 'distractor' in text


def test_numeric_factors_are_cut_at_quartiles(make_tube):
    gt = make_tube((0, 10))
    metric = STVGMetric(diagnostics=False)
    metric.process(None, [
        dict(
            sample_id=str(i),
            pred_tube=gt,
            gt_tube=gt,
            factors=dict(size=i / 10)) for i in range(12)
    ])
    names = [k for k in metric.evaluate(12) if '/factor/size/' in k]
    assert len(names) == 4


@pytest.mark.parametrize('odd', [
    float('nan'), float('inf'), -np.inf, np.float32('nan')])
@pytest.mark.parametrize('num', [3, 21])
def test_numbers_that_are_not_finite_are_in_no_group(odd, num):
    values = [odd, *map(float, range(1, num)), odd]
    groups = group_by_factor([
        SampleRecord(str(i), factors=dict(speed=v))
        for i, v in enumerate(values)])['speed']
    assert sum(map(len, groups.values())) == num - 1
    assert len(groups) == min(num - 1, 4)
    assert not any('nan' in name or 'inf' in name for name in groups)
    assert group_by_factor([SampleRecord('a', factors=dict(v=odd))]) == {}


def test_sample_without_ground_truth_is_named(golden):
    sample = samples_of(golden)[3]
    del sample.gt_tube
    with pytest.raises(ValueError, match="'3'.*gt_tube.*format_only"):
        STVGMetric().process(None, [sample])


def test_sample_without_prediction_or_id_is_an_error(golden):
    sample = samples_of(golden)[3]
    del sample.pred_tube
    with pytest.raises(ValueError, match="'3'.*pred_tube"):
        STVGMetric().process(None, [sample])
    with pytest.raises(ValueError, match='sample_id'):
        STVGMetric().process(None, [TubeDataSample()])


def test_format_only_needs_no_ground_truth(golden, tmp_path):
    samples = samples_of(golden)
    for sample in samples:
        del sample.gt_tube
    path = tmp_path / 'sub' / 'preds.json'
    metric = STVGMetric(format_only=True, tube_file=str(path))
    metric.process(None, samples)
    assert metric.evaluate(24) == {}
    tubes = load_tubes(path)
    assert list(tubes) == [str(i) for i in range(24)]
    assert tubes['5'].span == golden[0]['5'].span
    np.testing.assert_array_equal(tubes['5'].boxes, golden[0]['5'].boxes)


def test_writes_predictions_and_truth_beside_scores(golden, tmp_path):
    pred, gt = str(tmp_path / 'p.json'), str(tmp_path / 'g.json')
    metric = STVGMetric(tube_file=pred, gt_file=gt)
    metric.process(None, samples_of(golden))
    assert 'stvg/m_vIoU' in metric.evaluate(24)
    assert len(load_tubes(pred)) == 24
    truth = load_tubes(gt)['1']
    assert truth.qtype == 'declarative' and truth.num_frames == 500


def test_hcstvg_challenge_file(golden, tmp_path):
    path = tmp_path / 'result.json'
    metric = STVGMetric(
        tube_file=str(path), format='hcstvg_challenge', format_only=True)
    metric.process(None, samples_of(golden))
    metric.evaluate(24)
    entry = json.loads(path.read_text())['v2.mp4']
    start, end = golden[0]['2'].span  # [206, 402)
    assert (entry['st_frame'], entry['ed_frame']) == (207, 402)
    assert list(entry['bbox'])[0] == '207'
    assert list(entry['bbox'])[-1] == '402'
    assert len(entry['bbox']) == end - start
    np.testing.assert_array_equal(entry['bbox']['207'],
                                  golden[0]['2'].boxes[206])


def test_challenge_file_holds_one_sentence_per_video(make_tube, tmp_path):
    metric = STVGMetric(
        tube_file=str(tmp_path / 'r.json'),
        format='hcstvg_challenge',
        format_only=True)
    first, second = ([
        dict(sample_id=i, video_id='v', pred_tube=make_tube((0, 5)))
    ] for i in 'ab')
    metric.process(None, first)
    metric.process(None, first)  # once more, as by a sampler that fills up
    with pytest.raises(ValueError, match="'v' has two sentences.*'b'"):
        metric.process(None, second)
    with pytest.raises(ValueError, match="'c'.*no span"):
        metric.process(None, [
            dict(sample_id='c', video_id='w', pred_tube=Tube(None))])
    records = [SampleRecord(i, video_id='v', pred=make_tube((0, 5)))
               for i in 'ab']
    with pytest.raises(ValueError, match="'v' has two sentences.*'b'"):
        HCSTVGChallengeFile().write(records, str(tmp_path / 'r.json'))


@pytest.mark.parametrize('options, text', [
    (dict(protocol='papre'), 'unknown protocol'),
    (dict(protocol=[]), 'empty'),
    (dict(format='csv'), 'unknown format'),
    (dict(format_only=True), 'tube_file'),
    (dict(missing_boxes='skip'), 'missing_boxes'),
])
def test_wrong_options(options, text):
    with pytest.raises(ValueError, match=text):
        STVGMetric(**options)


def test_mistyped_option():
    with pytest.raises(TypeError):
        STVGMetric(protocols='paper')


def test_nothing_evaluated_is_an_error():
    with pytest.raises(ValueError, match='no sample'):
        STVGMetric().evaluate(0)


def test_merge_keeps_dataset_order_and_every_sample_once():
    parts = [[SampleRecord(i) for i in ids] for ids in ('ace', 'bda')]
    assert [r.sample_id for r in merge_records(parts)] == list('abcde')
    # a process that has skipped a sample displaces nobody
    parts = [[SampleRecord(i) for i in ids] for ids in ('ace', '')]
    assert [r.sample_id for r in merge_records(parts)] == list('ace')


def test_two_samples_of_one_id_are_an_error(make_tube):
    metric = STVGMetric()
    metric.process(None, [
        dict(sample_id='a', pred_tube=make_tube((0, 5)), gt_tube=gt)
        for gt in (make_tube((0, 5)), make_tube((1, 5)))
    ])
    with pytest.raises(ValueError, match="two different.*'a'"):
        metric.evaluate(2)


WORKER = """
import json, sys
import torch.distributed as dist
from torch.utils.data import DataLoader
from mmengine.dataset import DefaultSampler
import numpy as np
from costa_mm.evaluation import STVGMetric
from costa_mm.structures import Tube

rank, port, folder = int(sys.argv[1]), sys.argv[2], sys.argv[3]
dist.init_process_group(
    'gloo', f'tcp://127.0.0.1:{port}', rank=rank, world_size=2)


def sample(i):
    boxes = np.tile([0., 0, 10, 10], (20, 1))
    return dict(
        sample_id=f's{i}',
        gt_tube=Tube((0, 10), np.arange(10), boxes[:10], num_frames=20),
        pred_tube=Tube((0, i + 1), np.arange(20), boxes, num_frames=20))


out = {}
for name, skipped in [('all', ()), ('skip', (0, 4)), ('one_side', (1, 3, 5)),
                      ('gathered', (1, 3, 5))]:
    metric = STVGMetric(
        tube_file=f'{folder}/{name}.json',
        collect_device='gpu' if name == 'gathered' else 'cpu')
    data = list(range(7))
    loader = DataLoader(
        data, sampler=DefaultSampler(data, shuffle=False), collate_fn=list)
    for batch in loader:
        metric.process(None, [sample(i) for i in batch if i not in skipped])
    out[name] = dict(metric.evaluate(len(data)), seen=len(loader))
# what the first process cannot do is told by both, and neither waits
metric = STVGMetric()
other = Tube((1, 3), np.arange(1, 3), np.ones((2, 4)), num_frames=20)
metric.process(None, [sample(0), dict(sample(0), gt_tube=other)])
try:
    metric.evaluate(2)
except (ValueError, RuntimeError) as e:
    refused = str(e)
# and nothing of it is left for the next evaluation
metric.process(None, [sample(rank)])
out['after'] = dict(metric.evaluate(2))
with open(f'{folder}/refused{rank}.txt', 'w') as f:
    f.write(refused)
with open(f'{folder}/rank{rank}.json', 'w') as f:
    json.dump(out, f)
dist.destroy_process_group()
"""


def test_two_gloo_processes(tmp_path):
    """Seven samples on two processes: each counts once, none is lost."""
    script = tmp_path / 'worker.py'
    script.write_text(WORKER)
    env = dict(os.environ, PYTHONPATH=str(ROOT), OMP_NUM_THREADS='1')
    port = str(20000 + os.getpid() % 20000)
    jobs = [
        subprocess.Popen([sys.executable, script, str(rank), port, tmp_path],
                         env=env,
                         cwd=tmp_path,
                         stderr=subprocess.PIPE,
                         text=True) for rank in range(2)
    ]
    for job in jobs:
        _, errors = job.communicate(timeout=120)
        assert job.returncode == 0, errors
    ranks = [
        json.loads((tmp_path / f'rank{r}.json').read_text()) for r in (0, 1)
    ]
    assert ranks[0] == ranks[1]
    refused = [(tmp_path / f'refused{r}.txt').read_text() for r in (0, 1)]
    assert "'s0'" in refused[0]
    assert refused[1] == f'the first process failed: ValueError: {refused[0]}'
    # the sampler hands out eight: one sample is seen twice
    assert ranks[0]['all']['seen'] == 4
    tiou = np.arange(1, 8) / 10
    assert ranks[0]['after']['stvg/m_tIoU'] == pytest.approx(tiou[:2].mean())
    for name, kept in [('all', [0, 1, 2, 3, 4, 5, 6]),
                       ('skip', [1, 2, 3, 5, 6]), ('one_side', [0, 2, 4, 6]),
                       ('gathered', [0, 2, 4, 6])]:
        assert ranks[0][name]['stvg/m_tIoU'] == pytest.approx(
            tiou[kept].mean()), name
        tubes = load_tubes(tmp_path / f'{name}.json')
        assert sorted(tubes) == [f's{i}' for i in kept]
        assert all(isinstance(t, Tube) for t in tubes.values())


def test_used_segment_reaches_the_grid(make_tube, tmp_path):
    """Frames 43 to 45 are on the grid only where the segment begins there;
    the files that the metric writes say so as well."""
    files = dict(
        tube_file=str(tmp_path / 'p.json'), gt_file=str(tmp_path / 'g.json'))
    pred = make_tube((43, 46), num=100, fps=30)
    for segment, viou in [(None, 0), ((40, 70), 0), ((43, 70), 1)]:
        gt = dataclasses.replace(pred, segment=segment)
        metric = STVGMetric(protocol='tubedetr_vidstg', **files)
        metric.process(None, [dict(sample_id='a', pred_tube=pred, gt_tube=gt)])
        assert metric.evaluate(1)['stvg/m_vIoU'] == viou
        again = evaluate_tubes(
            load_tubes(files['tube_file']), load_tubes(files['gt_file']),
            'tubedetr_vidstg')
        assert again[0].scores['tubedetr_vidstg'].viou == viou
