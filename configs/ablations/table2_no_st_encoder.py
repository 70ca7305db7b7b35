# Table 2, no ST-encoder: 2D ResNet-101 only, no temporal layers in the fusion.
_base_ = '../costa_hcstvg.py'
model = dict(
    backbone=dict(temporal=None), neck=dict(temporal_layers=False))
