"""Weights of other libraries in and out: torchvision, timm, fastai; .pth and .safetensors.

    variables = pretrained.load("resnet50_v15", "resnet50-0676ba61.pth")
    logits, endpoints = models.create("resnet50_v15").apply(variables, images)
    pretrained.preprocessing("resnet50_v15", "resnet50-0676ba61.pth").as_config()
    pretrained.save("resnet50_v15", variables, "mine.safetensors")

`load` and `read` look at names and shapes, never at a pickle's wishes (`torch_file`). A file that
`save` wrote says of which model it is and what its images underwent; torchvision or timm loads it
with `load_state_dict(safetensors.torch.load_file(path))`. Models that no library has are written
with our own names.
"""

from cnnlab.pretrained.checkpoint_file import read_checkpoint
from cnnlab.pretrained.preprocessing import Preprocessing
from cnnlab.pretrained.reading import Pretrained, load, preprocessing, read
from cnnlab.pretrained.writing import save

__all__ = [
    "Preprocessing",
    "Pretrained",
    "load",
    "preprocessing",
    "read",
    "read_checkpoint",
    "save",
]
