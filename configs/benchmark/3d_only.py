# Table 3a, 3D pathway only.
_base_ = '../synthetic/costa_tiny_synthetic.py'
model = dict(backbone=dict(spatial=None))
