# Copyright (c) costa_mm authors. All rights reserved.
"""Names of the published checkpoints of CG-STVG and TA-STVG as ours.

Their code grew from STCAT's, so its rules follow at the end; what is left
from STCAT but never used there is dropped first.
"""
from .published_names import STCAT, Rules

# one post-norm cross-attention block, after the block's own name
_BLOCK: Rules = (
    (r'(head\..*)\.memory_intermediate\.', None),
    (r'(head\..*)\.attention\.self\.query\.', r'\1.attn.q_proj.'),
    (r'(head\..*)\.attention\.self\.key\.', r'\1.attn.k_proj.'),
    (r'(head\..*)\.attention\.self\.value\.', r'\1.attn.v_proj.'),
    (r'(head\..*)\.attention\.output\.dense\.', r'\1.attn.out_proj.'),
    (r'(head\..*)\.attention\.output\.LayerNorm\.', r'\1.norm1.'),
    (r'(head\..*)\.hidden_intermediate\.dense\.', r'\1.linear1.'),
    (r'(head\..*)\.output\.dense\.', r'\1.linear2.'),
    (r'(head\..*)\.output\.LayerNorm\.', r'\1.norm2.'),
)

_TWO_STREAMS: Rules = (
    # STCAT's temporal layers, tokens and template, which nothing calls
    (r'ground_encoder\.encoder\.temporal_layers\.', None),
    (r'ground_encoder\.encoder\.(frame_cls|video_cls|local_pos_embed)\.',
     None),
    (r'ground_decoder\.template_generator\.', None),
    (r'ground_decoder\.decoder\.(norm|norm2|fuse_linear)\.', None),
    # content of the temporal decoder, computed and ignored
    (r'ground_decoder\.time_fc\.', None),
    # the same tensors as the outer action_embed
    (r'ground_decoder\.time_embed2\.', None),
    (r'vid\.downsamples\.(\d+)\.', r'backbone.motion.layers.\1.downsample.'),
    (r'vid\.', 'backbone.motion.'),
    (r'input_proj2\.', 'neck.motion_proj.'),
    (r'ground_encoder\.encoder\.norm\.', 'neck.norm.'),
    (r'ground_decoder\.pos_fc\.0\.', 'head.anchor.norm_in.'),
    (r'ground_decoder\.pos_fc\.2\.', 'head.anchor.linear.'),
    (r'ground_decoder\.pos_fc\.4\.', 'head.anchor.norm_out.'),
    (r'ground_decoder\.time_decoder\.', 'head.temporal_decoder.'),
)

CGSTVG: Rules = (
    # the first layer has no context
    (r'ground_decoder\.decoder\.layers\.0\.ca2\.', None),
    (r'ground_decoder\.decoder\.conf\.',
     'head.spatial_decoder.context.appearance_confidence.'),
    (r'ground_decoder\.decoder\.conf2\.',
     'head.spatial_decoder.context.motion_confidence.'),
    (r'ground_decoder\.decoder\.gf_mlp\.',
     'head.spatial_decoder.context.appearance_mlp.'),
    (r'ground_decoder\.decoder\.gf_mlp2\.',
     'head.spatial_decoder.context.motion_mlp.'),
    (r'ground_decoder\.decoder\.(layers\.\d+)\.ca2\.',
     r'head.spatial_decoder.\1.context_block.'),
    *_BLOCK,
    *_TWO_STREAMS,
    *STCAT,
)

TASTVG: Rules = (
    (r'[st]_(temporal|spatial)_clas\.(class|positional)_embedding$', None),
    # context of CG-STVG, which nothing calls
    (r'ground_decoder\.decoder\.gf_mlp2?\.', None),
    (r's_temporal_clas\.', 'head.appearance.frames.'),
    (r's_spatial_clas\.', 'head.appearance.attributes.'),
    (r't_temporal_clas\.', 'head.motion.frames.'),
    (r't_spatial_clas\.', 'head.motion.attributes.'),
    (r'(head\.(?:appearance|motion)\.\w+)\.layer_ca\.', r'\1.blocks.'),
    (r'(head\..*)\.head\.transform\.dense\.', r'\1.linear.'),
    (r'(head\..*)\.head\.transform\.LayerNorm\.', r'\1.norm.'),
    (r'(head\..*)\.head\.decoder\.weight$', r'\1.logits.weight'),
    (r'(head\..*)\.head\.bias$', r'\1.logits.bias'),
    *_BLOCK,
    *_TWO_STREAMS,
    *STCAT,
)
