# STCAT's settings for VidSTG; the paper gives none.
max_epochs = 10
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
                lr=1e-5),
            text=dict(prefixes=('text_encoder.', ), lr=5e-5))))
# all groups: 1 % warm-up and one drop at epoch 8
param_scheduler = dict(
    type='GroupwiseLR',
    schedules=dict(rest=dict(warmup=0.01, milestones=[8], gamma=0.1)),
    end=max_epochs,
    convert_to_iter_based=True)
train_cfg = dict(by_epoch=True, max_epochs=max_epochs, val_interval=1)

# the rates above are for 8 GPUs with one video each
auto_scale_lr = dict(enable=False, base_batch_size=8)
