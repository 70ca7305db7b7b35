# Copyright (c) costa_mm authors. All rights reserved.
"""Named tuples that pass between the stages of a grounder.

B videos, T frames (padded to the longest of the batch), h x w cells, L word
tokens, C channels, K decoder layers.  Masks are True on padding.

Every tuple ends with ``extras``: the named tensors that one method has beyond
what all methods share (STCAT's ``video_cls``, weights that a loss reads).
What they are called and what shape they have is said where they are made.
They are read, never changed.
"""
from typing import Dict, NamedTuple, Optional, Tuple

from torch import Tensor


class VideoBatch(NamedTuple):
    """What the data preprocessor hands to the grounder.

    Attributes:
        frames (Tensor): Normalised frames, (B, T, 3, H, W), zeros on padding.
        durations (tuple[int, ...]): Number of valid frames per video; kept on
            the host so that no stage has to ask the device for it.
        frame_mask (Tensor): (B, T), bool, True on padded frames.
        pixel_mask (Tensor): (B, H, W), bool, True on padded pixels.
        extras (dict[str, Tensor]): What a method's pipeline adds to the
            frames (``PackSTVGInputs(video_keys=...)``), (B, T, ...), zeros on
            padding.
    """
    frames: Tensor
    durations: Tuple[int, ...]
    frame_mask: Tensor
    pixel_mask: Tensor
    extras: Dict[str, Tensor] = {}


class VisualFeatures(NamedTuple):
    """Output of the video backbone.

    Attributes:
        features (Tensor): (B, T, C', h, w), zeros on padded frames.
        frame_mask (Tensor): (B, T), bool.
        cell_mask (Tensor): (B, h, w), bool.
        extras (dict[str, Tensor]): Further maps of the backbone, and those of
            :obj:`VideoBatch`, B first.
    """
    features: Tensor
    frame_mask: Tensor
    cell_mask: Tensor
    extras: Dict[str, Tensor] = {}


class TextFeatures(NamedTuple):
    """Output of the text encoder.

    Attributes:
        tokens (Tensor): (B, L, C).
        mask (Tensor): (B, L), bool.
        extras (dict[str, Tensor]): Further outputs of the encoder, B first.
    """
    tokens: Tensor
    mask: Tensor
    extras: Dict[str, Tensor] = {}


class FusedMemory(NamedTuple):
    """Output of the fusion neck: what every decoder reads.

    Attributes:
        memory (Tensor): Visual cells (row by row) and words of every frame,
            (B, T, h*w + L, C).
        pos (Tensor): Position of every token, zeros for words,
            (B, h*w + L, C); the same for all frames of a video.
        mask (Tensor): (B, h*w + L), bool.
        cls (Tensor, optional): Frame tokens c_i, (B, T, C), where the neck
            has them (not TubeDETR's).
        frame_mask (Tensor): (B, T), bool.
        cell_mask (Tensor, optional): Padding of the grid whose cells lead the
            memory, (B, h, w), bool.
        extras (dict[str, Tensor]): What the neck hands to a head of its own.
    """
    memory: Tensor
    pos: Tensor
    mask: Tensor
    cls: Optional[Tensor]
    frame_mask: Tensor
    cell_mask: Optional[Tensor] = None
    extras: Dict[str, Tensor] = {}


class TubeOutputs(NamedTuple):
    """Output of a tube head, all layers, before any decoding.

    Attributes:
        boxes (Tensor): (K, B, T, 4), normalised (cx, cy, w, h).
        span_logits (Tensor): Start and end score per frame, (K, B, T, 2),
            raw, padded frames included.
        frame_mask (Tensor): (B, T), bool.
        attendance (Tensor, optional): Logit of "the object attends the event
            in this frame" from the decoder's queries, (K, B, T).
        extras (dict[str, Tensor]): What else the head declares in
            ``layer_outputs`` (K first) and ``video_outputs``; weights of
            attention are None unless somebody reads them.
    """
    boxes: Tensor
    span_logits: Tensor
    frame_mask: Tensor
    attendance: Optional[Tensor] = None
    extras: Dict[str, Optional[Tensor]] = {}

    def named(self, name: str) -> Optional[Tensor]:
        """A field or an extra by its name; None where it was not made."""
        if name in self._fields:
            return getattr(self, name)
        return self.extras.get(name)


class AttentionMaps(NamedTuple):
    """Where the spatial decoder looks in one video (Fig. 6 of CoSTA).

    Weights are means over heads; those of a layer and frame sum to 1 over
    cells and words together.

    Attributes:
        cells (Tensor): (K, T, h, w), without padded frames and cells.
        words (Tensor): (K, T, L), without padded words.
    """
    cells: Tensor
    words: Tensor
