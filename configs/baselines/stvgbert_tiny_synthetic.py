# STVGBert on the synthetic benchmark with CoSTA-tiny's data, schedule, text
# encoder, 2D pathway and sizes.  The text encoder is frozen and projected, so
# all trained layers over words are the neck's.
_base_ = [
    '../_base_/models/costa_tiny.py', '../_base_/datasets/synthetic.py',
    '../_base_/schedules/costa_tiny.py', '../_base_/default_runtime.py'
]
embed_dims = _base_.embed_dims
model = dict(
    backbone=dict(temporal=None),
    neck=dict(
        _delete_=True,
        type='STViLBertNeck',
        in_channels=128,
        embed_dims=embed_dims,
        num_layers=2,
        num_heads=4,
        feedforward_channels=128,
        text_layer=dict(
            embed_dims=embed_dims, num_heads=4, feedforward_channels=128),
        dropout=0.),
    head=dict(
        _delete_=True,
        type='STVGBertHead',
        embed_dims=embed_dims,
        in_channels=128,
        text_channels=embed_dims,
        stride=16,
        span_channels=embed_dims,
        # 3, 7 and 15 of 16 frames
        num_scales=3,
        maps=dict(
            up_channels=(64, 32, 32), head_channels=32, dropout=0.)))
