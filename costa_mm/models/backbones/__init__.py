# Copyright (c) costa_mm authors. All rights reserved.
"""Video backbones."""
from .collaborative_resnet import CollaborativeResNet
from .connections import (ConcatConnection, HadamardConnection,
                          NormSumConnection)
from .strided_grad_resnet import StridedGradResNet

__all__ = [
    'CollaborativeResNet', 'ConcatConnection', 'HadamardConnection',
    'NormSumConnection', 'StridedGradResNet'
]
