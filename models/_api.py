"""torchvision's module of what builders and published weights are made with; the packages have these too."""
from models.published import Weights, WeightsEnum, get_weight
from models.registry import get_model, get_model_builder, get_model_weights, list_models, register_model

__all__ = [
    "Weights",
    "WeightsEnum",
    "get_model",
    "get_model_builder",
    "get_model_weights",
    "get_weight",
    "list_models",
    "register_model",
]
