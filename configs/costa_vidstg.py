# CoSTA on VidSTG, as in the paper:
#   tools/dist_train.sh configs/costa_vidstg.py 8
_base_ = [
    './_base_/models/costa_r101_i3d.py', './_base_/datasets/vidstg.py',
    './_base_/schedules/costa_vidstg.py', './_base_/paper_runtime.py'
]
# STCAT's weight for VidSTG
model = dict(
    head=dict(loss_giou=dict(type='mmdet.GIoULoss', loss_weight=3.)))
# see costa_hcstvg.py
load_from = _base_.initial_weights
# 16 bits where they do no harm: bfloat16, float16 on cards without it; in 32
# bits with --cfg-options optim_wrapper.type=OptimWrapper
optim_wrapper = dict(type='STVGAmpOptimWrapper')
