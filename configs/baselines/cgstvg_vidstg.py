# CG-STVG on VidSTG, published settings:
#   tools/dist_train.sh configs/baselines/cgstvg_vidstg.py 8
_base_ = [
    './_base_/models/cgstvg_r101.py', './_base_/pipelines/two_stream.py',
    '../_base_/datasets/vidstg.py', '../_base_/schedules/costa_vidstg.py',
    '../_base_/paper_runtime.py'
]
model = dict(
    head=dict(
        context_giou=0.5,
        context_confidence=0.5,
        context_attend=-0.5,
        loss_giou=dict(loss_weight=3.),
        loss_span=dict(loss_weight=1.),
        # the source has it as a comment "for VidSTG"; the code that came
        # with the weights takes 'bce_of_sum' here too
        loss_confidence=dict(kind='smooth_l1')))
train_pipeline = _base_.train_pipeline
train_pipeline[4] = _base_.flip
train_pipeline[5] = _base_.augment
test_pipeline = _base_.test_pipeline
test_pipeline[3] = _base_.squeeze
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(pipeline=test_pipeline))
test_dataloader = dict(dataset=dict(pipeline=test_pipeline))
optim_wrapper = dict(
    optimizer=dict(lr=3e-4),
    paramwise_cfg=dict(
        groups=dict(
            temporal=dict(prefixes=('head.temporal_decoder.', ), lr=1e-4))))
load_from = _base_.initial_weights
