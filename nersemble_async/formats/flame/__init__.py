"""FLAME: trackings, and the heads that they mean.

- `tracking`: the parameters of a sequence; `provider`: vertices, landmarks and meshes of it
- `model`: the model's files and its evaluation, over `skinning`; `torch`: the same in torch
- `model_pickle`, `pickle_machine`: pickles read as data, no code of theirs ever runs
"""
