# CoSTA on HC-STVG v2, as in the paper:
#   tools/dist_train.sh configs/costa_hcstvg_v2.py 8
_base_ = [
    './_base_/models/costa_r101_i3d.py', './_base_/datasets/hcstvg_v2.py',
    './_base_/schedules/costa_hcstvg.py', './_base_/paper_runtime.py'
]
# None starts from nothing but roberta-base; a file may stand here too
load_from = _base_.initial_weights
# 16 bits where they do no harm: bfloat16, float16 on cards without it; in 32
# bits with --cfg-options optim_wrapper.type=OptimWrapper
optim_wrapper = dict(type='STVGAmpOptimWrapper')
