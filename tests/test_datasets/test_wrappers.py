# Copyright (c) costa_mm authors. All rights reserved.
"""Inside wrappers draws depend on seed, epoch and index as without them."""
import numpy as np
import pytest
from mmengine.dataset import ConcatDataset as MMEngineConcat
from mmengine.logging import MMLogger
from mmengine.registry import DATASETS as MMENGINE_DATASETS
from mmengine.registry import DefaultScope

from costa_mm.datasets import (ClassBalancedDataset, ConcatDataset,
                               RepeatDataset, STVGDataset)
from costa_mm.engine import STVGRunner
from costa_mm.registry import DATASETS
from costa_mm.structures import EpochIndex

PIPELINE = [
    dict(type='costa_mm.SampleFrames', num_frames=16),
    dict(type='costa_mm.RandomTemporalCrop', level='frames', prob=1.)
]


@DATASETS.register_module()
class DatasetOfTwoClasses(STVGDataset):
    """The last of four samples is of a rare class."""

    def get_cat_ids(self, idx):
        return [int(idx == 3)]


@pytest.fixture
def part(make_ann, clip):
    """Config of a dataset of N sentences."""

    def config(name='a', num=3, **kwargs):
        sentences = [
            dict(id=f'{name}{i}', text='it goes', span=[10, 20],
                 boxes={'12': [1, 2, 30, 40]}) for i in range(num)
        ]
        video = dict(path=clip.name, sentences=sentences)
        path = make_ann(dict(videos=[video]), f'{name}.json')
        return dict(type='costa_mm.STVGDataset', ann_file=path,
                    data_prefix=dict(video=str(clip.parent)),
                    pipeline=PIPELINE, **kwargs)

    return config


def brief(batch):
    return [(r['sample_id'], r['draw'], len(r['frame_ids'])) for r in batch]


def loader_of(dataset, seed=0, **kwargs):
    loader = STVGRunner.build_dataloader(
        dict(dataset=dataset, batch_size=1, num_workers=0,
             sampler=dict(type='costa_mm.EpochSampler', shuffle=False),
             **kwargs), seed=seed)
    loader.collate_fn = brief
    return loader


def epochs(loader, numbers=(0, 1, 2)):
    """Draws of each epoch, in the order of the samples."""
    out = []
    for epoch in numbers:
        np.random.seed(0)  # as workers do that start anew
        loader.sampler.set_epoch(epoch)
        out.append([batch[0] for batch in loader])
    return out


@pytest.fixture
def wrapped(part):
    """Wrappers of all kinds and depths."""
    concat = dict(type='costa_mm.ConcatDataset', datasets=[
        part('a'), part('b')])
    repeat = dict(type='costa_mm.RepeatDataset', times=2, dataset=part('c'))
    classes = dict(part('d', 4), type='costa_mm.DatasetOfTwoClasses')
    balanced = dict(type='costa_mm.ClassBalancedDataset', oversample_thr=.5,
                    dataset=classes)
    every = dict(type='costa_mm.ConcatDataset', datasets=[
        concat, dict(repeat, dataset=concat), part('e')])
    return dict(concat=concat, repeat=repeat, balanced=balanced, every=every)


@pytest.mark.parametrize('kind', ['concat', 'repeat', 'balanced', 'every'])
def test_no_draw_repeats_and_the_seed_decides(kind, wrapped):
    once = epochs(loader_of(wrapped[kind]))
    draws = [draw for epoch in once for _, draw, _ in epoch]
    assert len(set(draws)) == len(draws) >= 15
    again = loader_of(wrapped[kind])
    assert epochs(again, (2, 1))[1] == once[1]  # whatever came before
    other = epochs(loader_of(wrapped[kind], seed=1))
    assert not {draw for epoch in other for _, draw, _ in epoch} & set(draws)


@pytest.mark.parametrize('kind', ['concat', 'every'])
def test_workers_that_persist_draw_as_new_ones(kind, wrapped):
    alone = epochs(loader_of(wrapped[kind]), (0, 1))
    for persistent in (False, True):
        loader = loader_of(wrapped[kind])
        workers = loader_of(wrapped[kind])
        workers = type(loader)(
            workers.dataset, batch_size=1, sampler=workers.sampler,
            collate_fn=brief, num_workers=2, persistent_workers=persistent)
        assert epochs(workers, (0, 1)) == alone
        if persistent:
            workers._iterator._shutdown_workers()


def test_a_resumed_run_takes_the_seed_of_the_run(wrapped):
    run = loader_of(wrapped['every'], seed=7)
    resumed = loader_of(wrapped['every'], seed=8)
    resumed.dataset.seed = run.dataset.seed  # what the loop saves
    assert epochs(resumed, (1, )) == epochs(run, (1, ))


def test_the_first_dataset_draws_as_without_a_wrapper(part):
    alone = epochs(loader_of(part('a'), seed=5))
    for wrapper in (
            dict(type='costa_mm.ConcatDataset', datasets=[
                part('a'), part('b')]),
            dict(type='costa_mm.RepeatDataset', times=1, dataset=part('a'))):
        inside = epochs(loader_of(wrapper, seed=5))
        assert [epoch[:3] for epoch in inside] == alone


def test_repetitions_are_the_next_epochs(part):
    alone = epochs(loader_of(part('a')), range(6))
    repeated = epochs(loader_of(dict(
        type='costa_mm.RepeatDataset', times=3, dataset=part('a'))), (0, 1))
    assert repeated == [sum(alone[:3], []), sum(alone[3:], [])]


def test_a_seed_in_the_config_stays(part):
    cfg = dict(type='costa_mm.ConcatDataset', datasets=[
        part('a'), part('b', seed=9), part('c')])
    seeds = [[d.seed for d in loader_of(cfg, seed=s).dataset.datasets]
             for s in (3, 4)]
    assert [s[:2] for s in seeds] == [[3, 9], [4, 9]]
    assert len({*seeds[0], *seeds[1]}) == 5
    built = STVGDataset(**{
        k: v for k, v in part('d', seed=2).items() if k != 'type'})
    assert ConcatDataset([built]).datasets[0].seed == 2


def test_the_short_name_is_ours(part):
    own = dict(type='ConcatDataset', datasets=[part('a')])
    with DefaultScope.overwrite_default_scope('costa_mm'):
        for registry in (DATASETS, MMENGINE_DATASETS):
            one = registry.build(own)
            assert type(one) is ConcatDataset
            assert type(registry.build(dict(
                own, type='mmengine.ConcatDataset'))) is MMEngineConcat


def test_what_else_a_wrapper_can(wrapped, part):
    concat = DATASETS.build(wrapped['concat'])
    assert isinstance(concat, MMEngineConcat) and len(concat) == 6
    assert concat.metainfo['dataset_type'] == 'own'
    assert concat.get_data_info(4)['sample_id'] == 'b1'
    assert concat.get_data_info(EpochIndex(-1, 2))['sample_id'] == 'b2'
    assert brief([concat[EpochIndex(-1, 2)]]) == brief(
        [concat[EpochIndex(5, 2)]])
    with pytest.raises(NotImplementedError):
        concat.get_subset([0])
    repeat = DATASETS.build(wrapped['repeat'])
    assert isinstance(repeat, RepeatDataset) and len(repeat) == 6
    assert repeat.get_data_info(4)['sample_id'] == 'c1'
    assert brief([repeat[EpochIndex(-1, 2)]]) == brief(
        [repeat[EpochIndex(5, 2)]])
    balanced = DATASETS.build(dict(wrapped['balanced'], lazy_init=True))
    assert isinstance(balanced, ClassBalancedDataset) and len(balanced) == 5
    assert balanced.get_data_info(4)['sample_id'] == 'd3'
    assert balanced.get_cat_ids(4) == [1]


def test_tests_do_not_draw_anew(part):
    inner = part('a', test_mode=True)
    inner['pipeline'] = PIPELINE[:1]
    repeat = DATASETS.build(dict(
        type='costa_mm.RepeatDataset', times=2, dataset=inner))
    one, two = (repeat[EpochIndex(i, e)] for i, e in ((0, 0), (3, 5)))
    assert one['rng'].random() == two['rng'].random()


def test_a_wrapper_that_loses_epochs_is_told(part, monkeypatch):
    said = []
    logger = MMLogger.get_instance('wrappers')
    monkeypatch.setattr(logger, 'log', lambda level, text: said.append(text)
                        if 'loses the epoch' in text else None)
    foreign = dict(type='mmengine.ConcatDataset', datasets=[part('a')])
    for cfg in (foreign,
                dict(type='costa_mm.RepeatDataset', times=2, dataset=foreign),
                dict(type='mmengine.RepeatDataset', times=2, dataset=dict(
                    type='costa_mm.ConcatDataset', datasets=[part('a')]))):
        said.clear()
        loader_of(cfg)
        assert len(said) == 1 and 'costa_mm.ConcatDataset' in said[0]
    said.clear()
    loader_of(dict(type='mmengine.ConcatDataset', datasets=[
        part('a', test_mode=True)]))
    loader_of(part('a'))
    loader_of(dict(type='costa_mm.ConcatDataset', datasets=[part('a')]))
    assert not said
