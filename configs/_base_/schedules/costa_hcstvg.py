# STCAT's settings for HC-STVG; the paper gives none.
max_epochs = 90
optim_wrapper = dict(
    type='OptimWrapper',
    constructor='GroupOptimWrapperConstructor',
    optimizer=dict(
        type='AdamW', lr=1e-4, weight_decay=1e-4, fused=True),
    clip_grad=dict(max_norm=0.1, norm_type=2),
    paramwise_cfg=dict(
        groups=dict(
            # pathways; their connections are new and go with the rest
            video=dict(
                prefixes=('backbone.spatial.', 'backbone.temporal.',
                          'backbone.motion.'),
                lr=2e-5),
            text=dict(prefixes=('text_encoder.', ), lr=5e-5),
            # without the span head, as STCAT has it
            temporal=dict(
                prefixes=tuple(f'head.temporal_decoder.{part}.' for part in (
                    'theta_t', 'query_proj', 'layers', 'norm')),
                lr=1e-4))))
# text encoder and temporal decoder: 1 % warm-up, then linearly to 0; all
# else: one drop at epoch 50
param_scheduler = dict(
    type='GroupwiseLR',
    schedules=dict(
        text=dict(warmup=0.01, to_zero=True),
        temporal=dict(warmup=0.01, to_zero=True),
        rest=dict(milestones=[50], gamma=0.1)),
    end=max_epochs,
    convert_to_iter_based=True)
train_cfg = dict(by_epoch=True, max_epochs=max_epochs)

# the rates above are for 8 GPUs with one video each
auto_scale_lr = dict(enable=False, base_batch_size=8)
