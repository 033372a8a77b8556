from . import charts as charts
from .attribution import attribution_overlay as attribution_overlay
from .compared import views_bytes as views_bytes
from .comparison_files import comparison_bytes as comparison_bytes
from .comparison_files import save_comparison as save_comparison
from .knock_out_figure import knock_out_bytes as knock_out_bytes
from .knock_out_figure import save_knock_out as save_knock_out
from .removal_charts import order_bars as order_bars
from .removal_charts import removal_curves as removal_curves
from .removal_figure import deletion_bytes as deletion_bytes
from .removal_figure import save_deletion as save_deletion
from .save import attention_of as attention_of
from .save import render_bytes as render_bytes
from .sinks_figure import save_sinks as save_sinks
from .sinks_figure import sinks_bytes as sinks_bytes
from .verdict_figure import save_verdict as save_verdict
from .verdict_figure import verdict_bytes as verdict_bytes

__all__: list[str]
