# Copyright (c) costa_mm authors. All rights reserved.
"""A sampler that can start anywhere and tells each sample its epoch."""
from itertools import islice
from typing import Iterator, List, Optional, Sized

import torch
from mmengine.dist import get_dist_info, sync_random_seed
from torch.utils.data import Sampler

from costa_mm.registry import DATA_SAMPLERS
from costa_mm.structures import EpochIndex


@DATA_SAMPLERS.register_module()
class EpochSampler(Sampler):
    """Order of the samples as a function of (seed, epoch) alone.

    It yields :class:`costa_mm.structures.EpochIndex`, so that the worker
    that loads a sample knows the epoch its random draws belong to, and it
    starts at any offset without touching what lies before.

    With N processes, process r takes the samples r, r + N, ... of one common
    order; so two processes with batch size 1 see, step by step, what one
    process with batch size 2 sees.

    Args:
        dataset (Sized): The dataset.
        shuffle (bool): A new order in every epoch. Defaults to True.
        seed (int, optional): The same in all processes. None draws one and
            shares it.
        round_up (bool): Repeat the first samples of an epoch so that all
            processes get equally many, in whole batches; needed for
            training. Has no effect on an endless order. Defaults to True.
        batch_size (int): Samples of one process per iteration, for
            ``round_up``; the training loops set it. Defaults to 1.

    Raises:
        ValueError: If the dataset is empty.
    """

    def __init__(self,
                 dataset: Sized,
                 shuffle: bool = True,
                 seed: Optional[int] = None,
                 round_up: bool = True,
                 batch_size: int = 1) -> None:
        if len(dataset) == 0:
            raise ValueError('the dataset holds no usable sample')
        self.rank, self.world_size = get_dist_info()
        self.dataset = dataset
        self.shuffle = shuffle
        self.seed = sync_random_seed() if seed is None else seed
        self.round_up = round_up
        self.batch_size = batch_size
        self.epoch = 0
        self._offset = 0
        self._endless = False

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch that the next iteration runs through."""
        self.epoch = int(epoch)

    def set_offset(self, offset: int, *, endless: bool = False) -> None:
        """Choose where the next iterations start.

        Args:
            offset (int): Samples of *this process* that are left out.
            endless (bool): Go on with the next epoch at the end of one; the
                offset then counts from the start of epoch 0.
        """
        self._offset = int(offset)
        self._endless = endless

    def _order(self, epoch: int) -> List[EpochIndex]:
        """All samples in the order of an epoch, for all processes."""
        n = len(self.dataset)
        if self.shuffle:
            generator = torch.Generator()
            generator.manual_seed(self.seed + epoch)
            order = torch.randperm(n, generator=generator).tolist()
        else:
            order = range(n)
        return [EpochIndex(i, epoch) for i in order]

    def _one_epoch(self) -> Iterator[EpochIndex]:
        order = self._order(self.epoch)
        if self.round_up:
            total = len(self) * self.world_size
            order = (order * -(-total // len(order)))[:total]
        start = self.rank + self._offset * self.world_size
        return iter(order[start::self.world_size])

    def _all_epochs(self) -> Iterator[EpochIndex]:
        start = self.rank + self._offset * self.world_size
        epoch, skipped = divmod(start, len(self.dataset))

        def stream() -> Iterator[EpochIndex]:
            current = epoch
            while True:
                yield from self._order(current)
                current += 1

        return islice(stream(), skipped, None, self.world_size)

    def __iter__(self) -> Iterator[EpochIndex]:
        """Indices of this process."""
        return self._all_epochs() if self._endless else self._one_epoch()

    def __len__(self) -> int:
        """Samples of this process in a whole epoch, whatever the offset."""
        n = len(self.dataset)
        if self.round_up:
            return -(-n // (self.world_size * self.batch_size)
                     ) * self.batch_size
        return -(-(n - self.rank) // self.world_size)
