# CoSTA at the paper's size. "Paper": the AAAI 2024 text; "STCAT": the
# published code and settings of its closest relative, where the paper is
# silent; "DETR": as in DETR, which both follow.
embed_dims = 256  # STCAT
num_heads = 8  # STCAT
feedforward_channels = 2048  # STCAT
num_layers = 6  # STCAT: fusion rounds, and layers of each decoder
dropout = 0.1  # STCAT
# one video per GPU: batch statistics would not be stable, so they and the
# affine part stay as they were pretrained (STCAT, DETR)
norm_2d = dict(type='BN', requires_grad=False)
norm_3d = dict(type='BN3d', requires_grad=False)

# what the published weights that training starts from give; they are fetched
# when it starts.  All else keeps its own initialisation.
initial_weights = [
    # MDETR's ResNet-101, text encoder with its projection, input projection,
    # spatial layers of the fusion, self-attention and FFN of the spatial
    # decoder, box head
    dict(weights='mdetr_resnet101', layout='mdetr_costa'),
    # Kinetics-400's I3D ResNet-50
    dict(weights='i3d_resnet50_kinetics400', prefix='backbone.temporal.'),
]

model = dict(
    type='SpatioTemporalGrounder',
    # mean and standard deviation of ImageNet.  Padded to the largest video of
    # the batch and no further (STCAT): zeros beyond the border would change
    # the cells beside it
    data_preprocessor=dict(
        type='STVGDataPreprocessor',
        mean=(123.675, 116.28, 103.53),
        std=(58.395, 57.12, 57.375),
        pad_size_divisor=1),
    backbone=dict(
        type='CollaborativeResNet',
        # the same figures but for rounding, in less time and memory
        efficient_conv_bn_eval=True,
        channels_last=True,
        # paper, ablation: "2D ResNet-101"
        spatial=dict(
            type='mmdet.ResNet',
            depth=101,
            num_stages=4,
            out_indices=(0, 1, 2, 3),
            frozen_stages=1,  # stem and first stage (STCAT)
            norm_cfg=norm_2d,
            norm_eval=True,
            # a frozen norm that begins at 0 would switch its branch off for
            # good where no weights are loaded
            zero_init_residual=False,
            style='pytorch'),  # torchvision's and MDETR's layout
        # paper: "a 3D ResNet", "temporal stride as 1"; its 235.0 M less
        # STCAT's 207.8 M leave 27.2 M, an I3D ResNet-50
        temporal=dict(
            type='mmaction.ResNet3d',
            depth=50,
            pretrained=None,
            conv1_kernel=(5, 7, 7),
            conv1_stride_t=1,
            pool1_stride_t=1,
            with_pool2=False,
            temporal_strides=(1, 1, 1, 1),
            inflate=((1, 1, 1), (1, 0, 1, 0), (1, 0, 1, 0, 1, 0), (0, 1, 0)),
            frozen_stages=1,
            norm_cfg=norm_3d,
            norm_eval=True,
            zero_init_residual=False),
        # paper, Table 3b: the best of three
        connection=dict(type='NormSumConnection')),
    # paper: "e.g., RoBERTa"; roberta-base as STCAT has it
    text_encoder=dict(
        type='HFTextEncoder',
        model_name='roberta-base',
        out_channels=embed_dims,
        dropout=dropout,
        lower=True),  # STCAT
    neck=dict(
        type='SpaceTimeFusionNeck',
        in_channels=2048,
        embed_dims=embed_dims,
        num_layers=num_layers,
        num_heads=num_heads,
        feedforward_channels=feedforward_channels,
        dropout=dropout),
    head=dict(
        type='EntangledTubeHead',
        embed_dims=embed_dims,
        num_temporal_layers=num_layers,
        num_spatial_layers=num_layers,
        num_heads=num_heads,
        feedforward_channels=feedforward_channels,
        dropout=dropout,
        span_dropout=0.3,  # STCAT
        object_query=dict(type='AnchorBoxQuery'),  # paper: 4D anchor boxes
        beta=0.9,  # paper, Table 3c: best vIoU@0.5 and m_vIoU
        # weights lambda of Eq. (6) and (8): STCAT, for HC-STVG
        loss_bbox=dict(type='mmdet.L1Loss', loss_weight=5.),
        loss_giou=dict(type='mmdet.GIoULoss', loss_weight=4.),
        # sigma 2 in sampled frames, KL(p || g) (STCAT)
        loss_span=dict(type='SpanKLLoss', sigma=2., loss_weight=10.),
        # weight of frames outside the event 0.3 (STCAT)
        loss_attend_enc=dict(
            type='AttendanceLoss', outside_weight=0.3, loss_weight=2.),
        loss_attend_dec=dict(
            type='AttendanceLoss', outside_weight=0.3, loss_weight=2.)),
    # even and odd test frames are two videos, merged (STCAT); the pipelines
    # sample twice as many frames for testing
    test_cfg=dict(two_pass=True))
