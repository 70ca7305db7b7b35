# Copyright (c) costa_mm authors. All rights reserved.
"""Grounding on a cluster: a callable for ``map_batches`` of Ray Data."""
import json
import logging
import os
from typing import Any, Dict, List, Optional, Union

import numpy as np
from mmengine.logging import print_log

from .results import TubeResult
from .stvg_inferencer import Model, STVGInferencer

Batch = Dict[str, np.ndarray]
NO_FRAME = -1


class GroundVideos:
    """Adds the answer to every row that has a video and a sentence.

    Each worker of Ray Data builds the model once.  Rows of a batch that name
    the same video decode it once, so sort the rows by video.  Nothing is
    kept between two batches: Ray repeats the batches of a worker that died,
    and every row is answered once.  Ray itself is not imported here; it comes
    with ``pip install costa_mm[ray]``.

    Example:
        >>> import ray
        >>> rows = ray.data.read_json('videos.jsonl')  # video, sentence
        >>> answers = rows.map_batches(
        ...     GroundVideos, fn_constructor_kwargs=dict(
        ...         model='tubedetr_hcstvg'),
        ...     batch_size=8, num_gpus=1,
        ...     compute=ray.data.ActorPoolStrategy(size=4))
        >>> answers.write_parquet('answers')

    Args:
        model (str | Path | Config | dict, optional): See
            :class:`STVGInferencer`.
        weights (str | Path, optional): See :class:`STVGInferencer`.
        device (str, optional): Default: the GPU that Ray gave the worker, or
            the CPU.
        batch_size (int): Sentences that go through the model together.
        pred_score_thr (float, optional): See :class:`STVGInferencer`.
        calibration (str | Path, optional): See :class:`STVGInferencer`.
        on_error (str): 'skip' says in the row's ``error`` why a video cannot
            be grounded; 'stop' raises.

    Raises:
        ValueError: If ``on_error`` is neither; also see
            :class:`STVGInferencer`.
    """

    def __init__(self,
                 model: Optional[Model] = None,
                 weights: Union[str, os.PathLike, None] = None,
                 device: Optional[str] = None,
                 *,
                 batch_size: int = 1,
                 pred_score_thr: Optional[float] = None,
                 calibration: Union[str, os.PathLike, None] = None,
                 on_error: str = 'skip') -> None:
        if on_error not in ('skip', 'stop'):
            raise ValueError(f"on_error is 'skip' or 'stop', not {on_error!r}")
        self.options = dict(batch_size=batch_size,
                            pred_score_thr=pred_score_thr)
        self.on_error = on_error
        self.inferencer = STVGInferencer(
            model, weights, device, show_progress=False,
            calibration=calibration)

    def __call__(self, batch: Batch) -> Batch:
        """Answer a batch.

        Args:
            batch (dict[str, np.ndarray]): Columns, (N, ): ``video`` (path or
                address of one video), ``sentence``, and any others.

        Returns:
            dict[str, np.ndarray]: The same columns, and ``found`` (bool),
            ``confidence`` (float), ``start`` and ``end`` (frames, the end
            exclusive), ``result`` (JSON of :meth:`TubeResult.to_dict`) and
            ``error``.  Where that is not '', nothing was found, the
            confidence is NaN, the frames are -1 and ``result`` is ''.

        Raises:
            KeyError: If a column is missing.
            OSError, ValueError: With ``on_error='stop'``, of a video that
                cannot be grounded.
        """
        for name in ('video', 'sentence'):
            if name not in batch:
                raise KeyError(f'the rows have no column {name!r}: they have '
                               f'{list(batch)}')
        rows: Dict[str, List[int]] = {}
        for row, video in enumerate(batch['video']):
            rows.setdefault(str(video), []).append(row)
        answers: List[Dict[str, Any]] = [{}] * len(batch['video'])
        sentences = {
            video: [str(batch['sentence'][row]) for row in group]
            for video, group in rows.items()
        }
        for video, found in self._ground(sentences).items():
            for row, answer in zip(rows[video], found):
                answers[row] = answer
        return dict(batch, **{
            name: np.array([a[name] for a in answers]) for name in answers[0]
        }) if answers else dict(batch)

    def _ground(self, sentences: Dict[str, List[str]]
                ) -> Dict[str, List[Dict[str, Any]]]:
        """The answers for every video; a bad one spoils no other."""
        try:
            results = iter(
                self.inferencer(
                    list(sentences), list(sentences.values()),
                    **self.options)['predictions'])
            return {
                video: [_answer(next(results)) for _ in texts]
                for video, texts in sentences.items()
            }
        except (OSError, ValueError) as e:
            if len(sentences) == 1:
                (video, texts), = sentences.items()
                if self.on_error == 'stop':
                    raise
                print_log(f'{video} is skipped: {e}', 'current',
                          logging.WARNING)
                return {video: [_failure(e)] * len(texts)}
        return {
            video: self._ground({video: texts})[video]
            for video, texts in sentences.items()
        }


def _answer(result: TubeResult) -> Dict[str, Any]:
    return dict(
        found=result.found,
        confidence=result.confidence,
        start=result.span[0],
        end=result.span[1],
        result=json.dumps(result.to_dict()),
        error='')


def _failure(error: Exception) -> Dict[str, Any]:
    return dict(
        found=False,
        confidence=float('nan'),
        start=NO_FRAME,
        end=NO_FRAME,
        result='',
        error=f'{type(error).__name__}: {error}')
