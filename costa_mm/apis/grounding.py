# Copyright (c) costa_mm authors. All rights reserved.
"""From opened videos and their sentences to predicted samples."""
from itertools import islice
from typing import (Callable, Iterable, Iterator, List, Optional, Sequence,
                    Tuple, TypeVar)

import numpy as np
import torch
from mmengine.dataset import pseudo_collate
from torch import nn

from costa_mm.datasets import SampleFrames
from costa_mm.models.utils import DecodingConfig
from costa_mm.structures import TubeDataSample, VideoBatch, VisualFeatures
from costa_mm.utils.frames import subsample

Requests = Sequence[Tuple[str, str]]  # sample id and sentence of each
Video = TypeVar('Video', bound='OpenedVideo')


class VideoWindows:
    """The windows of a video, each decoded when its turn comes.

    A video that fits into one window, or any video without
    ``test_cfg.window``, is one window of the frames that the pipeline
    samples.

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
        self.transforms = [
            t for t in transforms if not isinstance(t, SampleFrames)
        ]
        self.record = dict(record)
        for transform in transforms:
            if isinstance(transform, SampleFrames):
                self._check_rate(transform.mode == 'fps' and transform.fps)
                self.record = transform(self.record)
        self.frame_ids = self.record.get('frame_ids', np.zeros(0, np.int64))
        window = test_cfg.window
        if window is not None and window.fps is not None:
            self._check_rate(window.fps)
            ids = subsample(
                *record['segment'],
                record['fps'],
                window.fps * test_cfg.passes,
                keep_last=True)
            if len(test_cfg.split(len(ids))) > 1:
                self.frame_ids = ids
        self.parts = test_cfg.split(len(self.frame_ids))
        self.passes = test_cfg.count_passes(len(self.frame_ids))

    def _check_rate(self, wanted: float) -> None:
        if wanted and not self.record['fps']:
            raise ValueError(
                f"{self.record['video_path']}: {wanted} frames per second are "
                'sampled and the frame rate is not known: give fps=...')

    def __len__(self) -> int:
        return len(self.parts)

    def __iter__(self) -> Iterator[dict]:
        """Windows as the pipeline packs them."""
        for part in self.parts:
            results = dict(self.record, frame_ids=self.frame_ids[part])
            for transform in self.transforms:
                results = transform(results)
            yield results


class OpenedVideo:
    """A video and what is asked of it.

    Args:
        windows (:obj:`VideoWindows`): The video.
        requests (Sequence[tuple[str, str]]): Sample id and sentence of each.
    """

    def __init__(self, windows: VideoWindows, requests: Requests) -> None:
        self.windows = windows
        self.requests = requests
        self._packed: Optional[dict] = None

    def decode(self) -> 'OpenedVideo':
        """Decode it now, if it is one window; a long one waits."""
        if self._packed is None and len(self.windows) == 1:
            self._packed, = self.windows
        return self

    def take_packed(self) -> dict:
        """Its only window, which it does not keep."""
        packed, self._packed = self.decode()._packed, None
        return packed

    def goes_with(self, other: 'OpenedVideo') -> bool:
        """Whether both can be encoded in one batch.

        Not if one is long, nor if only one has a second pass.
        """
        one, two = self.windows, other.windows
        return len(one) == len(two) == 1 and one.passes == two.passes

    def samples(self, packed: TubeDataSample) -> List[TubeDataSample]:
        """A sample to predict for each of its sentences."""
        samples = []
        for sample_id, sentence in self.requests:
            sample = packed.clone()
            sample.set_metainfo(dict(sample_id=sample_id, sentence=sentence))
            samples.append(sample)
        return samples


def group_videos(videos: Iterable[Video],
                 batch_size: int) -> Iterator[List[Video]]:
    """Neighbouring videos that go through the model together.

    They have ``batch_size`` sentences together.  A video stays in one piece,
    so that it is decoded and encoded once: one with more sentences makes a
    group of its own.
    """
    group: List[Video] = []
    count = 0
    for video in videos:
        if group and (count + len(video.requests) > batch_size
                      or not video.goes_with(group[-1])):
            yield group
            group, count = [], 0
        group.append(video)
        count += len(video.requests)
    if group:
        yield group


@torch.no_grad()
def ground_group(model: nn.Module,
                 group: Sequence[OpenedVideo],
                 batch_size: int,
                 attention: bool = False) -> Iterator[List[TubeDataSample]]:
    """Ground the sentences of a group, each of its videos encoded once.

    Args:
        model (nn.Module): A :class:`SpatioTemporalGrounder` in eval mode.
        group (Sequence[:obj:`OpenedVideo`]): From :func:`group_videos`.
        batch_size (int): Sentences that are grounded together.
        attention (bool): Whether samples get ``pred_attention`` too.

    Yields:
        list[TubeDataSample]: Predicted samples, in order of the sentences.

    Raises:
        ValueError: If attention maps are asked of a video of many windows.
    """
    windows = group[0].windows
    if len(windows) > 1:
        if attention:
            raise ValueError(
                f"{windows.record['video_path']} is grounded in "
                f'{len(windows)} windows, of which no attention maps are '
                'made: call without attention=True')
        yield ground_video(model, windows, group[0].requests, batch_size)
        return
    packed = [video.take_packed() for video in group]
    asked = [(sample, row) for row, video in enumerate(group)
             for sample in video.samples(packed[row]['data_samples'])]
    batch = _to_batch(model, packed)
    visual = model.encode_video(batch)
    for first in range(0, len(asked), batch_size):
        samples, rows = zip(*asked[first:first + batch_size])
        samples = model.predict_encoded(
            _take_visual(visual, rows), list(samples))
        if attention:
            for sample, row in zip(samples, rows):
                maps, = model.attention_maps(_take_video(batch, row), [sample])
                sample.pred_attention = maps.cells[-1].cpu().numpy()
        yield samples


@torch.no_grad()
def ground_video(model: nn.Module,
                 windows: VideoWindows,
                 requests: Requests,
                 batch_size: Optional[int] = None) -> List[TubeDataSample]:
    """Ground sentences in a video of any length.

    Every window is decoded and encoded once; one window is in memory at a
    time.

    Args:
        model (nn.Module): A :class:`SpatioTemporalGrounder` in eval mode.
        windows (:obj:`VideoWindows`): The video.
        requests (Sequence[tuple[str, str]]): Sample id and sentence of each.
        batch_size (int, optional): Sentences that are grounded together; all
            by default.

    Returns:
        list[TubeDataSample]: Predicted samples, in order of the sentences.
    """
    items = iter(windows)
    waiting = [next(items)]
    samples = OpenedVideo(windows, requests).samples(
        waiting[0]['data_samples'])

    def batches() -> Iterator[Tuple[VideoBatch, np.ndarray]]:
        while waiting:
            item = waiting.pop()
            frame_ids = item['data_samples'].frame_ids
            item = _to_batch(model, [item])
            yield item, frame_ids
            del item  # before the next window is decoded
            waiting.extend(islice(items, 1))

    return model.predict_windows(batches(), samples, batch_size)


def _to_batch(model: nn.Module, packed: Sequence[dict]) -> VideoBatch:
    """Packed windows as the model takes them."""
    return model.data_preprocessor(pseudo_collate(packed), False)['inputs']


def _take_visual(visual: Sequence[VisualFeatures],
                 rows: Sequence[int]) -> Tuple[VisualFeatures, ...]:
    """Features, one per pass, of every sentence's video.

    Those of an only video stay as they are.
    """
    if len(visual[0].features) == 1:
        return tuple(visual)
    index = torch.as_tensor(rows, device=visual[0].features.device)
    return tuple(
        VisualFeatures(
            *(x[index] for x in v[:-1]),
            extras={k: x[index] for k, x in v.extras.items()})
        for v in visual)


def _take_video(batch: VideoBatch, row: int) -> VideoBatch:
    """One video of a batch, without padded frames."""
    duration = batch.durations[row]
    return VideoBatch(
        frames=batch.frames[row:row + 1, :duration],
        durations=(duration, ),
        frame_mask=batch.frame_mask[row:row + 1, :duration],
        pixel_mask=batch.pixel_mask[row:row + 1],
        extras={k: x[row:row + 1, :duration]
                for k, x in batch.extras.items()})
