# What STCAT and TubeDETR share at the published size: a 2D ResNet-101 with
# frozen batch norms, stem and first stage, and RoBERTa-base.
model = dict(
    type='SpatioTemporalGrounder',
    data_preprocessor=dict(type='STVGDataPreprocessor', pad_size_divisor=32),
    backbone=dict(
        type='CollaborativeResNet',
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
        type='HFTextEncoder', model_name='roberta-base', out_channels=256))
