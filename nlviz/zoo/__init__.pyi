from . import app_offers as app_offers
from .cards import CARDS as CARDS
from .cards import ModelCard as ModelCard
from .cards import inputs_of as inputs_of
from .devices import device_name as device_name
from .devices import list_devices as list_devices
from .labels import labels_named as labels_named
from .load import inspect_weights as inspect_weights
from .load import is_here as is_here
from .load import list_models as list_models
from .load import load_model as load_model
from .load import parsed_flags as parsed_flags
from .source import ModelSource as ModelSource
from .timm import is_timm as is_timm
from .timm import timm_download as timm_download
from .transformers import is_transformers as is_transformers
from .transformers import transformers_download as transformers_download

__all__: list[str]
