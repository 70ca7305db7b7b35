# TA-STVG on VidSTG, published settings (but the validation split for
# validation: the published runs validated on the test split):
#   tools/dist_train.sh configs/baselines/tastvg_vidstg.py 32
# Labels: see tastvg_hcstvg.py.
_base_ = [
    './_base_/models/tastvg_r101.py', './_base_/pipelines/two_stream.py',
    '../_base_/datasets/vidstg.py', '../_base_/schedules/costa_vidstg.py',
    '../_base_/paper_runtime.py'
]
max_epochs = 11
model = dict(
    head=dict(
        num_appearances=20,
        num_motions=34,
        frame_threshold=0.45,
        loss_giou=dict(loss_weight=3.),
        loss_span=dict(loss_weight=2.)))
train_pipeline = _base_.train_pipeline
train_pipeline[4] = _base_.flip
train_pipeline[5] = _base_.augment
test_pipeline = _base_.test_pipeline
test_pipeline[3] = _base_.squeeze
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(pipeline=test_pipeline))
test_dataloader = dict(dataset=dict(pipeline=test_pipeline))
optim_wrapper = dict(
    optimizer=dict(lr=2e-4),
    paramwise_cfg=dict(
        groups=dict(
            temporal=dict(prefixes=('head.temporal_decoder.', ), lr=2e-4),
            classifiers=dict(
                prefixes=('head.appearance.', 'head.motion.'), lr=3e-4))))
param_scheduler = dict(
    schedules=dict(rest=dict(milestones=[9])), end=max_epochs)
train_cfg = dict(max_epochs=max_epochs)
load_from = _base_.initial_weights
# the rates above are for 32 GPUs with one video each
auto_scale_lr = dict(base_batch_size=32)
