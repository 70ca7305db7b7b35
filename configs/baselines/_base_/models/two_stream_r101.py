# What CG-STVG (CVPR 2024) and TA-STVG (ICLR 2025) share at the published
# size: ResNet-101 for appearance, a frozen Video Swin-T for motion,
# RoBERTa-base, one encoder over appearance, words and motion.
_base_ = './stcat_r101.py'
# MDETR gives what it gives to CoSTA, Video Swin-T its Kinetics weights
initial_weights = [
    dict(weights='mdetr_resnet101', layout='mdetr_costa'),
    dict(weights='video_swin_tiny_kinetics400', prefix='backbone.motion.'),
]
model = dict(
    backbone=dict(
        type='TwoStreamResNet', motion=dict(type='MotionSwin', arch='tiny')),
    neck=dict(
        _delete_=True,
        type='TwoStreamFusionNeck',
        in_channels=2048,
        motion_channels=768,
        embed_dims=256,
        num_layers=6,
        num_heads=8,
        feedforward_channels=2048,
        dropout=0.1),
    head=dict(
        _delete_=True,
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
        # boxes are averaged over all processes, as published
        box_average='batch'))
