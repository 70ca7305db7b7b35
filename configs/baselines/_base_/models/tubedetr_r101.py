# TubeDETR (CVPR 2022) at the published size, temporal stride k = 4.
_base_ = './r101_roberta.py'
model = dict(
    backbone=dict(type='StridedGradResNet', grad_stride=4),
    # the published code does not lower-case
    text_encoder=dict(lower=False),
    neck=dict(
        type='TubeDETRFusionNeck',
        in_channels=2048,
        embed_dims=256,
        num_layers=6,
        num_heads=8,
        feedforward_channels=2048,
        dropout=0.1,
        stride=4,
        fast=True),
    head=dict(
        type='TubeDETRHead',
        embed_dims=256,
        num_layers=6,
        num_heads=8,
        feedforward_channels=2048,
        dropout=0.1,
        span_dropout=0.5,
        loss_bbox=dict(type='mmdet.L1Loss', loss_weight=5.),
        loss_giou=dict(type='mmdet.GIoULoss', loss_weight=2.),
        # sampled frames at 5 frames/s
        loss_span=dict(type='SpanKLLoss', sigma=1., loss_weight=10.),
        loss_guided=dict(type='GuidedAttentionLoss', loss_weight=1.),
        # boxes are averaged over all processes, as published
        box_average='batch'))
