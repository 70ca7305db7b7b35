# Copyright (c) costa_mm authors. All rights reserved.
"""What changes if a part of the decoder is told something else.

A probe hangs hooks of PyTorch on a head's named steps for as long as its
context lasts; no weight and no line of the head changes.
"""
from contextlib import contextmanager
from typing import Callable, Dict, Iterator, List, NamedTuple, Optional

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from costa_mm.models.heads.entangled_query import EventQuery
from costa_mm.models.heads.spatial_decoder import EntangledSpatialDecoder
from costa_mm.models.heads.targets import TubeTargets
from costa_mm.models.losses.cell_attention_loss import cell_overlap
from costa_mm.structures import TubeOutputs

#: True labels (B, T), bool, to what the event query is told instead.
LABELS: Dict[str, Callable[[Tensor], Tensor]] = {
    'true labels': lambda a: a,
    'inverted labels': lambda a: ~a,
    'all labels 0': torch.zeros_like,
    'all labels 1': torch.ones_like,
    'true labels, half a clip later': lambda a: a.roll(a.shape[1] // 2, 1),
}

Hang = Callable[[nn.Module, TubeTargets], List[RemovableHandle]]


class Probe(NamedTuple):
    """One row of the table.

    Attributes:
        name (str): What is done to the decoder.
        hang (Callable): Hangs hooks on a head, given the targets of a batch,
            and returns their handles.
    """
    name: str
    hang: Hang

    @contextmanager
    def on(self, head: nn.Module, targets: TubeTargets) -> Iterator[None]:
        """A context in which the head is probed.

        Args:
            head (nn.Module): A tube head.
            targets (TubeTargets): Ground truth of the batch.
        """
        handles = self.hang(head, targets)
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()


def probes_of(head: nn.Module, num_layers: int) -> List[Probe]:
    """All probes that a head has the parts for; first the model as it is.

    Args:
        head (nn.Module): A tube head.  Labels are told where there is an
            :class:`EventQuery`; anchors and single frames are tried where
            there is an :class:`EntangledSpatialDecoder`.
        num_layers (int): For how many layers the head has boxes.
    """
    probes = [Probe('as it is', lambda head, targets: [])]
    if isinstance(getattr(head, 'event_query', None), EventQuery):
        probes += [Probe(name, _tell(change))
                   for name, change in LABELS.items()]
    if isinstance(
            getattr(head, 'spatial_decoder', None), EntangledSpatialDecoder):
        if head.spatial_decoder.object_query.num_coords == 4:
            probes.append(Probe('anchors only', _anchors_only))
        probes.append(
            Probe('spatial decoder, one frame at a time', _frame_by_frame))
    return probes + [Probe(f'after layer {k + 1}', _stop_after(k))
                     for k in range(num_layers - 1)]


def attention_mass(outs: TubeOutputs, targets: TubeTargets
                   ) -> Optional[Tensor]:
    """Attention on the target's cells, and what uniform attention has there.

    Args:
        outs (TubeOutputs): Made while ``head.need_attention``.
        targets (TubeTargets): Ground truth.

    Returns:
        Tensor or None: Per layer, and last for uniform attention, a value per
        frame with a box, (K + 1, N); a cell counts by the share of the best
        covered cell that the box covers of it, as in
        :class:`CellAttentionLoss`.  None where there are no weights or cells.
    """
    weights, mask = outs.named('cell_attention'), outs.named('cell_mask')
    if weights is None or mask is None:
        return None
    overlap = cell_overlap(targets.boxes, mask)
    # padding is given no attention, so what is attended is what there is
    seen = weights > 0
    uniform = seen / seen.sum(-1, keepdim=True)
    both = torch.cat((weights, uniform[-1:]))[..., :overlap.shape[-1]]
    return (both * overlap).sum(-1)[:, targets.has_box]


def _tell(change: Callable[[Tensor], Tensor]) -> Hang:
    def hang(head, targets):
        return [head.event_query.register_forward_pre_hook(
            lambda module, args: (change(targets.in_event), ))]

    return hang


def _anchors_only(head, targets):
    return [head.spatial_decoder.register_forward_hook(
        lambda module, args, out: out._replace(
            boxes=out.references[:1].expand_as(out.boxes)))]


def _frame_by_frame(head, targets):
    """Every frame becomes a video of its own, before and after."""
    def split(module, args):
        event, memory, *rest = args
        return (_alone(event), memory._replace(
            memory=_alone(memory.memory),
            cls=_alone(memory.cls),
            pos=memory.pos.repeat_interleave(event.shape[1], 0),
            mask=memory.mask.repeat_interleave(event.shape[1], 0),
            # padded frames are seen by nobody but themselves
            frame_mask=memory.frame_mask.new_zeros(_alone(event).shape[:2])),
            *rest)

    def join(module, args, out):
        length = targets.in_event.shape[1]
        return type(out)(*(
            x if x is None else x.squeeze(2).unflatten(1, (-1, length))
            for x in out))

    return [head.spatial_decoder.register_forward_pre_hook(split),
            head.spatial_decoder.register_forward_hook(join)]


def _alone(x: Tensor) -> Tensor:
    """(B, T, ...) to (B * T, 1, ...)."""
    return x.flatten(0, 1)[:, None]


def _stop_after(layer: int) -> Hang:
    def cut(module, args, out):
        return out._replace(
            boxes=out.boxes[:layer + 1],
            span_logits=out.span_logits[:layer + 1],
            attendance=None if out.attendance is None else
            out.attendance[:layer + 1])

    return lambda head, targets: [head.register_forward_hook(cut)]
