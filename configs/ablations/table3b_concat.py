# Table 3b, concatenate: concatenation and a 1x1x1 convolution.
_base_ = '../costa_hcstvg.py'
model = dict(backbone=dict(connection=dict(type='ConcatConnection')))
