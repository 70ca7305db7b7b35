# Table 3a, 2D pathway only.
_base_ = '../synthetic/costa_tiny_synthetic.py'
model = dict(backbone=dict(temporal=None))
