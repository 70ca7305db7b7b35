# Copyright (c) costa_mm authors. All rights reserved.
"""Which videos and sentences go through the model together."""
from typing import Iterator, List, NamedTuple, Sequence, Tuple

import torch
from torch import nn

from costa_mm.structures import TubeDataSample, VideoBatch, VisualFeatures
from .inputs import VideoSource
from .long_video import VideoWindows


class VideoGroup(NamedTuple):
    """Videos that are encoded together, and what is asked of them.

    Attributes:
        videos (list[dict]): Output of the test pipeline, one per video.
        samples (list[:obj:`TubeDataSample`]): One per sentence.
        rows (list[int]): The video of every sentence.
    """
    videos: List[dict]
    samples: List[TubeDataSample]
    rows: List[int]


class LongVideo(NamedTuple):
    """A video that is grounded window by window.

    Attributes:
        windows (:obj:`VideoWindows`): The video.
        requests (list[tuple[str, str]]): Sample id and sentence of each.
    """
    windows: VideoWindows
    requests: List[Tuple[str, str]]


def group_sources(sources: Sequence[VideoSource],
                  batch_size: int) -> Iterator[List[VideoSource]]:
    """Neighbouring videos, as many as have ``batch_size`` sentences together.

    A video stays in one piece, so that it is decoded and encoded once: one
    with more sentences makes a group of its own.
    """
    group: List[VideoSource] = []
    count = 0
    for source in sources:
        if group and count + len(source.sentences) > batch_size:
            yield group
            group, count = [], 0
        group.append(source)
        count += len(source.sentences)
    if group:
        yield group


def take_visual(visual: Sequence[VisualFeatures],
                rows: Sequence[int]) -> Tuple[VisualFeatures, ...]:
    """Features of the given videos; those of an only video stay as they are.

    Args:
        visual (Sequence[VisualFeatures]): One per pass, of B videos.
        rows (Sequence[int]): The video of every sentence.

    Returns:
        tuple[VisualFeatures]: Of one video per sentence, or of one for all.
    """
    if len(visual[0].features) == 1:
        return tuple(visual)
    index = torch.as_tensor(rows, device=visual[0].features.device)
    return tuple(VisualFeatures(*(x[index] for x in v)) for v in visual)


def take_video(batch: VideoBatch, row: int) -> VideoBatch:
    """One video of a batch, without padded frames."""
    duration = batch.durations[row]
    return VideoBatch(
        frames=batch.frames[row:row + 1, :duration],
        durations=(duration, ),
        frame_mask=batch.frame_mask[row:row + 1, :duration],
        pixel_mask=batch.pixel_mask[row:row + 1])


@torch.no_grad()
def ground_group(model: nn.Module, data: dict, group: VideoGroup,
                 batch_size: int,
                 attention: bool) -> Iterator[List[TubeDataSample]]:
    """Ground the sentences of a group, its videos encoded once.

    Args:
        model (nn.Module): A :class:`SpatioTemporalGrounder` in eval mode.
        data (dict): The group's videos, collated.
        group (:obj:`VideoGroup`): The group.
        batch_size (int): Sentences that are grounded together.
        attention (bool): Whether samples get ``pred_attention`` too.

    Yields:
        list[TubeDataSample]: Predicted samples, in order of the sentences.
    """
    batch = model.data_preprocessor(data, False)['inputs']
    visual = model.encode_video(batch)
    for first in range(0, len(group.samples), batch_size):
        part = slice(first, first + batch_size)
        rows = group.rows[part]
        samples = model.predict_encoded(
            take_visual(visual, rows), group.samples[part])
        if attention:
            for sample, row in zip(samples, rows):
                maps, = model.attention_maps(take_video(batch, row), [sample])
                sample.pred_attention = maps.cells[-1].cpu().numpy()
        yield samples
