# STCAT (NeurIPS 2022) at the published size.
_base_ = './r101_roberta.py'
model = dict(
    neck=dict(
        type='STCATFusionNeck',
        in_channels=2048,
        embed_dims=256,
        num_layers=6,
        num_heads=8,
        feedforward_channels=2048,
        dropout=0.1),
    head=dict(
        type='STCATHead',
        embed_dims=256,
        num_layers=6,
        num_heads=8,
        feedforward_channels=2048,
        dropout=0.1,
        span_dropout=0.3,
        loss_bbox=dict(type='mmdet.L1Loss', loss_weight=5.),
        loss_giou=dict(type='mmdet.GIoULoss', loss_weight=4.),
        loss_span=dict(type='SpanKLLoss', sigma=2., loss_weight=10.),
        loss_attend_dec=dict(
            type='AttendanceLoss', outside_weight=0.3, loss_weight=2.),
        loss_guided=dict(type='GuidedAttentionLoss', loss_weight=1.),
        # boxes are averaged over all processes, as published
        box_average='batch'),
    # even and odd frames are grounded apart, and the pipeline samples twice as
    # many frames for testing
    test_cfg=dict(two_pass=True))
