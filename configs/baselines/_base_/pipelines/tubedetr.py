# TubeDETR's pipelines for every dataset.

# 5 frames/s, at most 200 of them, in training and testing; the final frame
# is no candidate; the sentence stays as it is written
tubedetr_sample = dict(
    type='SampleFrames', mode='fps', fps=5., max_frames=200, skip_final=True)
tubedetr_max_size = 587  # 5/3 of the resolution
tubedetr_resize = dict(
    type='ResizeClip',
    short_side=(224, 256, 288, 320, 352),
    max_size=tubedetr_max_size)
# no flip: the published code avoids it, since sentences name left and right
tubedetr_train_pipeline = [
    tubedetr_sample,
    dict(type='RandomTemporalCrop', prob=0.5, level='frames'),
    dict(type='LoadVideoFrames'),
    dict(type='LoadTubeAnnotations'),
    # one of two, p 0.5 each; a crop keeps every box whole
    dict(
        type='RandomBranch',
        branches=[
            [tubedetr_resize],
            [
                dict(type='ResizeClip', short_side=(200, 250, 300)),
                dict(
                    type='RandomSizeCrop',
                    min_size=192,
                    max_size=tubedetr_max_size,
                    keep='whole',
                    tries=100), tubedetr_resize
            ],
        ]),
    dict(type='PackSTVGInputs'),
]
tubedetr_test_pipeline = [
    tubedetr_sample,
    dict(type='LoadVideoFrames'),
    dict(type='LoadTubeAnnotations'),
    dict(type='ResizeClip', short_side=352, max_size=tubedetr_max_size),
    dict(type='PackSTVGInputs'),
]
