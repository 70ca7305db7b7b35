# CG-STVG on the synthetic benchmark with CoSTA-tiny's data, schedule, text
# encoder, 2D pathway and sizes.
_base_ = [
    '../_base_/models/costa_tiny.py', '../_base_/datasets/synthetic.py',
    '../_base_/schedules/costa_tiny.py', '../_base_/default_runtime.py'
]
model = dict(
    backbone=dict(
        type='TwoStreamResNet',
        temporal=None,
        # trained from nothing, so not frozen; three stages, stride 16
        motion=dict(
            type='MotionSwin',
            arch=dict(
                embed_dims=16, depths=[1, 1, 2], num_heads=[1, 2, 4]),
            window_size=(4, 4, 4),
            out_indices=(2, ),
            frozen=False,
            drop_path_rate=0.)),
    neck=dict(type='TwoStreamFusionNeck', motion_channels=64),
    head=dict(
        _delete_=True,
        type='CGSTVGHead',
        embed_dims=64,
        num_layers=2,
        num_heads=4,
        feedforward_channels=128,
        dropout=0.,
        span_dropout=0.,
        # see stcat_tiny_synthetic.py
        time_in_content=True,
        anchor_prior=(0.5, 0.5, 0.3, 0.3),
        # with two layers and boxes from nothing, 0.8 would choose no frame
        context_giou=0.5,
        motion_pos=True,
        loss_bbox=dict(type='mmdet.L1Loss', loss_weight=15.),
        loss_giou=dict(type='mmdet.GIoULoss', loss_weight=8.),
        loss_span=dict(
            type='SpanKLLoss',
            sigma=1.,
            direction='true_pred',
            loss_weight=5.),
        loss_attend_dec=dict(type='AttendanceLoss', loss_weight=10.),
        loss_cell=dict(type='CellAttentionLoss', loss_weight=10.)))
