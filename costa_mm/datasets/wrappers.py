# Copyright (c) costa_mm authors. All rights reserved.
"""MMEngine's dataset wrappers, inside which draws stay reproducible."""
import logging
from bisect import bisect_left
from collections import Counter
from typing import Any, Iterator, List, Optional, Sequence, Tuple, Union

import numpy as np
from mmengine.dataset import BaseDataset
from mmengine.dataset import ClassBalancedDataset as _ClassBalancedDataset
from mmengine.dataset import ConcatDataset as _ConcatDataset
from mmengine.dataset import RepeatDataset as _RepeatDataset
from mmengine.logging import print_log
from torch.utils.data import ConcatDataset as TorchConcatDataset
from torch.utils.data import Subset

from costa_mm.registry import DATASETS
from costa_mm.structures import EpochIndex
from .base_dataset import BaseSTVGDataset

Inner = Union[BaseDataset, dict]
_LOSING = (TorchConcatDataset, Subset, _RepeatDataset, _ClassBalancedDataset)


def _in_epoch(index: int, outer: int, times: int = 1, turn: int = 0) -> int:
    """An inner index in the epoch of the outer one.

    An epoch that holds a sample ``times`` times counts as so many epochs of
    the dataset inside; ``turn`` is the one that is meant.
    """
    epoch = getattr(outer, 'epoch', None)
    return int(index) if epoch is None else EpochIndex(
        index, epoch * times + turn)


def _seed_of(seed: int, number: int) -> int:
    """Seed of the dataset of this number inside; the first has the seed."""
    if number == 0:
        return seed
    return int(np.random.SeedSequence([seed, number]).generate_state(1)[0])


class _SeededWrapper:
    """A wrapper that hands its seed on, to each dataset inside another one.

    Datasets whose config gives a ``seed``, and those that are handed over
    built, keep theirs.
    """

    def __init__(self, inner: Sequence[Inner], *args: Any,
                 **kwargs: Any) -> None:
        self._own_seed = [
            not isinstance(cfg, dict) or 'seed' in cfg for cfg in inner
        ]
        super().__init__(*args, **kwargs)
        self.seed = 0

    def _inner(self) -> List[BaseDataset]:
        return [self.dataset]

    def _seeded(self) -> Iterator[Optional[BaseDataset]]:
        """Innermost datasets; None for those that keep their seed."""
        for dataset, own in zip(self._inner(), self._own_seed):
            if isinstance(dataset, _SeededWrapper):
                yield from dataset._seeded()
            else:
                yield dataset if hasattr(dataset, 'seed') and not own else None

    @property
    def seed(self) -> int:
        """Seed of all draws."""
        return self._seed

    @seed.setter
    def seed(self, seed: int) -> None:
        self._seed = seed
        for number, dataset in enumerate(self._seeded()):
            if dataset is not None:
                dataset.seed = _seed_of(seed, number)


@DATASETS.register_module()
class ConcatDataset(_SeededWrapper, _ConcatDataset):
    """Several datasets, one behind the other.

    As MMEngine's, and random draws of a sample are a function of (seed,
    epoch, index) as in one dataset: the epoch reaches the dataset that holds
    the sample, and a dataset whose config gives no seed gets one that is
    made of the run's and of its place.

    Args:
        datasets (Sequence[dict or BaseDataset]): The datasets.
        lazy_init (bool): Do not read annotation files yet.
        ignore_keys (str or list[str], optional): Meta information that may
            differ.
    """

    def __init__(self,
                 datasets: Sequence[Inner],
                 lazy_init: bool = False,
                 ignore_keys: Union[str, List[str], None] = None) -> None:
        super().__init__(datasets, datasets, lazy_init, ignore_keys)

    def _inner(self) -> List[BaseDataset]:
        return self.datasets

    def _get_ori_dataset_idx(self, idx: int) -> Tuple[int, int]:
        number, index = super()._get_ori_dataset_idx(int(idx))
        return number, _in_epoch(index, idx)


@DATASETS.register_module()
class RepeatDataset(_SeededWrapper, _RepeatDataset):
    """A dataset of which an epoch takes every sample several times.

    As MMEngine's, and every repetition is drawn anew: E epochs of a dataset
    that is repeated N times have the draws of its first N * E epochs.

    Args:
        dataset (dict or BaseDataset): The dataset.
        times (int): Repetitions.
        lazy_init (bool): Do not read the annotation file yet.
    """

    def __init__(self,
                 dataset: Inner,
                 times: int,
                 lazy_init: bool = False) -> None:
        super().__init__([dataset], dataset, times, lazy_init)

    def _get_ori_dataset_idx(self, idx: int) -> int:
        index = super()._get_ori_dataset_idx(int(idx))
        turn = int(idx) // self._ori_len % self.times
        return _in_epoch(index, idx, self.times, turn)


@DATASETS.register_module()
class ClassBalancedDataset(_SeededWrapper, _ClassBalancedDataset):
    """A dataset of which an epoch takes samples of rare classes repeatedly.

    As MMEngine's, and every repetition is drawn anew.  The dataset inside
    has a method ``get_cat_ids(index)``.

    Args:
        dataset (dict or BaseDataset): The dataset.
        oversample_thr (float): Share of samples below which a class is rare.
        lazy_init (bool): Do not read the annotation file yet.
    """

    def __init__(self,
                 dataset: Inner,
                 oversample_thr: float,
                 lazy_init: bool = False) -> None:
        super().__init__([dataset], dataset, oversample_thr, lazy_init)

    def full_init(self) -> None:
        """Read the annotation file and count the repetitions."""
        super().full_init()
        self._most = max(Counter(self.repeat_indices).values(), default=1)

    def _get_ori_dataset_idx(self, idx: int) -> int:
        index = super()._get_ori_dataset_idx(int(idx))
        place = int(idx) % len(self.repeat_indices)
        turn = place - bisect_left(self.repeat_indices, index)
        return _in_epoch(index, idx, self._most, turn)


def warn_of_lost_epochs(dataset: Any) -> None:
    """Warn of a wrapper inside which draws are not a run's own.

    Wrappers of MMEngine and PyTorch make plain numbers of their indices; the
    datasets inside then draw from NumPy's global state, which workers that
    do not persist set to the same value in every epoch.

    Args:
        dataset (Any): Of a data loader.
    """
    kind, inner = type(dataset), _wrapped(dataset)
    if isinstance(dataset, _SeededWrapper):
        for child in inner:
            warn_of_lost_epochs(child)
    elif isinstance(dataset, _LOSING) and any(map(_draws, inner)):
        print_log(
            f'{kind.__module__}.{kind.__name__} loses the epoch of its '
            'indices: augmentations inside ignore the seed and may repeat in '
            "every epoch; fix: type='costa_mm.ConcatDataset', RepeatDataset "
            'or ClassBalancedDataset',
            logger='current',
            level=logging.WARNING)


def _wrapped(dataset: Any) -> list:
    inner = list(getattr(dataset, 'datasets', ()))
    return inner + ([dataset.dataset] if hasattr(dataset, 'dataset') else [])


def _draws(dataset: Any) -> bool:
    """Whether a dataset of ours is inside, and trains."""
    if isinstance(dataset, BaseSTVGDataset):
        return not dataset.test_mode
    return any(map(_draws, _wrapped(dataset)))
