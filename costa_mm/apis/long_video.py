# Copyright (c) costa_mm authors. All rights reserved.
"""Videos of any length: windows are decoded one at a time."""
from itertools import islice
from typing import Callable, Iterator, List, Optional, Sequence, Tuple

import numpy as np
import torch
from torch import nn

from costa_mm.datasets import SampleFrames
from costa_mm.models.utils import DecodingConfig
from costa_mm.structures import TubeDataSample, VideoBatch
from costa_mm.utils.frames import subsample


class VideoWindows:
    """The windows of a video, each decoded when its turn comes.

    A video that fits into one window, or any video without
    ``test_cfg.window``, is one window, loaded by the pipeline as it stands.

    Args:
        transforms (Sequence[Callable]): The test pipeline.
        record (dict): The video as a dataset would give it: 'video_path',
            'num_frames', 'fps', 'segment', ...
        test_cfg (:obj:`DecodingConfig`): Options of the model's prediction.

    Raises:
        ValueError: If frames are to be sampled at a rate and the frame rate
            of the video is not known.
    """

    def __init__(self, transforms: Sequence[Callable], record: dict,
                 test_cfg: DecodingConfig) -> None:
        self.transforms = list(transforms)
        self.record = record
        self.frame_ids = self._sample(test_cfg)
        self.parts = [slice(None)]
        if self.frame_ids is not None:
            self.parts = test_cfg.split(len(self.frame_ids))

    def _sample(self, test_cfg: DecodingConfig) -> Optional[np.ndarray]:
        """Sampled frames of a long video; None if it is a short one."""
        window = test_cfg.window
        if window is None:
            return None
        if window.fps is None:
            results = dict(self.record)
            for transform in self.transforms:
                if isinstance(transform, SampleFrames):
                    results = transform(results)
            ids = results.get('frame_ids', np.zeros(0, np.int64))
        else:
            if not self.record['fps']:
                raise ValueError(
                    f"{self.record['video_path']}: windows take "
                    f'{window.fps} frames per second and the frame rate is '
                    'not known: give fps=...')
            ids = subsample(
                *self.record['segment'],
                self.record['fps'],
                window.fps * test_cfg.passes,
                keep_last=True)
        return ids if len(test_cfg.split(len(ids))) > 1 else None

    def __len__(self) -> int:
        return len(self.parts)

    def __iter__(self) -> Iterator[dict]:
        for part in self.parts:
            yield self._load(part)

    def _load(self, part: slice) -> dict:
        """One window as the pipeline packs it."""
        results = dict(self.record)
        if self.frame_ids is not None:
            results['frame_ids'] = self.frame_ids[part]
        for transform in self.transforms:
            if self.frame_ids is not None and isinstance(
                    transform, SampleFrames):
                continue
            results = transform(results)
        return results


@torch.no_grad()
def ground_video(model: nn.Module,
                 windows: VideoWindows,
                 sentences: Sequence[Tuple[str, str]],
                 batch_size: Optional[int] = None) -> List[TubeDataSample]:
    """Ground sentences in a video of any length.

    Every window is decoded and encoded once; one window is in memory at a
    time.

    Args:
        model (nn.Module): A :class:`SpatioTemporalGrounder` in eval mode.
        windows (:obj:`VideoWindows`): The video.
        sentences (Sequence[tuple[str, str]]): Sample id and sentence of each.
        batch_size (int, optional): Sentences that are grounded together; all
            by default.

    Returns:
        list[TubeDataSample]: Predicted samples, in order of the sentences.
    """
    items = iter(windows)
    waiting = [next(items)]
    samples = []
    for sample_id, sentence in sentences:
        sample = waiting[0]['data_samples'].clone()
        sample.set_metainfo(dict(sample_id=sample_id, sentence=sentence))
        samples.append(sample)

    def batches() -> Iterator[Tuple[VideoBatch, np.ndarray]]:
        while waiting:
            yield _prepare(model, waiting.pop())
            waiting.extend(islice(items, 1))

    return model.predict_windows(batches(), samples, batch_size)


def _prepare(model: nn.Module, item: dict) -> Tuple[VideoBatch, np.ndarray]:
    """A packed window as the model takes it, and its source frames."""
    sample = item['data_samples']
    data = model.data_preprocessor(
        dict(inputs=[item['inputs']], data_samples=[sample]))
    return data['inputs'], sample.frame_ids
