# STVGBert on HC-STVG v1, the settings of the public code:
#   python tools/train.py configs/baselines/stvgbert_hcstvg.py
_base_ = [
    './_base_/models/stvgbert_r101.py', './_base_/pipelines/stvgbert.py',
    '../_base_/datasets/hcstvg_v1.py', '../_base_/paper_runtime.py'
]
load_from = _base_.initial_weights

train_pipeline = _base_.stvgbert_train_pipeline
test_pipeline = _base_.stvgbert_test_pipeline
# five videos on one GPU
train_dataloader = dict(batch_size=5, dataset=dict(pipeline=train_pipeline))
test_dataloader = dict(dataset=dict(pipeline=test_pipeline))

max_epochs = 100
optim_wrapper = dict(
    type='OptimWrapper', optimizer=dict(type='Adam', lr=1e-5, fused=True))
param_scheduler = [dict(type='MultiStepLR', milestones=[80], gamma=0.1)]
train_cfg = dict(by_epoch=True, max_epochs=max_epochs)
auto_scale_lr = dict(enable=False, base_batch_size=5)
# no averaged weights
custom_hooks = [
    dict(type='SaveOnSignalHook'),
    dict(type='NonFiniteLossHook'),
]
