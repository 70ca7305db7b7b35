# CG-STVG on HC-STVG v1, published settings:
#   tools/dist_train.sh configs/baselines/cgstvg_hcstvg.py 8
_base_ = [
    './_base_/models/cgstvg_r101.py', './_base_/pipelines/two_stream.py',
    '../_base_/datasets/hcstvg_v1.py', '../_base_/schedules/costa_hcstvg.py',
    '../_base_/paper_runtime.py'
]
train_pipeline = _base_.train_pipeline
train_pipeline[4] = _base_.flip
train_pipeline[5] = _base_.augment
test_pipeline = _base_.test_pipeline
test_pipeline[3] = _base_.squeeze
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
test_dataloader = dict(dataset=dict(pipeline=test_pipeline))
optim_wrapper = dict(optimizer=dict(lr=3e-4))
load_from = _base_.initial_weights
