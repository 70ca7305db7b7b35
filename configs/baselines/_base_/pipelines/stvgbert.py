# STVGBert's pipelines for every dataset: 64 frames at equal distances, the
# long side 256 pixels.

stvgbert_sample = dict(type='SampleFrames', mode='uniform', num_frames=64)
stvgbert_resize = dict(type='ResizeClip', scale=(256, 256), keep_ratio=True)
stvgbert_train_pipeline = [
    stvgbert_sample,
    dict(type='LoadVideoFrames'),
    dict(type='LoadTubeAnnotations'),
    # p 0.5; left and right change places in the words too
    dict(type='FlipWithText', prob=0.5),
    # one of two, p 0.5 each, in place of one affine map per clip (shift 0.1,
    # scale 0.4): nothing of an event leaves the frame, and nothing is black
    dict(
        type='RandomBranch',
        branches=[
            [stvgbert_resize],
            [
                dict(type='ResizeClip', scale=(400, 400), keep_ratio=True),
                dict(type='RandomSizeCrop', min_size=180, max_size=400),
                stvgbert_resize
            ],
        ]),
    dict(type='CleanSentence', lower=True),
    dict(type='PackSTVGInputs'),
]
stvgbert_test_pipeline = [
    stvgbert_sample,
    dict(type='LoadVideoFrames'),
    dict(type='LoadTubeAnnotations'),
    stvgbert_resize,
    dict(type='CleanSentence', lower=True),
    dict(type='PackSTVGInputs'),
]
