# Table 3b, Hadamard product.
_base_ = '../synthetic/costa_tiny_synthetic.py'
model = dict(backbone=dict(connection=dict(type='HadamardConnection')))
