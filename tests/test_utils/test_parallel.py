# Copyright (c) costa_mm authors. All rights reserved.
import pytest

from costa_mm.utils.parallel import prefetch


def test_prefetch():
    made = []

    def items():
        for i in range(5):
            made.append(i)
            yield i

    ahead = prefetch(items(), 2)
    assert next(ahead) == 0 and list(ahead) == [1, 2, 3, 4]
    ahead = prefetch(items(), 2)
    next(ahead)
    ahead.close()  # nothing more is made for nobody
    assert len(made) < 5 + 5

    def broken():
        yield 1
        raise ValueError('no')

    ahead = prefetch(broken())
    assert next(ahead) == 1
    with pytest.raises(ValueError, match='no'):
        next(ahead)
