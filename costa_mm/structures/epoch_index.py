# Copyright (c) costa_mm authors. All rights reserved.
"""An index that knows its epoch."""


class EpochIndex(int):
    """A sample index that carries the epoch it is drawn in.

    Random draws of a sample are a function of (seed, epoch, sample).  The
    epoch has to reach the worker process that loads the sample, and the index
    is the only thing that a data loader hands over, so it travels with it.

    Args:
        index (int): Index of the sample in the dataset.
        epoch (int): Number of the epoch, from 0.
    """

    epoch: int

    def __new__(cls, index: int, epoch: int) -> 'EpochIndex':
        self = super().__new__(cls, index)
        self.epoch = int(epoch)
        return self

    def __reduce__(self):
        return EpochIndex, (int(self), self.epoch)

    def __repr__(self) -> str:
        return f'EpochIndex({int(self)}, epoch={self.epoch})'
