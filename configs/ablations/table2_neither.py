# Both off; ours, the paper has no such row.
_base_ = '../costa_hcstvg.py'
model = dict(
    backbone=dict(temporal=None),
    neck=dict(temporal_layers=False),
    head=dict(entangled=False))
