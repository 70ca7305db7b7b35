# Copyright (c) costa_mm authors. All rights reserved.
"""Rows trained on cached features."""
import json
import sys

import numpy as np
import pytest
import run_decoder_study
import torch
from decoder_study.features import (Clips, SentenceTable, cache_clips,
                                    load_clips)
from decoder_study.runs import (Recipe, Start, _losses, batches, build_row,
                                run_row)
from decoder_study.study import Study
from decoder_study.tables import paired, report, smallest_change
from fake_cuda import DEVICE, fake_cuda, move
from mmengine.config import Config
from tiny_model import (C, build, grounder_cfg, head_cfg, make_batch,
                        make_sample, neck_cfg)

from costa_mm.cli.running import run_main

RECIPE = dict(
    iterations=3,
    batch_size=3,
    log_every=1,
    optim_wrapper=dict(
        type='OptimWrapper', optimizer=dict(type='AdamW', lr=1e-2)),
    param_scheduler=[
        dict(
            type='LinearLR', start_factor=0.5, by_epoch=False, begin=0, end=2)
    ])
WORDS = {'the red ball': torch.ones(3, C), 'a man': -torch.ones(2, C)}


def make_clips(num):
    rng = torch.Generator().manual_seed(num)
    samples = [
        make_sample(i, 4, (32, 32), (1, 2), list(WORDS)[i % 2])
        for i in range(num)
    ]
    rest = np.array([0, 0, 0, 1, 1, 1, 0, 0], dtype=bool)
    return Clips(
        torch.randn(num, 4, 32, 2, 2, generator=rng).half(), samples, WORDS,
        [rest] * num)


@pytest.fixture(scope='module')
def clips():
    """Of training and of test."""
    return make_clips(8), make_clips(3)


@pytest.fixture(scope='module')
def model():
    cfg = Config(dict(model=grounder_cfg(test_cfg=None))).model
    cfg.head.loss_cell = dict(type='costa_mm.CellAttentionLoss')
    return cfg


def test_same_seed_same_run(model, clips):
    runs = [run_row(model, Recipe(**RECIPE), seed, clips, cell_until=until)
            for seed, until in ((0, 1.), (0, 1.), (1, 1.), (0, .5))]
    assert runs[0]['curve'] == runs[1]['curve']
    assert runs[0]['scores'] == runs[1]['scores']
    assert runs[0]['curve'][0] != runs[2]['curve'][0]
    assert [set(c) for c in runs[0]['curve']] == [
        {'loss_bbox', 'loss_giou', 'loss_span', 'loss_cell'}] * 3
    # half of three iterations: the third comes without
    assert ['loss_cell' in c for c in runs[3]['curve']] == [True, True, False]
    assert runs[3]['curve'][:2] == runs[0]['curve'][:2]
    scores = runs[0]['scores']['as it is']
    both = (scores['sIoU_acts'] + 3 * scores['sIoU_rests']) / 3
    assert 0 <= scores['m_sIoU'] <= both + 1e-6


def test_a_step_on_a_card(model, clips):
    grounder = build_row(model, WORDS, 0)
    with fake_cuda():
        move(grounder)
        grounder.text_encoder.words = {
            k: v.to(DEVICE) for k, v in grounder.text_encoder.words.items()}
        there = clips[0].to(DEVICE)
        losses = _losses(grounder, there, [0, 3], np.array([.1, .9]))
    assert {v.device for v in losses.values()} == {DEVICE}
    assert there.features.device == DEVICE != clips[0].features.device


def test_batches_take_one_of_each_pair(clips):
    recipe = Recipe(**RECIPE)._replace(batch_size=4, iterations=2)
    seen = [i for i, _ in batches(clips[0], recipe, 0)]
    for index in seen:  # four clips and their mirror images
        assert sorted(index % 4) == [0, 1, 2, 3]
    assert any((index >= 4).any() for index in seen)


def test_start(model):
    start = Start(
        xavier=['spatial_decoder.layers'],
        normal={'event_query.embedding.weight': 1e-3},
        zero=['attend_enc'])
    head = build_row(model, WORDS, 0, start).head
    matrix = head.spatial_decoder.layers[0].value.weight.detach()
    assert matrix.std() == pytest.approx((2 / (C + C))**.5, rel=0.15)
    assert 0 < head.event_query.embedding.weight.std() < 2e-3
    for param in head.attend_enc.parameters():
        assert not param.any() and not param.requires_grad


def test_sentence_table():
    text = SentenceTable(WORDS)(['a man', 'the red ball'])
    assert text.tokens.shape == (2, 3, C)
    assert text.mask.tolist() == [[False, False, True], [False] * 3]
    assert text.tokens[0].sum(-1).tolist() == [-C, -C, 0]


def test_cached_features_are_those_of_the_model(monkeypatch, tmp_path):
    grounder = build(grounder_cfg())
    items = make_batch(durations=(4, 4), sizes=((32, 32), (32, 32)))
    dataset = [dict(inputs=v, data_samples=s) for v, s in zip(*items.values())]
    asked = []
    monkeypatch.setattr('decoder_study.features.DATASETS.build',
                        lambda cfg: asked.append(cfg) or dataset)
    loader = dict(
        dataset=dict(
            data_root=str(tmp_path),
            pipeline=[dict(type='FlipWithText', prob=0.5)]))
    cfg = Config(dict(train_dataloader=loader, test_dataloader=loader))
    cache_clips(grounder, cfg, tmp_path / 'features')
    probs = [d['pipeline'][0]['prob'] for d in asked]
    assert probs == [0.5, 0., 1.]
    assert cfg.train_dataloader.dataset.pipeline[0].prob == 0.5
    train = load_clips(tmp_path / 'features' / 'train.pt')
    assert len(train) == 4 and train.rests is None
    data = grounder.data_preprocessor(items, False)
    with torch.no_grad():
        (visual, ) = grounder.encode_video(data['inputs'])
        text = grounder.encode_text(['the red ball'])
    torch.testing.assert_close(
        train.visual([0, 1]).features, visual.features.half().float())
    torch.testing.assert_close(train.words['the red ball'], text.tokens[0])
    cache_clips(grounder, cfg, tmp_path / 'features')
    assert len(asked) == 3  # what is there stays
    with torch.no_grad():  # a head may have changed
        next(grounder.head.parameters()).add_(1)
    cache_clips(grounder, cfg, tmp_path / 'features')
    for part in (grounder.backbone, grounder.text_encoder):
        weight = list(part.parameters())[-1].data
        saved = weight.clone()
        weight.view(-1)[0] += 1
        with pytest.raises(ValueError, match='features of another.*--out'):
            cache_clips(grounder, cfg, tmp_path / 'features')
        weight.copy_(saved)
    cache_clips(grounder, cfg, tmp_path / 'features')
    assert len(asked) == 3


def test_features_without_a_note_stay_as_they_are(tmp_path, capsys):
    for split in ('train', 'test'):
        (tmp_path / f'{split}.pt').touch()
    cache_clips(build(grounder_cfg()), None, tmp_path)
    assert 'do not say of which checkpoint' in capsys.readouterr().out
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        'test.pt', 'train.pt']


def test_a_half_cached_folder_goes_on_with_its_own_weights_only(
        monkeypatch, tmp_path):
    def stop(*args):
        raise KeyboardInterrupt

    monkeypatch.setattr('decoder_study.features._encode', stop)
    first, second = build(grounder_cfg()), build(grounder_cfg())
    with torch.no_grad():
        next(second.backbone.parameters()).add_(1)
    with pytest.raises(KeyboardInterrupt):
        cache_clips(first, None, tmp_path)
    with pytest.raises(ValueError, match='another checkpoint'):
        cache_clips(second, None, tmp_path)
    with pytest.raises(KeyboardInterrupt):
        cache_clips(first, None, tmp_path)


def test_smallest_change():
    """Tables of the t-test: ten pairs find 1.00 deviations of a difference
    in four cases of five."""
    assert smallest_change(1., 10) == pytest.approx(1.0 * 2**.5, rel=0.01)
    assert smallest_change(.1, 30) == pytest.approx(.053 * 2**.5, rel=0.01)
    assert smallest_change(1., 3) > smallest_change(1., 4)


def test_paired():
    """By hand: differences .1, .2, .3, t of 2 degrees of freedom 4.303."""
    one, two = {0: .5, 1: .5, 2: .4, 7: 1.}, {0: .6, 1: .7, 2: .7, 8: 0.}
    assert paired(one, two) == '+0.200 [-0.048, +0.448]'
    assert paired(one, {0: .6, 1: .6, 2: .501}).startswith('**+0.100')
    assert paired(one, {0: 1.}) == '-'


@pytest.fixture
def study_file(model, tmp_path):
    Config(
        dict(
            default_scope='costa_mm',
            model=dict(
                grounder_cfg(test_cfg=None),
                neck=neck_cfg(),
                head=head_cfg()))).dump(tmp_path / 'base.py')
    data = dict(
        config='base.py', recipe=RECIPE, seeds=[0, 1],
        backbones=dict(cell='with'),
        rows=dict(
            costa=dict(title='CoSTA'),
            beta0=dict(title='beta 0', model=dict(head=dict(beta=0.)))),
        tables=dict(beta=['costa', 'beta0']))
    file = tmp_path / 'study.json'
    file.write_text(json.dumps(data))
    return file


def test_tool_goes_on_and_reports(study_file, clips, monkeypatch, tmp_path,
                                  capsys):
    out = tmp_path / 'out'
    (out / 'features_cell').mkdir(parents=True)
    for name, part in zip(('train', 'test'), clips):
        torch.save(
            dict(features=part.features, samples=part.samples,
                 words=part.words, rests=part.rests),
            out / 'features_cell' / f'{name}.pt')

    def run(*args):
        monkeypatch.setattr(
            sys, 'argv', ['study', '--study', str(study_file), '--out',
                          str(out), *args])
        code = run_main(run_decoder_study.main)
        return code, capsys.readouterr()

    code, said = run('--seeds', '0')
    assert code == 0 and said.out.count(' seed 0: ') == 2
    code, said = run()
    assert ' seed 0: ' not in said.out and said.out.count(' seed 1: ') == 2
    tables = (out / 'tables.md').read_text()
    assert '| CoSTA | 2 |' in tables and 'missing: none' in tables
    assert 'find four times in five' in tables.replace('\n', ' ')
    # a row that has changed is missing again
    data = json.loads(study_file.read_text())
    data['rows']['beta0']['model']['head']['beta'] = 0.5
    study_file.write_text(json.dumps(data))
    run('--report-only')
    assert 'missing: beta0 (2)' in (out / 'tables.md').read_text()
    code, said = run('--rows', 'beta9')
    assert code == 2 and 'beta9' in said.err


def test_report_without_runs(study_file):
    text = report(Study(study_file), {})
    assert 'Too few runs' in text and 'costa (2), beta0 (2)' in text


def test_shipped_study():
    """Every row of the shipped file is a model that can be built."""
    study = Study(run_decoder_study.STUDY)
    assert len(study.seeds) >= 10
    words = {'x': torch.zeros(1, 64)}
    digests = set()
    for row in study.rows:
        args = study.training(row)
        build_row(Config(study.model(row)), words, 0, args['start'])
        digests.add((study.digest(row), study.backbone(row)))
    assert len(digests) == len(study.rows)
