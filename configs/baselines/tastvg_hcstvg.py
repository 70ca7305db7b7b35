# TA-STVG on HC-STVG v1, published settings:
#   tools/dist_train.sh configs/baselines/tastvg_hcstvg.py 32
# With a file of subjects and attribute labels, put
#   dict(type='LoadTargetAttributes', ann_file=...)
# in front of PackSTVGInputs (docs/en/tastvg.md).
_base_ = [
    './_base_/models/tastvg_r101.py', './_base_/pipelines/two_stream.py',
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
optim_wrapper = dict(
    optimizer=dict(lr=2e-4),
    paramwise_cfg=dict(
        groups=dict(
            video=dict(lr=1e-6),
            temporal=dict(lr=2e-4),
            classifiers=dict(
                prefixes=('head.appearance.', 'head.motion.'), lr=5e-4))))
load_from = _base_.initial_weights
# the rates above are for 32 GPUs with one video each
auto_scale_lr = dict(base_batch_size=32)
