# STCAT on VidSTG, published settings:
#   tools/dist_train.sh configs/baselines/stcat_vidstg.py 8
# CoSTA's data and schedule are STCAT's.
_base_ = [
    './models/stcat_r101.py', '../_base_/datasets/vidstg.py',
    '../_base_/schedules/costa_vidstg.py', '../_base_/default_runtime.py'
]
model = dict(
    head=dict(loss_giou=dict(type='mmdet.GIoULoss', loss_weight=3.)))
# see stcat_hcstvg.py
load_from = 'weights/mdetr_r101_for_stcat.pth'

# averaged weights, decay 0.9998: what is tested and what checkpoints hold
custom_hooks = [
    dict(type='SaveOnSignalHook'),
    dict(type='NonFiniteLossHook'),
    dict(type='STVGEMAHook', momentum=0.0002),
]
default_hooks = dict(checkpoint=dict(save_best=None, max_keep_ckpts=2))
