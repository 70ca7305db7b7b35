# TubeDETR's optimizer for every dataset.
optim_wrapper = dict(
    type='OptimWrapper',
    constructor='GroupOptimWrapperConstructor',
    optimizer=dict(type='AdamW', lr=5e-5, weight_decay=1e-4, fused=True),
    clip_grad=dict(max_norm=0.1, norm_type=2),
    paramwise_cfg=dict(
        groups=dict(
            video=dict(prefixes=('backbone.', ), lr=1e-5),
            # the projection behind it goes with the rest, as published
            text=dict(prefixes=('text_encoder.model.', ), lr=5e-5))))
