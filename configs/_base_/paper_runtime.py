# Hooks, logs and seeds of every published recipe; default_runtime.py changes
# what runs with a validation split do otherwise.
default_scope = 'costa_mm'
runner_type = 'costa_mm.STVGRunner'

default_hooks = dict(
    timer=dict(type='IterTimerHook'),
    logger=dict(type='LoggerHook', interval=50),
    param_scheduler=dict(type='ParamSchedulerHook'),
    checkpoint=dict(
        type='AtomicCheckpointHook',
        interval=1,
        max_keep_ckpts=2,
        # the last weights are reported, never the best on a test split (the
        # published runs on HC-STVG validated on it)
        save_best=None,
        rule='greater'),
    visualization=dict(type='TubeVisualizationHook'))
custom_hooks = [
    dict(type='SaveOnSignalHook'),
    dict(type='NonFiniteLossHook'),
    # averaged weights, decay 0.9998: what is tested and what checkpoints hold
    dict(type='STVGEMAHook', momentum=0.0002),
]

env_cfg = dict(
    cudnn_benchmark=False,
    # products of what stays in 32 bits, on cards that can (since Ampere)
    allow_tf32=True,
    mp_cfg=dict(mp_start_method='fork', opencv_num_threads=0),
    dist_cfg=dict(backend='nccl'))
randomness = dict(seed=0)

vis_backends = [
    dict(type='LocalVisBackend'),
    dict(type='TensorboardVisBackend')
]
visualizer = dict(
    type='TubeLocalVisualizer', vis_backends=vis_backends, name='visualizer')
log_processor = dict(type='LogProcessor', window_size=50, by_epoch=True)
log_level = 'INFO'
load_from = None
resume = False
