# Table 3c, 100 % temporal ground truth for spatial decoding.
_base_ = '../costa_hcstvg.py'
model = dict(head=dict(beta=1.0))
