# Copyright (c) costa_mm authors. All rights reserved.
"""What all tube heads share: four verbs and a table of losses."""
from abc import ABCMeta, abstractmethod
from typing import Dict, List, Optional, Sequence, Tuple

from mmdet.structures.bbox import bbox_cxcywh_to_xyxy
from mmdet.utils import reduce_mean
from mmengine.model import BaseModule
from torch import Tensor, nn

from costa_mm.registry import MODELS
from costa_mm.structures import FusedMemory, TubeDataSample, TubeOutputs
from ..utils.tube_decoding import DecodingConfig, SampledTube, decode_tubes
from .targets import TubeTargets, collect_targets

PADDED_LOGIT = -1e4  # of what only fills a batch up; softmax gives it 0
_TARGETS = 'targets.'
# equal to the last bit, and the device is not waited for
_WAITLESS = {'mmdet.GIoULoss': 'costa_mm.GIoULoss'}


class BaseTubeHead(BaseModule, metaclass=ABCMeta):
    """From fused memory to a span and one box per frame.

    ``forward`` runs layers only; ``loss`` and ``predict`` unpack, run
    ``forward`` and hand its outputs to ``loss_by_feat`` and
    ``predict_by_feat``.

    A head says in two class attributes what it emits: ``layer_outputs`` have
    one entry per decoder layer, (K, B, ...), ``video_outputs`` one per video,
    (B, ...).  Names that are no field of :obj:`TubeOutputs` lie in its
    ``extras``.

    Any argument ``loss_<name>`` is the config of a registered loss that says
    in ``reads`` what it is called with, in this order: names of outputs,
    'box_weights' (B, T), and, as 'targets.<name>', fields and extras of
    :class:`TubeTargets`.  A loss that reads an output of the layers is
    computed for each of them, any other one once.

    The weights default to those of STCAT for HC-STVG; the paper gives none.

    Args:
        loss_bbox (dict, optional): L1 between normalised (cx, cy, w, h),
            summed over coordinates; Eq. (6).
        loss_giou (dict, optional): Generalised IoU; Eq. (6).
        loss_span (dict, optional): Eq. (7).
        aux_loss (bool): Whether every decoder layer has losses, not only the
            last one.
        box_average (str): 'video' is a mean over a video's own frames, then
            over videos; 'batch' divides by the number of boxes of the batch,
            averaged over processes, as published.
        **losses (dict, optional): Further losses, ``loss_<name>``: L_e and
            L_d of Eq. (8) as ``loss_attend_enc`` and ``loss_attend_dec``,
            ``loss_guided``, ``loss_cell``, or one of your own.

    Raises:
        TypeError: For an argument that is no loss.
        ValueError: For an unknown ``box_average``, or a loss that reads what
            the head does not emit.
    """

    layer_outputs: Tuple[str, ...] = ('boxes', 'span_logits')
    video_outputs: Tuple[str, ...] = ('frame_mask', )
    #: where a loss finds what it reads under another name
    aliases: Dict[str, Dict[str, str]] = dict(
        loss_attend_enc=dict(attendance='attendance_enc'))

    def __init__(self,
                 *,
                 loss_bbox: Optional[dict] = dict(
                     type='mmdet.L1Loss', loss_weight=5.),
                 loss_giou: Optional[dict] = dict(
                     type='costa_mm.GIoULoss', loss_weight=4.),
                 loss_span: Optional[dict] = dict(
                     type='costa_mm.SpanKLLoss', loss_weight=10.),
                 aux_loss: bool = True,
                 box_average: str = 'video',
                 **losses: Optional[dict]) -> None:
        super().__init__()
        if box_average not in ('video', 'batch'):
            raise ValueError(f"box_average {box_average!r} is neither "
                             "'video' nor 'batch'")
        for name, cfg in dict(
                loss_bbox=loss_bbox, loss_giou=loss_giou).items():
            setattr(self, name, cfg and self._build_box_loss(cfg))
        self._reads: Dict[str, Sequence[str]] = {}
        for name, cfg in dict(loss_span=loss_span, **losses).items():
            if not name.startswith('loss_'):
                raise TypeError(f'{type(self).__name__} has no argument '
                                f'{name!r}')
            self._add_loss(name, cfg)
        self.need_attention = False
        self.aux_loss = aux_loss
        self.box_average = box_average

    @staticmethod
    def _build_box_loss(cfg: dict) -> nn.Module:
        kind = _WAITLESS.get(cfg['type'], cfg['type'])
        return MODELS.build({**cfg, 'type': kind, 'reduction': 'none'})

    def _add_loss(self, name: str, cfg: Optional[dict]) -> None:
        loss: Optional[nn.Module] = cfg and MODELS.build(cfg)
        setattr(self, name, loss)
        if loss is None:
            return
        who = f'{type(self).__name__}: {name} ({type(loss).__name__})'
        if not hasattr(loss, 'reads'):
            raise ValueError(f'{who} does not say what it reads; give its '
                             'class an attribute `reads`')
        aliases = self.aliases.get(name, {})
        reads = [aliases.get(n, n) for n in loss.reads]
        known = {*self.layer_outputs, *self.video_outputs, 'box_weights'}
        unknown = [n for n in reads
                   if n not in known and not n.startswith(_TARGETS)]
        if unknown:
            raise ValueError(f'{who} reads {unknown}, which this head does '
                             f'not emit; it emits {sorted(known)}')
        self._reads[name] = reads

    @abstractmethod
    def forward(self,
                memory: FusedMemory,
                targets: Optional[TubeTargets] = None) -> TubeOutputs:
        """Run the layers.

        Args:
            memory (FusedMemory): Output of the neck.
            targets (TubeTargets, optional): Training only, for strategies
                such as beta; never given at test time.

        Returns:
            TubeOutputs: Outputs of all layers.
        """

    def loss(self, memory: FusedMemory,
             data_samples: List[TubeDataSample]) -> Dict[str, Tensor]:
        """Losses of a batch, by name, already weighted."""
        targets = self.get_targets(data_samples, memory.frame_mask)
        return self.loss_by_feat(self(memory, targets), targets)

    def predict(self, memory: FusedMemory, metas: Sequence[dict],
                cfg: DecodingConfig) -> List[SampledTube]:
        """Tubes of a batch, without any ground truth in reach.

        Args:
            memory (FusedMemory): Output of the neck.
            metas (Sequence[dict]): Per video 'frame_ids', 'num_frames' and
                'ori_shape'.
            cfg (DecodingConfig): Options.

        Returns:
            list[SampledTube]: One per video.
        """
        return self.predict_by_feat(self(memory), metas, cfg)

    def predict_by_feat(self, outs: TubeOutputs, metas: Sequence[dict],
                        cfg: DecodingConfig) -> List[SampledTube]:
        """Decode outputs; by default those of the last layer."""
        return decode_tubes(outs, metas, cfg)

    def get_targets(self, data_samples: List[TubeDataSample],
                    frame_mask: Tensor) -> TubeTargets:
        """Ground truth of a batch; a head with labels of its own adds them
        as ``extras``."""
        return collect_targets(data_samples, frame_mask)

    def wants(self, output: str, targets: Optional[TubeTargets]) -> bool:
        """Whether somebody reads an output that is made on demand.

        Args:
            output (str): Name of the output.
            targets (TubeTargets, optional): None where there is no loss.
        """
        return self.need_attention or (targets is not None and any(
            output in reads for reads in self._reads.values()))

    def loss_by_feat(self, outs: TubeOutputs,
                     targets: TubeTargets) -> Dict[str, Tensor]:
        """Losses of every layer from outputs and targets.

        Returns:
            dict[str, Tensor]: 'loss_bbox', 'loss_giou', 'loss_span', ... of
            the last layer, 'd0.loss_bbox', ... of the others.
        """
        weights = self._box_weights(targets)
        last = len(outs.boxes) - 1
        first = 0 if self.aux_loss else last
        boxes = self.box_losses(outs.boxes[first:], targets, weights)
        losses = {}
        for k in range(first, last + 1):
            layer = {name: loss[k - first] for name, loss in boxes.items()}
            for name in self._reads:
                if self._per_layer(name):
                    layer[name] = self._compute(name, outs, targets, weights,
                                                k)
            prefix = '' if k == last else f'd{k}.'
            losses.update({prefix + n: v for n, v in layer.items()})
        for name in self._reads:
            if not self._per_layer(name):
                losses[name] = self._compute(name, outs, targets, weights)
        return losses

    def box_losses(self, boxes: Tensor, targets: TubeTargets,
                   box_weights: Tensor) -> Dict[str, List[Tensor]]:
        """Eq. (6), of all layers at once.

        Args:
            boxes (Tensor): Normalised (cx, cy, w, h), (K, B, T, 4).
            targets (TubeTargets): Ground truth.
            box_weights (Tensor): Weight of every frame, (B, T).

        Returns:
            dict[str, list[Tensor]]: 'loss_bbox' and 'loss_giou', as far as
            there are such losses, each a list of K scalars.
        """
        pred = boxes.float()
        true = targets.boxes.expand_as(pred)
        losses = {}
        if self.loss_bbox is not None:
            losses['loss_bbox'] = self.loss_bbox(pred, true).sum(-1)
        if self.loss_giou is not None:
            losses['loss_giou'] = self.loss_giou(
                bbox_cxcywh_to_xyxy(pred.flatten(0, 2)),
                bbox_cxcywh_to_xyxy(true.flatten(0, 2))).view(pred.shape[:3])
        return {
            name: [(layer * box_weights).sum() for layer in loss]
            for name, loss in losses.items()
        }

    def _per_layer(self, loss: str) -> bool:
        return any(n in self.layer_outputs for n in self._reads[loss])

    def _compute(self,
                 loss: str,
                 outs: TubeOutputs,
                 targets: TubeTargets,
                 box_weights: Tensor,
                 layer: int = -1) -> Tensor:
        """A loss of the table, called with what it reads."""
        inputs = []
        for name in self._reads[loss]:
            if name == 'box_weights':
                inputs.append(box_weights)
            elif name.startswith(_TARGETS):
                inputs.append(targets.named(name[len(_TARGETS):]))
            elif name in self.layer_outputs:
                inputs.append(outs.named(name)[layer])
            else:
                inputs.append(outs.named(name))
        return getattr(self, loss)(*inputs)

    def _box_weights(self, targets: TubeTargets) -> Tensor:
        """Weight of every frame's box loss, (B, T); 0 without a box."""
        has_box = targets.has_box.float()
        if self.box_average == 'batch':
            return has_box / reduce_mean(has_box.sum()).clamp(min=1)
        count = has_box.sum(1, keepdim=True).clamp(min=1)
        return has_box / count / len(has_box)
