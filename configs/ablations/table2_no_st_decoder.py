# Table 2, no ST-decoder: the spatial query is a projection of [CLS].
_base_ = '../costa_hcstvg.py'
model = dict(head=dict(entangled=False))
