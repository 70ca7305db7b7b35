# CoSTA-tiny fitted to a handful of real clips with HC-STVG v1 annotations: a
# check that real videos, boxes and sentences flow through correctly, not a
# model that generalises. Train and test use the same folder, data/real_clips/
# (put or link it there), with real_clips.json beside the videos:
#   tools/train.py configs/real_clips/costa_tiny_real_clips.py
_base_ = [
    '../_base_/models/costa_tiny.py', '../_base_/datasets/real_clips.py',
    '../_base_/schedules/real_clips.py', '../_base_/default_runtime.py'
]
model = dict(
    head=dict(object_query=dict(prior=(0.5, 0.5, 0.3, 0.6))))
# counted in iterations
default_hooks = dict(
    checkpoint=dict(interval=200, by_epoch=False),
    logger=dict(interval=20, log_metric_by_epoch=False))
log_processor = dict(by_epoch=False)
