# Copyright (c) costa_mm authors. All rights reserved.
"""Names of published checkpoints (STCAT, TubeDETR, MDETR) as ours.

A rule is a regular expression and its replacement; None drops the tensor on
purpose.  Whatever no rule knows is an error, so nothing is lost in silence.
"""
import re
from typing import Dict, List, NamedTuple, Optional, Sequence, Tuple

import torch
from torch import Tensor

Rules = Sequence[Tuple[str, Optional[str]]]

# parts of a DETR layer, applied after the layer's own name
_LAYER: Rules = (
    (r'(.*layers\.\d+)\.linear1\.', r'\1.ffn.layers.0.0.'),
    (r'(.*layers\.\d+)\.linear2\.', r'\1.ffn.layers.1.'),
    (r'(head\..*layers\.\d+)\.norm3\.', r'\1.norm2.'),
    (r'(head\..*layers\.\d+)\.norm4\.', r'\1.norm3.'),
    (r'(.*layers\.\d+)\.cross_attn_image\.', r'\1.cross_attn.'),
)

# a position_ids buffer is in checkpoints of old transformers versions
_TEXT: Rules = (
    (r'text_encoder\.model\.embeddings\.position_ids$', None),
    # no method reads the pooled sentence
    (r'text_encoder\.model\.pooler\.', None),
)

STCAT: Rules = (
    (r'vis_encoder\.0\.body\.', 'backbone.spatial.'),
    (r'text_encoder\.body\.', 'text_encoder.model.'),
    (r'text_encoder\.resizer\.fc\.', 'text_encoder.proj.'),
    (r'text_encoder\.resizer\.layer_norm\.', 'text_encoder.norm.'),
    *_TEXT,
    (r'input_proj\.', 'neck.input_proj.'),
    (r'ground_encoder\.encoder\.(spatial|temporal)_layers\.',
     r'neck.\1_layers.'),
    (r'ground_encoder\.encoder\.frame_cls\.weight$', 'neck.cls_token'),
    (r'ground_encoder\.encoder\.local_pos_embed\.weight$', 'neck.cls_pos'),
    (r'ground_encoder\.encoder\.video_cls\.weight$', 'neck.video_token'),
    # sine tables, computed when needed
    (r'.*\.time_embed\.te$', None),
    # never used by the published code, see docs/en/baselines.md
    (r'ground_encoder\.fusion\.', None),
    (r'ground_decoder\.decoder\.layers\.\d+\.ca_qtime_proj\.', None),
    # the same tensors as the outer bbox_embed
    (r'ground_decoder\.decoder\.bbox_embed\.', None),
    (r'ground_decoder\.template_generator\.', 'head.template.'),
    (r'ground_decoder\.temp_decoder\.', 'head.temporal_decoder.'),
    (r'ground_decoder\.decoder\.ref_point_head\.',
     'head.spatial_decoder.pos_mlp.'),
    (r'ground_decoder\.decoder\.', 'head.spatial_decoder.'),
    (r'(head.*)\.sa_([qk])content_proj\.', r'\1.self_\2_event.'),
    (r'(head.*)\.sa_([qk])pos_proj\.', r'\1.self_\2_object.'),
    (r'(head.*)\.sa_([qk])time_proj\.', r'\1.self_\2_time.'),
    (r'(head.*)\.self_q_', r'\1.self_query_'),
    (r'(head.*)\.self_k_', r'\1.self_key_'),
    (r'(head.*)\.sa_v_proj\.', r'\1.self_value.'),
    (r'(head.*)\.ca_qcontent_proj\.', r'\1.query_event.'),
    (r'(head.*)\.ca_qpos_sine_proj\.', r'\1.query_object.'),
    (r'(head.*)\.ca_qpos_proj\.', r'\1.query_pos.'),
    (r'(head.*)\.ca_kcontent_proj\.', r'\1.key_memory.'),
    (r'(head.*)\.ca_kpos_proj\.', r'\1.key_pos.'),
    (r'(head.*)\.ca_v_proj\.', r'\1.value.'),
    *_LAYER,
    (r'bbox_embed\.', 'head.spatial_decoder.box_head.'),
    (r'temp_embed\.', 'head.span_head.'),
    (r'action_embed\.', 'head.attend_dec.'),
)

_MDETR_TRUNK: Rules = (
    (r'backbone\.0\.body\.', 'backbone.spatial.'),
    (r'transformer\.text_encoder\.', 'text_encoder.model.'),
    (r'transformer\.resizer\.fc\.', 'text_encoder.proj.'),
    (r'transformer\.resizer\.layer_norm\.', 'text_encoder.norm.'),
    *_TEXT,
    (r'input_proj\.', 'neck.input_proj.'),
    (r'transformer\.encoder\.layers\.', 'neck.spatial_layers.'),
    # heads of MDETR's pre-training
    (r'(class|isfinal|qa|answer\w*)_(embed|head)\.', None),
    (r'(class_embed|answer\w*)\.', None),
    (r'contrastive_align_projection_(image|text)\.', None),
    (r'transformer\.CLS\.', None),
)

TUBEDETR: Rules = (
    *_MDETR_TRUNK,
    (r'transformer\.time_embed\.te$', None),
    (r'transformer\.fast_', 'neck.fast_'),
    (r'transformer\.decoder\.', 'head.decoder.'),
    *_LAYER,
    (r'query_embed\.weight$', 'head.object_query'),
    (r'bbox_embed\.', 'head.box_head.'),
    (r'sted_embed\.', 'head.span_head.'),
)

# What CoSTA and STCAT take of MDETR: everything but the cross-attention, which
# has another form, and the queries.
MDETR_ANCHOR: Rules = (
    *_MDETR_TRUNK,
    (r'transformer\.decoder\.layers\.\d+\.cross_attn_image\.', None),
    (r'query_embed\.weight$', None),
    (r'transformer\.decoder\.', 'head.spatial_decoder.'),
    *_LAYER,
    (r'bbox_embed\.', 'head.spatial_decoder.box_head.'),
)

# MDETR's own final norm has no counterpart in CoSTA
MDETR_COSTA: Rules = (
    (r'transformer\.decoder\.norm\.', None), *MDETR_ANCHOR)

# Embeddings that hold one row (or of which the first one is taken)
_VECTORS = ('neck.cls_token', 'neck.cls_pos', 'neck.video_token',
            'head.object_query')


class Renamed(NamedTuple):
    """A checkpoint in our names.

    Attributes:
        state (dict[str, Tensor]): By our names.
        dropped (list[str]): Published names that were left out on purpose.
    """
    state: Dict[str, Tensor]
    dropped: List[str]


def split_in_proj(state: Dict[str, Tensor]) -> Dict[str, Tensor]:
    """PyTorch's packed projections as three of their own.

    Args:
        state (dict[str, Tensor]): With ``*.in_proj_weight`` (3C, C) and
            ``*.in_proj_bias`` (3C, ).

    Returns:
        dict[str, Tensor]: With ``q_proj``, ``k_proj`` and ``v_proj``.
    """
    out = {}
    for key, value in state.items():
        prefix, found, kind = key.rpartition('in_proj_')
        if not found:
            out[key] = value
            continue
        for name, part in zip('qkv', value.chunk(3)):
            out[f'{prefix}{name}_proj.{kind}'] = part.clone()
    return out


def rename(state: Dict[str, Tensor], rules: Rules) -> Renamed:
    """Apply rules in order, each to the start of the name.

    Args:
        state (dict[str, Tensor]): A published state dict.
        rules (Sequence[tuple]): One of this module's tables.

    Returns:
        Renamed: Our names, with frozen batch norms completed.

    Raises:
        ValueError: If a name is known to no rule or two become one.
    """
    out, dropped, unknown = {}, [], []
    for old, value in state.items():
        new = _apply(old, rules)
        if new is None:
            dropped.append(old)
        elif new == old:
            unknown.append(old)
        elif new in out:
            raise ValueError(f'two tensors would become {new}')
        else:
            out[new] = value[0].clone() if new in _VECTORS else value
    if unknown:
        raise ValueError(
            f'{len(unknown)} tensors are not of this method, for instance '
            f'{unknown[:3]}: is it the right converter?')
    return Renamed(_complete_norms(split_in_proj(out)), dropped)


def _apply(name: str, rules: Rules) -> Optional[str]:
    for pattern, replacement in rules:
        if replacement is None:
            if re.match(pattern, name):
                return None
        else:
            name = re.sub(f'^(?:{pattern})', replacement, name, count=1)
    return name


def _complete_norms(state: Dict[str, Tensor]) -> Dict[str, Tensor]:
    """BatchNorm counts batches, which the frozen ones of DETR do not."""
    out = dict(state)
    for key in state:
        if key.endswith('.running_mean'):
            name = key.replace('running_mean', 'num_batches_tracked')
            out.setdefault(name, torch.tensor(0))
    return out
