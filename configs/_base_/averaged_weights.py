# What every published recipe tests and keeps; a config takes it by
#   custom_hooks = _base_.averaging_hooks
#   default_hooks = _base_.last_weights

# averaged weights, decay 0.9998: what is tested and what checkpoints hold
averaging_hooks = [
    dict(type='SaveOnSignalHook'),
    dict(type='NonFiniteLossHook'),
    dict(type='STVGEMAHook', momentum=0.0002),
]
# the last weights are reported, never the best on a test split (the published
# runs on HC-STVG validated on it)
last_weights = dict(checkpoint=dict(save_best=None, max_keep_ckpts=2))
