# CoSTA on HC-STVG v2, as in the paper:
#   tools/dist_train.sh configs/costa_hcstvg_v2.py 8
_base_ = [
    './_base_/models/costa_r101_i3d.py', './_base_/datasets/hcstvg_v2.py',
    './_base_/schedules/costa_hcstvg.py', './_base_/default_runtime.py'
]
# MDETR's ResNet-101, text encoder and transformer, and Kinetics-400's I3D
# ResNet-50: tools/model_converters/make_costa_init.py writes this file.
# load_from=None starts from nothing but roberta-base.
load_from = 'weights/costa_r101_i3d_init.pth'

# averaged weights, decay 0.9998: what is tested and what checkpoints hold
custom_hooks = [
    dict(type='SaveOnSignalHook'),
    dict(type='NonFiniteLossHook'),
    dict(type='STVGEMAHook', momentum=0.0002),
]
# the last weights are reported, never the best on a test split
default_hooks = dict(checkpoint=dict(save_best=None, max_keep_ckpts=2))
