# STVGBert (ICCV 2021) at the size of the public code; see
# docs/en/stvgbert.md for what was chosen where it and sense differ.
initial_weights = [
    dict(weights='resnet101_imagenet', prefix='backbone.spatial.'),
    # the upper half of BERT, vision layers and co-attention; also the lower
    # half of BERT, which the text encoder is
    dict(weights='vilbert_conceptual_captions', layout='vilbert'),
]
model = dict(
    type='SpatioTemporalGrounder',
    data_preprocessor=dict(type='STVGDataPreprocessor', pad_size_divisor=32),
    backbone=dict(
        type='CollaborativeResNet',
        # the same figures but for rounding, in less time and memory
        efficient_conv_bn_eval=True,
        channels_last=True,
        # all stages are trained, batch norms are not
        spatial=dict(
            type='mmdet.ResNet',
            depth=101,
            frozen_stages=-1,
            norm_cfg=dict(type='BN', requires_grad=False),
            norm_eval=True,
            # else frozen norms of weight 0 switch the residuals off
            zero_init_residual=False,
            style='pytorch')),
    text_encoder=dict(
        type='HFTextEncoder',
        model_name='bert-base-uncased',
        num_layers=6,
        out_channels=None,
        max_length=40),
    neck=dict(
        type='STViLBertNeck',
        in_channels=2048,
        embed_dims=1024,
        num_layers=6,
        num_heads=8,
        feedforward_channels=1024,
        text_layer=dict(
            embed_dims=768, num_heads=12, feedforward_channels=3072),
        dropout=0.1),
    head=dict(
        type='STVGBertHead',
        embed_dims=1024,
        in_channels=2048,
        text_channels=768,
        stride=32,
        size_from='visual',
        span_channels=128,
        num_scales=5,
        # deformable=True needs full mmcv
        maps=dict(
            up_channels=(256, 128, 64),
            head_channels=64,
            dropout=0.2,
            deformable=False),
        loss_heatmap=dict(type='CenterHeatmapLoss', loss_weight=1.),
        loss_size=dict(type='CenterL1Loss', loss_weight=0.1),
        loss_offset=dict(type='CenterL1Loss', loss_weight=1.),
        loss_score=dict(type='AnchorScoreLoss', loss_weight=1.),
        loss_span=dict(type='AnchorSpanLoss', threshold=0.5, loss_weight=1.),
        # boxes are averaged over all processes, as published
        box_average='batch'))
