# CoSTA on HC-STVG v2, as in the paper:
#   tools/dist_train.sh configs/costa_hcstvg_v2.py 8
_base_ = [
    './_base_/models/costa_r101_i3d.py', './_base_/datasets/hcstvg_v2.py',
    './_base_/schedules/costa_hcstvg.py', './_base_/paper_runtime.py'
]
# MDETR's ResNet-101, text encoder and transformer, and Kinetics-400's I3D
# ResNet-50: tools/model_converters/make_costa_init.py writes this file.
# load_from=None starts from nothing but roberta-base.
load_from = 'weights/costa_r101_i3d_init.pth'
