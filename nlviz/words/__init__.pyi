from .attribution import METHOD_NAMES as METHOD_NAMES
from .attribution import NOT_WHY as NOT_WHY
from .attribution import agreement_lines as agreement_lines
from .attribution import converged_text as converged_text
from .attribution import cost_text as cost_text
from .attribution import method_text as method_text
from .health import Line as Line
from .health import health_lines as health_lines
from .health import keys_heading as keys_heading
from .health import own_line as own_line
from .health import row_heading as row_heading
from .health import row_lines as row_lines
from .health import top_keys as top_keys
from .health import trust as trust
from .health import unit_text as unit_text
from .load_report import Section as Section
from .load_report import report_text as report_text
from .load_report import sections as sections
from .load_report import verdict as verdict
from .objects import instance_lines as instance_lines
from .prediction import one_clip_note as one_clip_note
from .prediction import unknown_text as unknown_text
from .receipt import receipt_text as receipt_text
from .rows import place_text as place_text
from .rows import row_sentence as row_sentence
from .rows import share_text as share_text

__all__: list[str]
