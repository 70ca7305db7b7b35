# STCAT on the synthetic benchmark with CoSTA-tiny's data, schedule, text
# encoder, 2D pathway and sizes.
_base_ = [
    '../_base_/models/costa_tiny.py', '../_base_/datasets/synthetic.py',
    '../_base_/schedules/costa_tiny.py', '../_base_/default_runtime.py'
]
costa_head = _base_.model.head
model = dict(
    backbone=dict(temporal=None),
    neck=dict(type='STCATFusionNeck'),
    head=dict(
        _delete_=True,
        type='STCATHead',
        embed_dims=_base_.embed_dims,
        num_layers=2,
        num_heads=4,
        feedforward_channels=128,
        dropout=0.,
        span_dropout=0.,
        # as Eq. (2) gives to CoSTA: without, the span loss stays where it
        # begins in 1,500 iterations
        time_in_content=True,
        anchor_prior=costa_head.object_query.prior,
        # the weights of CoSTA-tiny, where there is such a loss
        loss_bbox=costa_head.loss_bbox,
        loss_giou=costa_head.loss_giou,
        loss_span=costa_head.loss_span,
        loss_attend_dec=costa_head.loss_attend_dec,
        loss_cell=costa_head.loss_cell))
