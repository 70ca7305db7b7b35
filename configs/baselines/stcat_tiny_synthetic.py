# STCAT on the synthetic benchmark with CoSTA-tiny's data, schedule, text
# encoder, 2D pathway and sizes.
_base_ = '../synthetic/costa_tiny_synthetic.py'
model = dict(
    backbone=dict(temporal=None),
    neck=dict(type='STCATFusionNeck'),
    head=dict(
        _delete_=True,
        type='STCATHead',
        embed_dims=64,
        num_layers=2,
        num_heads=4,
        feedforward_channels=128,
        dropout=0.,
        span_dropout=0.,
        # as Eq. (2) gives to CoSTA: without, the span loss stays where it
        # begins in 1,500 iterations
        time_in_content=True,
        # objects of the synthetic videos cover about 9 % of the frame
        anchor_prior=(0.5, 0.5, 0.3, 0.3),
        # the weights of CoSTA-tiny, where there is such a loss
        loss_bbox=dict(type='mmdet.L1Loss', loss_weight=15.),
        loss_giou=dict(type='mmdet.GIoULoss', loss_weight=8.),
        loss_span=dict(
            type='SpanKLLoss',
            sigma=1.,
            direction='true_pred',
            loss_weight=5.),
        loss_attend_dec=dict(type='AttendanceLoss', loss_weight=10.),
        loss_cell=dict(type='CellAttentionLoss', loss_weight=10.)))
