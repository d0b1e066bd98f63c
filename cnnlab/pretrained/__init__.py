"""Weights of other libraries in and out: torchvision, timm, fastai; .pth, .safetensors, Keras' .h5.

    model, variables = pretrained.create("resnet50-0676ba61.pth")
    logits, endpoints = model.apply(variables, images)
    pretrained.preprocessing("resnet50-0676ba61.pth").as_config()
    pretrained.save(model, variables, "mine.safetensors")

Equal shapes are not enough: `create` makes the model with the fields that the weights were trained
with, and `load`, for a model that is there already, refuses weights of others. Both look at names
and shapes, never at a pickle's wishes (`torch_file`), and find a network in what trainers save
(`matching`). A file that `save` wrote says of which model it is and what its images underwent;
torchvision or timm loads it with `load_state_dict(safetensors.torch.load_file(path))`. Models that
no library has are written with our own names.
"""

from cnnlab.pretrained.checkpoint_file import read_checkpoint
from cnnlab.pretrained.creating import create
from cnnlab.pretrained.preprocessing import Preprocessing
from cnnlab.pretrained.reading import Pretrained, load, preprocessing, read
from cnnlab.pretrained.writing import save

__all__ = [
    "Preprocessing",
    "Pretrained",
    "create",
    "load",
    "preprocessing",
    "read",
    "read_checkpoint",
    "save",
]
