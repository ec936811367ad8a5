"""A lane of your own: a small network that reads handwritten digits. Copy the folder and change what it does.

spec.py      the lane as data: names, files, measurements
config.py    what `lane.*` may say
data.py      stage prepare
train.py     stage train
evaluate.py  stage evaluate
export.py    stage export
network.py   the model, shared by the last three
conf/        its YAML, which joins Interlock's own
"""
