# Table 3b, Hadamard product.
_base_ = '../costa_hcstvg.py'
model = dict(backbone=dict(connection=dict(type='HadamardConnection')))
