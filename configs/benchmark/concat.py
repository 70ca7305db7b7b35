# Table 3b, concatenation and a 1x1x1 convolution.
_base_ = '../synthetic/costa_tiny_synthetic.py'
model = dict(backbone=dict(connection=dict(type='ConcatConnection')))
