# Table 3a, 2D backbone only.
_base_ = '../costa_hcstvg.py'
model = dict(backbone=dict(temporal=None))
