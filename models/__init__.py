"""The networks, and the command that works with them: python -m models --help.

Every builder and every class is here under its own name, as in torchvision: ``models.alexnet()``, ``models.AlexNet``.

>>> import models
>>> "lenet5" in models.list()
True
>>> models.build("lenet5", num_classes=26).fc3.out_features
26
>>> models.lenet5(num_classes=26).fc3.out_features
26
"""
# One line per family, with its builders and classes in the file's __all__: importing it registers its networks.
from models.alexnet import *
from models.convnext import *
from models.densenet import *
from models.efficientnet import *
from models.googlenet import *
from models.inception import *
from models.inference import optimize_for_inference
from models.lenet import *
from models.maxvit import *
from models.mnasnet import *
from models.mobilenetv2 import *
from models.mobilenetv3 import *
from models.preact_resnet import *
from models.registry import build, register
from models.registry import names as list
from models.regnet import *
from models.resnet import *
from models.shufflenetv2 import *
from models.small import *
from models.squeezenet import *
from models.swin_transformer import *
from models.vgg import *
from models.vision_transformer import *
from models.zfnet import *
