# Copyright (c) costa_mm authors. All rights reserved.
"""What is known while a model is built."""
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Iterator

_FOLLOW = ContextVar('weights_follow', default=False)


@contextmanager
def weights_follow(follow: bool = True) -> Iterator[None]:
    """A whole checkpoint will be loaded into what is built inside.

    So the weights of a part that is in the checkpoint, half a gigabyte for
    the text encoder ``roberta-base``, need not be fetched and read.

    Args:
        follow (bool): False changes nothing.
    """
    token = _FOLLOW.set(follow or _FOLLOW.get())
    try:
        yield
    finally:
        _FOLLOW.reset(token)


def weights_will_follow() -> bool:
    """Whether this runs inside :func:`weights_follow`."""
    return _FOLLOW.get()


def needs_weights(model: dict) -> bool:
    """Whether a model is nothing without a checkpoint of ours.

    Methods that only put together what others have trained say
    ``needs_weights = False``.
    """
    from costa_mm.registry import MODELS
    return getattr(MODELS.get(model['type']), 'needs_weights', True)
