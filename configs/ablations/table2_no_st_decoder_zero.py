# Table 2, no ST-decoder, read otherwise: the first spatial query has no
# content, and only the anchors come from [CLS].
_base_ = '../costa_hcstvg.py'
model = dict(head=dict(entangled=False, content='zero'))
