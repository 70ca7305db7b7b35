# Fine-tuning on a few videos of one's own, with HC-STVG v1 annotations in
# data/real_clips/, from a pretrained, frozen 2D pathway:
#   tools/train.py configs/real_clips/costa_tiny_lite0_real_clips.py
# Each video tested by a model that the others trained:
#   CONFIG=configs/real_clips/costa_tiny_lite0_real_clips.py
#   tools/kfold_cross_valid.py $CONFIG
_base_ = [
    '../_base_/models/costa_tiny_lite0.py', '../_base_/datasets/real_clips.py',
    '../_base_/schedules/real_clips.py', '../_base_/default_runtime.py'
]
model = dict(
    head=dict(object_query=dict(prior=(0.5, 0.5, 0.3, 0.6))))
# counted in iterations
default_hooks = dict(
    checkpoint=dict(interval=200, by_epoch=False),
    logger=dict(interval=20, log_metric_by_epoch=False))
log_processor = dict(by_epoch=False)
