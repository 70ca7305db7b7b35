# STVGBert on VidSTG, the settings of the public code:
#   python tools/train.py configs/baselines/stvgbert_vidstg.py
_base_ = [
    './_base_/models/stvgbert_r101.py', './_base_/pipelines/stvgbert.py',
    '../_base_/datasets/vidstg.py', '../_base_/paper_runtime.py'
]
load_from = _base_.initial_weights
model = dict(text_encoder=dict(max_length=20))

train_pipeline = _base_.stvgbert_train_pipeline
test_pipeline = _base_.stvgbert_test_pipeline
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(pipeline=test_pipeline))
test_dataloader = dict(dataset=dict(pipeline=test_pipeline))

max_epochs = 15
optim_wrapper = dict(
    type='OptimWrapper', optimizer=dict(type='Adam', lr=1e-5, fused=True))
param_scheduler = [dict(type='MultiStepLR', milestones=[10], gamma=0.1)]
train_cfg = dict(by_epoch=True, max_epochs=max_epochs, val_interval=1)
# one video on one GPU
auto_scale_lr = dict(enable=False, base_batch_size=1)
# no averaged weights
custom_hooks = [
    dict(type='SaveOnSignalHook'),
    dict(type='NonFiniteLossHook'),
]
