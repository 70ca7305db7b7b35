# Both off; ours, the paper has no such row.
_base_ = '../synthetic/costa_tiny_synthetic.py'
model = dict(
    backbone=dict(temporal=None),
    neck=dict(temporal_layers=False),
    head=dict(entangled=False))
