# Copyright (c) costa_mm authors. All rights reserved.
"""Head of TA-STVG (ICLR 2025)."""
from typing import List, NamedTuple, Optional, Tuple

from torch import Tensor

from costa_mm.registry import MODELS
from costa_mm.structures import FusedMemory, TubeDataSample, TubeOutputs
from ..layers import masked_mean
from .attribute_labels import collect_labels
from .target_queries import Activation, Queries, TargetStream, chosen_or_all
from .targets import TubeTargets
from .two_stream_head import TwoStreamHead

_FRAMES = dict(
    type='costa_mm.AttendanceLoss', outside_weight=1., loss_weight=1.)
_ATTRIBUTES = dict(type='costa_mm.MultiLabelLoss', loss_weight=1.)


class Streams(NamedTuple):
    """The three parts of a memory, and their masks.

    Attributes:
        appearance (Tensor): Cells, (B, T, h*w, C).
        motion (Tensor): Cells, (B, T, h*w, C).
        words (Tensor): Mean over the frames, (B, L, C).
        cell_mask (Tensor): (B, h*w), bool.
        word_mask (Tensor): (B, L), bool.
    """
    appearance: Tensor
    motion: Tensor
    words: Tensor
    cell_mask: Tensor
    word_mask: Tensor


class FrameScores(NamedTuple):
    """Logits of "the event is in this frame", from both streams.

    Attributes:
        appearance (Tensor): (B, T).
        motion (Tensor): (B, T).
    """
    appearance: Tensor
    motion: Tensor


@MODELS.register_module()
class TASTVGHead(TwoStreamHead):
    """Queries that know the target before decoding begins.

    The steps are::

        split -> score_frames -> choose -.
              -> activate ----------------> make_queries -> decoders

    Text-guided temporal sampling chooses the frames in which the words see
    the event; attribute-aware spatial activation says which cells of a frame
    are the target's; their mean is the content that a decoder starts from:
    appearance for the spatial one, which reads appearance and words, motion
    for the temporal one, which reads words and motion.

    At test time the actionness of the first decoding chooses the frames of a
    second one, whose outputs count.

    Args:
        embed_dims (int): C.
        num_heads (int): Heads of all layers.
        dropout (float): Dropout in all layers.
        num_appearances (int): Classes of appearance attributes.
        num_motions (int): Classes of motion attributes.
        frame_threshold (float): Smallest mean probability of a chosen frame.
        second_pass (bool): Whether prediction decodes twice.
        loss_frames_appearance (dict, optional): Loss of the appearance
            stream's frames; no frame weighs less, as published.
        loss_frames_motion (dict, optional): The motion stream's.
        loss_attributes_appearance (dict, optional): Loss of the appearance
            attributes; videos without labels do not count.
        loss_attributes_motion (dict, optional): The motion stream's.
        **kwargs: See :class:`TwoStreamHead`.
    """

    video_outputs = (*TwoStreamHead.video_outputs, 'appearance_frames',
                     'motion_frames', 'appearance_attributes',
                     'motion_attributes', 'chosen')
    aliases = {
        **TwoStreamHead.aliases,
        'loss_frames_appearance':
        dict(attendance='appearance_frames'),
        'loss_frames_motion':
        dict(attendance='motion_frames'),
        'loss_attributes_appearance': {
            'attributes': 'appearance_attributes',
            'targets.labels': 'targets.appearance_labels'
        },
        'loss_attributes_motion': {
            'attributes': 'motion_attributes',
            'targets.labels': 'targets.motion_labels'
        },
    }

    def __init__(self,
                 *,
                 embed_dims: int = 256,
                 num_heads: int = 8,
                 dropout: float = 0.1,
                 num_appearances: int = 15,
                 num_motions: int = 60,
                 frame_threshold: float = 0.7,
                 second_pass: bool = True,
                 loss_frames_appearance: Optional[dict] = _FRAMES,
                 loss_frames_motion: Optional[dict] = _FRAMES,
                 loss_attributes_appearance: Optional[dict] = _ATTRIBUTES,
                 loss_attributes_motion: Optional[dict] = _ATTRIBUTES,
                 **kwargs) -> None:
        super().__init__(
            embed_dims=embed_dims,
            num_heads=num_heads,
            dropout=dropout,
            loss_frames_appearance=loss_frames_appearance,
            loss_frames_motion=loss_frames_motion,
            loss_attributes_appearance=loss_attributes_appearance,
            loss_attributes_motion=loss_attributes_motion,
            **kwargs)
        self.frame_threshold = frame_threshold
        self.second_pass = second_pass
        sizes = dict(
            embed_dims=embed_dims, num_heads=num_heads, dropout=dropout)
        self.appearance = TargetStream(
            num_attributes=num_appearances, **sizes)
        self.motion = TargetStream(num_attributes=num_motions, **sizes)
        self.num_labels = dict(
            appearance=num_appearances, motion=num_motions)
        self._freeze_without_loss()

    def _freeze_without_loss(self) -> None:
        """DDP must not wait for what nothing trains."""
        for name in list(self.num_labels):
            stream = getattr(self, name)
            if getattr(self, f'loss_frames_{name}') is None:
                stream.frames.requires_grad_(False)
            if getattr(self, f'loss_attributes_{name}') is None:
                stream.attributes.freeze_logits()
                del self.num_labels[name]

    def get_targets(self, data_samples: List[TubeDataSample],
                    frame_mask: Tensor) -> TubeTargets:
        """Ground truth with 'appearance_labels' and 'motion_labels'."""
        targets = super().get_targets(data_samples, frame_mask)
        if not self.num_labels:
            return targets
        labels = collect_labels(data_samples, self.num_labels,
                                frame_mask.device)
        return targets._replace(extras={**targets.extras, **labels})

    def forward(self,
                memory: FusedMemory,
                targets: Optional[TubeTargets] = None) -> TubeOutputs:
        """Decode a batch; see :class:`BaseTubeHead`."""
        streams = self.split(memory)
        scores = self.score_frames(streams)
        activations = self.activate(streams)
        chosen = self.choose(scores, memory.frame_mask)
        spatial_memory, temporal_memory = self.split_memory(memory)

        def decode_time(queries: Queries):
            return self.forward_temporal(
                temporal_memory, self.repeat(queries.motion, memory),
                self.wants('time_attention', targets))

        queries = self.make_queries(streams, activations, chosen)
        temporal = decode_time(queries)
        if targets is None and self.second_pass:
            chosen = self.choose_again(
                self.attend(temporal.hidden)[-1], memory.frame_mask)
            queries = self.make_queries(streams, activations, chosen)
            temporal = decode_time(queries)
        spatial = self.spatial_decoder(
            self.anchor(memory.cls),
            spatial_memory,
            content=self.repeat(queries.appearance, memory),
            need_weights=self.wants('cell_attention', targets))
        return TubeOutputs(
            boxes=spatial.boxes,
            span_logits=self.span_head(temporal.hidden),
            frame_mask=memory.frame_mask,
            attendance=self.attend(temporal.hidden),
            extras=dict(
                appearance_frames=scores.appearance,
                motion_frames=scores.motion,
                appearance_attributes=queries.appearance_attributes,
                motion_attributes=queries.motion_attributes,
                chosen=chosen,
                time_attention=temporal.time_weights,
                cell_attention=spatial.attention,
                cell_mask=memory.cell_mask))

    # ---------------------------------------------------------------- steps
    @staticmethod
    def split(memory: FusedMemory) -> Streams:
        """The parts of a memory of :class:`TwoStreamFusionNeck`."""
        count = memory.cell_mask[0].numel()
        words = memory.memory[:, :, count:-count]
        return Streams(
            memory.memory[:, :, :count], memory.memory[:, :, -count:],
            masked_mean(words, memory.frame_mask[..., None], dim=1),
            memory.mask[:, :count], memory.mask[:, count:-count])

    @staticmethod
    def split_memory(memory: FusedMemory) -> Tuple[FusedMemory, FusedMemory]:
        """What the spatial and what the temporal decoder reads."""
        count = memory.cell_mask[0].numel()
        return tuple(
            memory._replace(
                memory=memory.memory[:, :, part],
                pos=memory.pos[:, part],
                mask=memory.mask[:, part])
            for part in (slice(None, -count), slice(count, None)))

    def score_frames(self, streams: Streams) -> FrameScores:
        """In which frames the words see the event."""
        rest = (streams.cell_mask, streams.words, streams.word_mask)
        return FrameScores(
            self.appearance.score_frames(streams.appearance, *rest),
            self.motion.score_frames(streams.motion, *rest))

    def activate(self, streams: Streams) -> Tuple[Activation, Activation]:
        """Attributes and maps of every frame: appearance, motion."""
        rest = (streams.cell_mask, streams.words)
        return (self.appearance.activate(streams.appearance, *rest),
                self.motion.activate(streams.motion, *rest))

    def choose(self, scores: FrameScores, frame_mask: Tensor) -> Tensor:
        """Frames of the first decoding, (B, T), bool."""
        mean = (scores.appearance.float().sigmoid() +
                scores.motion.float().sigmoid()) / 2
        return chosen_or_all(mean > self.frame_threshold, frame_mask)

    @staticmethod
    def choose_again(attendance: Tensor, frame_mask: Tensor) -> Tensor:
        """Frames of the second decoding, by the actionness of the first."""
        return chosen_or_all(attendance > 0, frame_mask)

    def make_queries(self, streams: Streams,
                     activations: Tuple[Activation, Activation],
                     chosen: Tensor) -> Queries:
        """Queries and attributes of the chosen frames."""
        appearance, motion = activations
        return Queries(
            self.appearance.pool(streams.appearance, appearance.maps,
                                 streams.cell_mask, chosen),
            self.motion.pool(streams.motion, motion.maps, streams.cell_mask,
                             chosen),
            masked_mean(appearance.logits, ~chosen, dim=1),
            masked_mean(motion.logits, ~chosen, dim=1))

    @staticmethod
    def repeat(query: Tensor, memory: FusedMemory) -> Tensor:
        """A video's query (B, C) for all of its frames, (B, T, C)."""
        return query[:, None].expand(-1, memory.frame_mask.shape[1], -1)
