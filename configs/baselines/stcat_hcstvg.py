# STCAT on HC-STVG v1, published settings:
#   tools/dist_train.sh configs/baselines/stcat_hcstvg.py 8
# CoSTA's data and schedule are STCAT's.
_base_ = [
    './_base_/models/stcat_r101.py', '../_base_/datasets/hcstvg_v1.py',
    '../_base_/schedules/costa_hcstvg.py', '../_base_/paper_runtime.py'
]
load_from = _base_.initial_weights
