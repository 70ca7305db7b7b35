# Table 3a, 3D backbone only.
_base_ = '../costa_hcstvg.py'
model = dict(backbone=dict(spatial=None))
