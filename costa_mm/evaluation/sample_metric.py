# Copyright (c) costa_mm authors. All rights reserved.
"""Metrics over the samples of all processes, each counted once."""
from typing import Any, Dict, List, Sequence, Union

from mmengine.dist import (broadcast_object_list, collect_results,
                           get_world_size, is_main_process)
from mmengine.evaluator import BaseMetric


def origin(sample: Any) -> tuple:
    """Video and sentence of a sample: what a repeated id has to share."""
    return (sample.get('video_path') or sample.get('video_id'),
            sample.get('sentence'))


def check_same(sample_id: str, one: tuple, other: tuple) -> None:
    """Refuse two samples of one id.

    Args:
        sample_id (str): Their id.
        one (tuple): What tells the first apart, ending with :func:`origin`.
        other (tuple): The same of the second.

    Raises:
        ValueError: If they differ; names videos and sentences.
    """
    if one == other:
        return
    told = [' '.join(repr(part) for part in identity[-2:] if part is not None)
            for identity in (one, other)]
    raise ValueError(
        f'two different samples are called {sample_id!r}: {told[0]} and '
        f'{told[1]}; sample ids must be unique in a dataset (an "id" of a '
        'sentence in the annotation file makes them so)')


class SampleMetric(BaseMetric):
    """A metric whose results are merged by sample, not cut by position.

    MMEngine's trims a flat list by position, which drops samples as soon as
    one process has skipped one.
    """

    def merge(self, parts: Sequence[list], size: int) -> list:
        """Every sample once.

        Args:
            parts (Sequence[list]): What :meth:`process` has noted in each
                process.
            size (int): Length of the dataset.

        Returns:
            list: For ``compute_metrics``.
        """
        raise NotImplementedError

    def evaluate(self, size: int) -> Dict[str, float]:
        """Merge what all processes have noted and compute the metrics.

        Args:
            size (int): Length of the dataset.

        Returns:
            dict[str, float]: With the prefix, the same on every process.

        Raises:
            RuntimeError: In all processes but the first, if that one failed
                (two samples of one id, a full disk): none is left to wait
                for its answer.
        """
        noted, self.results = self.results, []
        parts: List[Any] = collect_results(
            [noted], get_world_size(), self.collect_device, self.collect_dir)
        answer: List[Union[None, dict, str]] = [None]
        if is_main_process():
            try:
                values = self.compute_metrics(self.merge(parts, size))
                answer = [{f'{self.prefix}/{k}': v for k, v in values.items()}]
            except Exception as e:
                broadcast_object_list([f'{type(e).__name__}: {e}'])
                raise
        broadcast_object_list(answer)
        if isinstance(answer[0], str):
            raise RuntimeError(f'the first process failed: {answer[0]}')
        return answer[0]
