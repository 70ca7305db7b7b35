# Copyright (c) costa_mm authors. All rights reserved.
"""An mmaction2 recogniser on CoSTA's space-time encoder.

Only the backbone differs from an ordinary config of mmaction2: its type
carries the prefix, and `custom_imports` makes it known.
"""
custom_imports = dict(imports=['costa_mm.models'])

model = dict(
    type='mmaction.Recognizer3D',
    backbone=dict(
        type='costa_mm.CollaborativeResNet',
        # mmaction2's heads take one map, not a tuple
        single_output=True,
        spatial=dict(type='mmdet.ResNet', depth=18, norm_eval=False),
        temporal=dict(
            type='mmaction.ResNet3d',
            depth=18,
            pretrained=None,
            # time must keep its length, see CollaborativeResNet
            with_pool2=False,
            conv1_kernel=(5, 7, 7),
            conv1_stride_t=1,
            pool1_stride_t=1,
            temporal_strides=(1, 1, 1, 1),
            inflate=((1, 1), (1, 0), (1, 0), (0, 1)),
            norm_eval=False)),
    cls_head=dict(
        type='I3DHead', num_classes=400, in_channels=512, dropout_ratio=0.5,
        average_clips='prob'),
    data_preprocessor=dict(
        type='mmaction.ActionDataPreprocessor',
        mean=[123.675, 116.28, 103.53],
        std=[58.395, 57.12, 57.375],
        format_shape='NCTHW'))
