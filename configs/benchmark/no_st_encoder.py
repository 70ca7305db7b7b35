# Table 2, no ST-encoder: 2D pathway only, no temporal layers in the fusion.
_base_ = '../synthetic/costa_tiny_synthetic.py'
model = dict(
    backbone=dict(temporal=None), neck=dict(temporal_layers=False))
