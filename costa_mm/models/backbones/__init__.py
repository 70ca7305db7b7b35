# Copyright (c) costa_mm authors. All rights reserved.
"""Video backbones."""
from .collaborative_resnet import CollaborativeResNet
from .connections import (ConcatConnection, HadamardConnection,
                          NormSumConnection)
from .efficientnet_lite import EfficientNetLite
from .frames_as_videos import work_on_videos
from .motion_swin import MotionSwin
from .strided_grad_resnet import StridedGradResNet
from .two_stream_resnet import TwoStreamResNet

__all__ = [
    'CollaborativeResNet', 'ConcatConnection', 'EfficientNetLite',
    'HadamardConnection', 'MotionSwin', 'NormSumConnection',
    'StridedGradResNet', 'TwoStreamResNet', 'work_on_videos'
]
