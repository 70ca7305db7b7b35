# STCAT on VidSTG, published settings:
#   tools/dist_train.sh configs/baselines/stcat_vidstg.py 8
# CoSTA's data and schedule are STCAT's.
_base_ = [
    './_base_/models/stcat_r101.py', '../_base_/datasets/vidstg.py',
    '../_base_/schedules/costa_vidstg.py', '../_base_/paper_runtime.py'
]
model = dict(
    head=dict(loss_giou=dict(type='mmdet.GIoULoss', loss_weight=3.)))
load_from = _base_.initial_weights
