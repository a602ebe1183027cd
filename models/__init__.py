"""The networks, and the command that works with them: python -m models --help.

Every builder and every class is here under its own name, as in torchvision: ``models.alexnet()``, ``models.AlexNet``.

>>> import models
>>> "lenet5" in models.list()
True
>>> models.build("lenet5", num_classes=26).fc3.out_features
26
>>> models.lenet5(num_classes=26).fc3.out_features
26

The weights that torchvision publishes are members of enumerations: ``models.ResNet50_Weights.DEFAULT``.

>>> models.ResNet50_Weights.DEFAULT.url
'https://download.pytorch.org/models/resnet50-11ad3fa6.pth'
"""
# One line per family, with its builders and classes in the file's __all__: importing it registers its networks.
from models import detection, optical_flow, published, quantization, registry, segmentation, video
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
from models.published import Weights, WeightsEnum, get_weight
from models.registry import build, get_model, get_model_builder, get_model_weights, list_models, register
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

__getattr__ = published.attribute_of(__name__, "Weights")
for _family in registry.families():  # models.resnet.ResNet50_Weights
    _family.__getattr__ = published.attribute_of(_family.__name__)
