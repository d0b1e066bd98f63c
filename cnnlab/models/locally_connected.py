"""Locally connected network: LeNet-5's windows, but each place has weights of its own.

LeCun 1989 (Generalization and network design strategies), the step between fully connected layers
and convolutions. For 32x32x1, with as many units as LeNet-5:

    layer     inputs and outputs                    mlp     locally connected      lenet5
    c1        32x32x1 -> 28x28x6              4,821,600               122,304         156
    c3        of c1 (mlp) or s2 -> 10x10x16   7,528,000               241,600       2,416
    c5        of c3 (mlp) or s4 -> 120          192,120                48,120      48,120
    f6        120 -> 84                          10,164                10,164      10,164
    logits    84 -> 10                              850                   850         850
    all                                      12,552,734               423,038      61,706

The mlp is `mlp` with hidden layers of 4704, 1600, 120 and 84 units. Local windows save the factor
30, sharing their weights another 7. The weights belong to one size of image.
"""

from cnnlab.models.architecture import Architecture
from cnnlab.models.lenet5 import LeNet5

MODELS = {
    "locally_connected": Architecture(LeNet5, "LeCun 1989", (32, 32, 1), {"shared": False}),
}
