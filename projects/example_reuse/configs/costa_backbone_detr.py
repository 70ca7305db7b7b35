# Copyright (c) costa_mm authors. All rights reserved.
"""An mmdet detector on CoSTA's encoder, images being videos of one frame.

Both pathways run: with one frame the 3D pathway is a second 2D one, which a
detector can start from a video-pretrained checkpoint.
"""
custom_imports = dict(imports=['costa_mm.models'])

model = dict(
    type='mmdet.DETR',
    num_queries=100,
    data_preprocessor=dict(
        type='mmdet.DetDataPreprocessor',
        mean=[123.675, 116.28, 103.53],
        std=[58.395, 57.12, 57.375],
        bgr_to_rgb=True,
        pad_size_divisor=1),
    backbone=dict(
        type='costa_mm.CollaborativeResNet',
        out_indices=(3, ),
        spatial=dict(type='mmdet.ResNet', depth=18, norm_eval=False),
        temporal=dict(
            type='mmaction.ResNet3d',
            depth=18,
            pretrained=None,
            with_pool2=False,
            conv1_kernel=(5, 7, 7),
            conv1_stride_t=1,
            pool1_stride_t=1,
            temporal_strides=(1, 1, 1, 1),
            inflate=((1, 1), (1, 0), (1, 0), (0, 1)),
            norm_eval=False)),
    neck=dict(
        type='ChannelMapper',
        in_channels=[512],
        kernel_size=1,
        out_channels=256,
        act_cfg=None,
        norm_cfg=None,
        num_outs=1),
    encoder=dict(
        num_layers=6,
        layer_cfg=dict(
            self_attn_cfg=dict(
                embed_dims=256, num_heads=8, dropout=0.1, batch_first=True),
            ffn_cfg=dict(
                embed_dims=256, feedforward_channels=2048, num_fcs=2,
                ffn_drop=0.1, act_cfg=dict(type='ReLU', inplace=True)))),
    decoder=dict(
        num_layers=6,
        layer_cfg=dict(
            self_attn_cfg=dict(
                embed_dims=256, num_heads=8, dropout=0.1, batch_first=True),
            cross_attn_cfg=dict(
                embed_dims=256, num_heads=8, dropout=0.1, batch_first=True),
            ffn_cfg=dict(
                embed_dims=256, feedforward_channels=2048, num_fcs=2,
                ffn_drop=0.1, act_cfg=dict(type='ReLU', inplace=True))),
        return_intermediate=True),
    positional_encoding=dict(num_feats=128, normalize=True),
    bbox_head=dict(
        type='DETRHead',
        num_classes=80,
        embed_dims=256,
        loss_cls=dict(
            type='CrossEntropyLoss', bg_cls_weight=0.1, use_sigmoid=False,
            loss_weight=1.0, class_weight=1.0),
        loss_bbox=dict(type='L1Loss', loss_weight=5.0),
        loss_iou=dict(type='GIoULoss', loss_weight=2.0)),
    train_cfg=dict(
        assigner=dict(
            type='HungarianAssigner',
            match_costs=[
                dict(type='ClassificationCost', weight=1.),
                dict(type='BBoxL1Cost', weight=5.0, box_format='xywh'),
                dict(type='IoUCost', iou_mode='giou', weight=2.0)
            ])),
    test_cfg=dict(max_per_img=100))
