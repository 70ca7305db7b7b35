# TA-STVG (ICLR 2025) at the published size.
# MDETR gives ResNet-101, text encoder, spatial layers of the fusion,
# self-attention and FFN of the spatial decoder, box head
initial_weights = [
    dict(weights='mdetr_resnet101', layout='mdetr_costa'),
    dict(weights='video_swin_tiny_kinetics400', prefix='backbone.motion.'),
]
model = dict(
    type='SpatioTemporalGrounder',
    # to the largest video of the batch and no further, as published: zeros
    # beyond the border would change the cells beside it
    data_preprocessor=dict(type='STVGDataPreprocessor', pad_size_divisor=1),
    backbone=dict(
        type='TwoStreamResNet',
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
            style='pytorch'),
        # frozen; drop_path_when_frozen=True drops paths all the same, as
        # the published code does in training
        motion=dict(type='MotionSwin', arch='tiny')),
    # "man the man walks": the subject is read before the sentence
    text_encoder=dict(
        type='SubjectTextEncoder',
        model_name='roberta-base',
        out_channels=256),
    neck=dict(
        type='TwoStreamFusionNeck',
        in_channels=2048,
        motion_channels=768,
        embed_dims=256,
        num_layers=6,
        num_heads=8,
        feedforward_channels=2048,
        dropout=0.1),
    head=dict(
        type='TASTVGHead',
        embed_dims=256,
        num_layers=6,
        num_heads=8,
        feedforward_channels=2048,
        dropout=0.1,
        span_dropout=0.3,
        num_appearances=15,
        num_motions=60,
        frame_threshold=0.7,
        second_pass=True,
        loss_bbox=dict(type='mmdet.L1Loss', loss_weight=5.),
        loss_giou=dict(type='mmdet.GIoULoss', loss_weight=4.),
        loss_span=dict(type='SpanKLLoss', sigma=2., loss_weight=12.),
        loss_attend_dec=dict(
            type='AttendanceLoss', outside_weight=0.3, loss_weight=2.),
        loss_frames_appearance=dict(
            type='AttendanceLoss', outside_weight=1., loss_weight=1.),
        loss_frames_motion=dict(
            type='AttendanceLoss', outside_weight=1., loss_weight=1.),
        loss_attributes_appearance=dict(
            type='MultiLabelLoss', loss_weight=1.),
        loss_attributes_motion=dict(type='MultiLabelLoss', loss_weight=1.),
        # boxes are averaged over all processes, as published
        box_average='batch'),
    # even and odd frames are grounded apart, and the pipeline samples twice as
    # many frames for testing
    test_cfg=dict(two_pass=True))
