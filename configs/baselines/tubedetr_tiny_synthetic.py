# TubeDETR on the synthetic benchmark with CoSTA-tiny's data, schedule, text
# encoder, 2D pathway and sizes.  16 frames are few, so every second one is
# slow.
_base_ = '../synthetic/costa_tiny_synthetic.py'
stride = 2
model = dict(
    # its backbone sends gradients from slow frames only
    backbone=dict(
        type='StridedGradResNet', temporal=None, grad_stride=stride),
    neck=dict(type='TubeDETRFusionNeck', stride=stride, fast=True),
    head=dict(
        _delete_=True,
        type='TubeDETRHead',
        embed_dims=64,
        num_layers=2,
        num_heads=4,
        feedforward_channels=128,
        dropout=0.,
        span_dropout=0.,
        # as Eq. (2) gives to CoSTA: without, the span loss stays where it
        # begins in 1,500 iterations
        time_in_content=True,
        # the weights of CoSTA-tiny, where there is such a loss
        loss_bbox=dict(type='mmdet.L1Loss', loss_weight=15.),
        loss_giou=dict(type='mmdet.GIoULoss', loss_weight=8.),
        loss_span=dict(
            type='SpanKLLoss',
            sigma=1.,
            direction='true_pred',
            loss_weight=5.),
        loss_cell=dict(type='CellAttentionLoss', loss_weight=10.)))
