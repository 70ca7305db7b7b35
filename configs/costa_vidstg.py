# CoSTA on VidSTG, as in the paper:
#   tools/dist_train.sh configs/costa_vidstg.py 8
_base_ = [
    './_base_/models/costa_r101_i3d.py', './_base_/datasets/vidstg.py',
    './_base_/schedules/costa_vidstg.py', './_base_/default_runtime.py'
]
# STCAT's weight for VidSTG
model = dict(
    head=dict(loss_giou=dict(type='mmdet.GIoULoss', loss_weight=3.)))
# see costa_hcstvg.py
load_from = 'weights/costa_r101_i3d_init.pth'

# averaged weights, decay 0.9998: what is tested and what checkpoints hold
custom_hooks = [
    dict(type='SaveOnSignalHook'),
    dict(type='NonFiniteLossHook'),
    dict(type='STVGEMAHook', momentum=0.0002),
]
# the last weights are reported, never the best on a test split
default_hooks = dict(checkpoint=dict(save_best=None, max_keep_ckpts=2))
