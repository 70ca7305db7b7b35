# Table 3c, 50 % temporal ground truth for spatial decoding.
_base_ = '../synthetic/costa_tiny_synthetic.py'
model = dict(head=dict(beta=0.5))
