from .cards import ModelCard as ModelCard
from .load import inspect_weights as inspect_weights
from .load import list_models as list_models
from .load import load_model as load_model

__all__: list[str]
