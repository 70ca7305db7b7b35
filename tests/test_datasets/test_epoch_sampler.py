# Copyright (c) costa_mm authors. All rights reserved.
"""Order, offset and epoch of the samples."""
from itertools import islice

import pytest

from costa_mm.datasets.samplers import EpochSampler, epoch_sampler


def make(monkeypatch, n, rank=0, world=1, **options):
    monkeypatch.setattr(epoch_sampler, 'get_dist_info', lambda:
                        (rank, world))
    return EpochSampler(range(n), seed=5, **options)


def pairs(sampler, count=None):
    return [(i.epoch, int(i)) for i in islice(sampler, count)]


def test_every_sample_once_and_each_epoch_anew(monkeypatch):
    s = make(monkeypatch, 7)
    first = pairs(s)
    assert sorted(i for _, i in first) == list(range(7))
    assert {e for e, _ in first} == {0}
    assert pairs(s) == first
    s.set_epoch(3)
    assert {e for e, _ in pairs(s)} == {3}
    assert [i for _, i in pairs(s)] != [i for _, i in first]


def test_offset_is_the_rest_of_the_same_order(monkeypatch):
    s = make(monkeypatch, 7)
    whole = pairs(s)
    for offset in range(8):
        s.set_offset(offset)
        assert pairs(s) == whole[offset:]
        assert len(s) == 7


def test_endless_order_goes_through_the_epochs(monkeypatch):
    s = make(monkeypatch, 5)
    expected = []
    for epoch in range(4):
        s.set_epoch(epoch)
        expected += pairs(s)
    for offset in (0, 3, 5, 11):
        s.set_offset(offset, endless=True)
        assert pairs(s, 8) == expected[offset:offset + 8]


@pytest.mark.parametrize('n, batch', [(8, 2), (7, 2), (7, 1), (3, 4)])
def test_two_processes_share_what_one_sees(monkeypatch, n, batch):
    one = make(monkeypatch, n, batch_size=2 * batch)
    two = [
        make(monkeypatch, n, rank=r, world=2, batch_size=batch)
        for r in range(2)
    ]
    both = [i for pair in zip(*map(pairs, two)) for i in pair]
    assert both == pairs(one)
    assert len(one) == 2 * len(two[0]) == len(both)
    assert len(both) % (2 * batch) == 0
    for s in two:
        s.set_offset(3, endless=True)
    one.set_offset(6, endless=True)
    both = [i for pair in zip(*(pairs(s, 9) for s in two)) for i in pair]
    assert both == pairs(one, 18)


def test_without_rounding_nothing_is_repeated(monkeypatch):
    two = [
        make(
            monkeypatch, 5, rank=r, world=2, shuffle=False, round_up=False)
        for r in range(2)
    ]
    assert [[i for _, i in pairs(s)] for s in two] == [[0, 2, 4], [1, 3]]
    assert [len(s) for s in two] == [3, 2]


def test_empty_dataset_is_an_error(monkeypatch):
    with pytest.raises(ValueError, match='no usable sample'):
        make(monkeypatch, 0)
