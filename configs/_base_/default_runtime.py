# The default of a run: no averaged weights, and the best checkpoint on the
# validation split is kept beside the last.
_base_ = './paper_runtime.py'
default_hooks = dict(checkpoint=dict(save_best='stvg/m_vIoU'))
custom_hooks = [
    dict(type='SaveOnSignalHook'),
    dict(type='NonFiniteLossHook'),
]
