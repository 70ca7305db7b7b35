# Copyright (c) costa_mm authors. All rights reserved.
import pickle

import pytest

from costa_mm.structures import EpochIndex


def test_is_an_int_that_indexes():
    index = EpochIndex(2, epoch=7)
    assert ['a', 'b', 'c'][index] == 'c'
    assert index == 2 and index + 1 == 3 and hash(index) == hash(2)
    assert index.epoch == 7


@pytest.mark.parametrize('protocol', range(2, pickle.HIGHEST_PROTOCOL + 1))
def test_survives_the_way_to_a_worker(protocol):
    index = pickle.loads(pickle.dumps(EpochIndex(2, 7), protocol))
    assert (int(index), index.epoch) == (2, 7)
    assert repr(index) == 'EpochIndex(2, epoch=7)'
