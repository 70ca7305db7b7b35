# CG-STVG (CVPR 2024) at the published size.
_base_ = './two_stream_r101.py'
model = dict(
    head=dict(
        type='CGSTVGHead',
        context_giou=0.8,
        context_confidence=0.8,
        # a raw logit, as published
        context_attend=0.5,
        # published weights need regions that are wider to the right, and
        # decoders that do not know the places of motion cells
        corners='ceil_right',
        motion_pos=False,
        # as published; kind='bce' and detach_boxes=True are our defaults
        loss_confidence=dict(
            type='BoxConfidenceLoss',
            kind='bce_of_sum',
            detach_boxes=False,
            loss_weight=1.)))
