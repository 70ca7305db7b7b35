# TubeDETR (CVPR 2022) at the published size, temporal stride k = 4.
# what MDETR gives to it: all but the fast branch and the span head
initial_weights = [dict(weights='mdetr_resnet101', layout='mdetr_tubedetr')]
model = dict(
    type='SpatioTemporalGrounder',
    # to the largest video of the batch and no further, as published: zeros
    # beyond the border would change the cells beside it
    data_preprocessor=dict(type='STVGDataPreprocessor', pad_size_divisor=1),
    backbone=dict(
        type='StridedGradResNet',
        grad_stride=4,
        # the same figures but for rounding, in less time and memory
        efficient_conv_bn_eval=True,
        channels_last=True,
        spatial=dict(
            type='mmdet.ResNet',
            depth=101,
            frozen_stages=1,
            norm_cfg=dict(type='BN', requires_grad=False),
            norm_eval=True,
            # else frozen norms of weight 0 switch the residuals off
            zero_init_residual=False,
            style='pytorch')),
    text_encoder=dict(
        type='HFTextEncoder',
        model_name='roberta-base',
        out_channels=256,
        lower=False),  # as published
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
