# Copyright (c) costa_mm authors. All rights reserved.
"""Walks through a config."""
import pytest
from mmengine.config import Config

from costa_mm.utils.configs import dataset_of, first_dataset

INNER = dict(type='A', pipeline=[1])


@pytest.mark.parametrize('dataset', [
    INNER, dict(type='RepeatDataset', dataset=INNER),
    dict(type='ConcatDataset', datasets=[INNER, dict(type='B')]),
    dict(type='R', dataset=dict(type='C', datasets=[INNER]))])
def test_the_first_dataset_of_a_split(dataset):
    cfg = Config(dict(test_dataloader=dict(dataset=dataset)))
    assert dataset_of(cfg, 'test') == dataset
    assert first_dataset(cfg, 'test') == INNER


@pytest.mark.parametrize('cfg, there', [
    (dict(), 'none'), (dict(val_dataloader=None), 'none'),
    (dict(train_dataloader=dict(dataset=INNER), val_dataloader=dict()),
     'train'), (dict(val_dataloader=dict(dataset='x')), 'val')])
def test_a_split_that_is_not_there(cfg, there):
    for find in (dataset_of, first_dataset):
        with pytest.raises(
                ValueError,
                match=f'has no val_dataloader .* there are: {there}'):
            find(Config(cfg), 'val')
