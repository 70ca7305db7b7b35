# Table 2, no ST-decoder: the spatial query is a projection of [CLS].
_base_ = '../synthetic/costa_tiny_synthetic.py'
model = dict(head=dict(entangled=False))
